"""Reads of resilience reports, and of the channels that get them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from alerting.choices import ChannelKind
from alerting.models import Channel, ResilienceReport
from resilience_site.core.pagination import DEFAULT_LIMIT, Page, keyset_page


def report_list(*, limit: int = DEFAULT_LIMIT, cursor: str | None = None) -> Page:
    """Reports, that of the newest time first. Raises `Malformed` for a foreign cursor."""
    return keyset_page(
        ResilienceReport.objects.all(),
        by=("-until", "-made_at", "-id"),
        types=(datetime, datetime, UUID),
        cursor=cursor,
        limit=limit,
    )


def report_find(report_id: UUID) -> ResilienceReport | None:
    """One of them."""
    return ResilienceReport.objects.filter(id=report_id).first()


def mail_channels() -> list[Channel]:
    """The e-mail channels, by name."""
    return list(Channel.objects.filter(kind=ChannelKind.EMAIL))
