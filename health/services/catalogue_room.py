"""A bounded number of services: whoever sends telemetry must not fill the catalogue with names.

All other bounds are per service, so names that vary, such as a pod's sent as `service.name`, would
multiply them. Services that are in the catalogue, and those that people add to it, are never
refused.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection

from health.domain.catalogue_room import MOST_EVER, MOST_SERVICES, OTHER_SERVICES
from resilience_site.config import config

# How long after the errors of a service are gone it still takes room.
_BEYOND = timedelta(days=7)


class Admitted(NamedTuple):
    """Which names are in the catalogue, and which others there is room for."""

    present: set[str]
    new: set[str]


_ROOM = """
SELECT coalesce((SELECT array_agg(name) FROM health_service WHERE name = ANY(%(names)s::text[])),
        '{}'),
    (SELECT count(*) FROM health_service WHERE name <> %(others)s AND last_seen > %(since)s),
    (SELECT count(*) FROM health_service WHERE name <> %(others)s)
"""


def room_days() -> int:
    """Days after which a service that fell silent makes room for another one."""
    return config.error_retention_days + _BEYOND.days


def services_admit(names: Collection[str], at: datetime) -> Admitted:
    """Which of the names are services, or may become some, in the order given.

    Processes that reach the bound together may pass it by what they bring at that moment.
    """
    since = at - timedelta(days=room_days())
    with connection.cursor() as cursor:
        cursor.execute(_ROOM, {"names": list(names), "others": OTHER_SERVICES, "since": since})
        found, lately, ever = cursor.fetchone()
    present = set(found)
    room = max(0, min(MOST_SERVICES - lately, MOST_EVER - ever))
    return Admitted(present, set([name for name in names if name not in present][:room]))
