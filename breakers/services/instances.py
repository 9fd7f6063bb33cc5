"""Instances that poll for their control document: who they are, and what they have applied."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db import connection, transaction

from breakers.selectors.documents import Stamp, documents_of
from breakers.services import bounds
from breakers.services.bounds import admitted
from breakers.services.documents import document_refresh, document_register
from health.domain.catalogue_room import MOST_SERVICES
from health.services import Observed, service_observe
from health.services.catalogue_room import room_days, services_admit
from resilience_site.core import journal
from resilience_site.core.problems import Forbidden


class Poll(NamedTuple):
    """One poll. `applied` is the version that it acknowledged, None for the first of a process;
    `started` is when its process began, in seconds since the epoch, where it says so."""

    service: str
    instance: str
    applied: int | None
    started: float | None


def service_open(service: str, now: datetime) -> tuple[Stamp, dict[str, Any]]:
    """The document of a service; one never heard of is registered. Raises `Forbidden` where there
    are too many already."""
    found = documents_of([service])
    if not found:
        if not admitted(bounds.DOCUMENTS, [(service,)]):
            raise _too_many(bounds.DOCUMENTS.in_all)
        if not any(services_admit([service], now)):
            raise _too_many(MOST_SERVICES)
        with transaction.atomic():
            created = service_observe(observed=[Observed(service)], at=now)
            document_register(services=[service], now=now)
            journal.append([journal.Entry("services", "service.new", name) for name in created])
        # What holds for every service holds for a new one.
        document_refresh(services=[service], now=now)
        found = documents_of([service])
    return found[service]


def _too_many(most: int) -> Forbidden:
    return Forbidden(
        f"The site has {most} services and takes no more: poll under a fixed service name, and "
        f"tell pods apart by their instance. Services silent for {room_days()} days make room."
    )


_POLLS = """
INSERT INTO breakers_instance AS t (service, instance, version, first_seen, last_seen, polled_at,
    applied_version, applied_at, started_at, restarts)
SELECT service, instance, '', %(now)s, %(now)s, %(now)s, applied,
    CASE WHEN applied IS NOT NULL THEN %(now)s END, started, 0
FROM unnest(%(services)s::text[], %(instances)s::text[], %(applied)s::bigint[],
    %(started)s::timestamptz[]) AS seen (service, instance, applied, started)
ON CONFLICT (service, instance) DO UPDATE SET
    last_seen = GREATEST(t.last_seen, excluded.last_seen),
    polled_at = excluded.polled_at,
    applied_version = CASE WHEN {late} THEN t.applied_version ELSE excluded.applied_version END,
    applied_at = CASE WHEN {late} OR t.applied_version IS NOT DISTINCT FROM excluded.applied_version
        THEN t.applied_at ELSE excluded.polled_at END,
    started_at = excluded.started_at,
    restarts = t.restarts + CASE WHEN t.polled_at IS NOT NULL
        AND excluded.started_at > t.started_at + interval '1 s' THEN 1 ELSE 0 END,
    restarted_at = CASE WHEN t.polled_at IS NOT NULL
        AND excluded.started_at > t.started_at + interval '1 s'
        THEN excluded.polled_at ELSE t.restarted_at END
WHERE NOT {overtaken}
RETURNING t.service, t.instance, t.applied_version, t.applied_at = %(now)s
""".format(
    # One process goes forward: an older version of it is an acknowledgement that came late, past
    # a newer one by way of another web process, or that somebody sent again. What is still said
    # after a while is what holds: the newer one was never true.
    late="(abs(extract(epoch FROM excluded.started_at - t.started_at)) <= 1"
    " AND excluded.applied_version < t.applied_version"
    " AND t.applied_at > %(now)s - make_interval(secs => %(polling)s))",
    # An acknowledgement of a process whose successor polls came late as well. With that one gone,
    # it may be the successor on a clock that was set back. And who says when it began says so each
    # time: what does not is of somebody else.
    overtaken="COALESCE((excluded.started_at < t.started_at - interval '1 s'"
    " OR (excluded.started_at IS NULL AND t.started_at IS NOT NULL))"
    " AND t.polled_at > %(now)s - make_interval(secs => %(polling)s), false)",
)
# Who polls is heard of within the longest wait, and some time for the way.
_POLLING_SECONDS = 90
# So much may a clock be ahead of the site's.
_SKEW_SECONDS = 300


def polls_note(polls: Sequence[Poll], now: datetime) -> None:
    """Write down who polled and what each has applied; pages hear of what changed.

    Each poll concerns the row of the instance that it names, and no other one.
    """
    kept = admitted(bounds.INSTANCES, {poll[:2] for poll in polls})
    ordered = sorted((poll for poll in polls if poll[:2] in kept), key=lambda poll: poll[:2])
    if not ordered:
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                _POLLS,
                {
                    "now": now,
                    "polling": _POLLING_SECONDS,
                    "services": [poll.service for poll in ordered],
                    "instances": [poll.instance for poll in ordered],
                    "applied": [poll.applied for poll in ordered],
                    "started": [_moment(poll.started, now) for poll in ordered],
                },
            )
            rows = cursor.fetchall()
        applied = sorted({(row[0], row[2]) for row in rows if row[3]})
        journal.append(
            [
                journal.Entry("control", "control.applied", service, str(version), service)
                for service, version in applied
            ]
        )


def _moment(started: float | None, now: datetime) -> datetime | None:
    # A process cannot begin in the future: such a start is as good as none.
    if started is None or started > now.timestamp() + _SKEW_SECONDS:
        return None
    return datetime.fromtimestamp(started, UTC)
