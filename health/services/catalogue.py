"""Writes of the service catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from health.choices import Criticality
from health.models import Service
from resilience_site.core.audit import Actor, audit_record
from resilience_site.core.choices import Topic
from resilience_site.core.journal import Entry


class Observed(NamedTuple):
    """What telemetry says of a service; empty fields say nothing."""

    name: str
    environment: str = ""
    version: str = ""
    language: str = ""
    criticality: str = ""


_UPSERT = """
INSERT INTO health_service AS s
    (name, environment, version, language, criticality, description, first_seen, last_seen)
VALUES (%(name)s, %(environment)s, %(version)s, %(language)s, %(criticality)s, '', %(at)s, %(at)s)
ON CONFLICT (name) DO UPDATE SET
    environment = COALESCE(NULLIF(excluded.environment, ''), s.environment),
    version = COALESCE(NULLIF(excluded.version, ''), s.version),
    language = COALESCE(NULLIF(excluded.language, ''), s.language),
    criticality = COALESCE(NULLIF(excluded.criticality, ''), s.criticality),
    last_seen = GREATEST(s.last_seen, excluded.last_seen)
RETURNING (xmax = 0) AS created
"""

_LENGTHS = {field.name: field.max_length for field in Service._meta.concrete_fields}


def service_observe(*, observed: Iterable[Observed], at: datetime) -> list[str]:
    """Record that services were heard of; returns the names of those new to the catalogue.

    Runs inside the caller's transaction. Rows are taken in name order, so that two writers
    never wait for each other in a circle.
    """
    created = []
    with connection.cursor() as cursor:
        for item in sorted(observed):
            # What senders say of themselves may be longer than the catalogue shows.
            values = {key: value[: _LENGTHS[key]] for key, value in item._asdict().items()}
            values["criticality"] = (
                item.criticality if item.criticality in Criticality.values else ""
            )
            cursor.execute(_UPSERT, {**values, "at": at})
            if cursor.fetchone()[0]:
                created.append(item.name)
    return created


def service_ensure(*, name: str, now: datetime, entries: list[Entry]) -> Service:
    """The service of that name, new in the catalogue if it was not there; `entries` then get what
    the journal is to be told. Nothing is said of when it was heard of."""
    service, created = Service.objects.get_or_create(
        name=name, defaults={"first_seen": now, "last_seen": now}
    )
    if created:
        entries.append(Entry(Topic.SERVICES, "service.new", name))
    return service


def service_write(
    *, name: str, fields: Mapping[str, Any], now: datetime, entries: list[Entry], actor: Actor
) -> Service:
    """Give a service those values, and make it if it is not there, inside the caller's
    transaction; `entries` get what the journal is to be told."""
    service = service_ensure(name=name, now=now, entries=entries)
    before = {field: getattr(service, field) for field in fields}
    changed = [field for field, value in fields.items() if before[field] != value]
    if not changed:
        return service
    for field in changed:
        setattr(service, field, fields[field])
    service.save(update_fields=changed)
    audit_record(
        actor=actor,
        action="service.update",
        object_type="service",
        object_id=name,
        before={field: before[field] for field in changed},
        after={field: fields[field] for field in changed},
    )
    entries.append(Entry(Topic.SERVICES, "service.changed", name))
    return service
