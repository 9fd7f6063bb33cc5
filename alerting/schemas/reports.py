"""Resilience reports in the API."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from ninja import Field, Schema

from alerting.domain.reports.figures import Figures


class ReportIn(Schema):
    """A report of any range; both ends may be relative (`7d`, `now-1h`)."""

    since: str = Field("7d", max_length=40)
    until: str = Field("now", max_length=40)


class ReportMailIn(Schema):
    """To whom a report is mailed."""

    channels: list[str] = Field(
        max_length=100, description="Names or ids of e-mail channels", examples=[["operators"]]
    )


class ReportMailOut(Schema):
    deliveries: int = Field(description="Mails that are in the outbox now")


class SubscriptionIn(Schema):
    send_reports: bool = Field(description="Whether the channel gets the weekly report")


class SubscriptionOut(Schema):
    id: UUID
    name: str
    send_reports: bool


class ReportLineOut(Schema):
    """A report without its figures."""

    id: UUID
    since: datetime
    until: datetime
    made_at: datetime
    made_by: str = Field(description="Empty for those that the schedule made")
    verdict: list[str]


class ResilienceReportOut(ReportLineOut):
    figures: Figures
