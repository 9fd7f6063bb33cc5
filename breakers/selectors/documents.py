"""Reads of the control documents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from breakers.models import ControlDocument


class Stamp(NamedTuple):
    """What tells one state of a document from another, also after a restore from a backup."""

    version: int
    changed_at: datetime


def document_stamps(services: Sequence[str]) -> dict[str, Stamp]:
    """The stamps of the documents of services that have one."""
    rows = ControlDocument.objects.filter(service__in=services)
    return {
        service: Stamp(version, at)
        for service, version, at in rows.values_list("service", "version", "changed_at")
    }


def documents_of(services: Sequence[str]) -> dict[str, tuple[Stamp, dict[str, Any]]]:
    """The stamps and whole documents of services that have one."""
    if not services:
        return {}
    rows = ControlDocument.objects.filter(service__in=services)
    return {row.service: (Stamp(row.version, row.changed_at), row.document) for row in rows}
