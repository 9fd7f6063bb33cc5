"""The control documents: one writer at a time, one more version for each change.

Whoever changes what a document is built from does so inside `editing`, which holds the documents'
rows: two changes of one service never interleave, and a version never tells of half of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import connection, transaction

from breakers.choices import PolicySubject
from breakers.domain import document as documents
from breakers.domain.document import (
    CommandGiven,
    Decided,
    DegradedGiven,
    OverrideGiven,
    ToggleGiven,
)
from breakers.models import (
    Command,
    ControlDocument,
    DegradedMode,
    DomainMember,
    Override,
    PolicyChange,
    Toggle,
)
from breakers.models.control import Decision
from resilience_site.core import journal
from resilience_site.core.problems import Conflict, Invalid

Json = dict[str, Any]
# Clients refuse 4 MiB; what is served has a few fields more than what is kept.
MAX_BYTES = 3 * 1024 * 1024


class Editing:
    """The documents that a transaction holds, by service."""

    def __init__(self, held: dict[str, ControlDocument]) -> None:
        self.held = held
        self.entries: list[journal.Entry] = []

    def check(self, service: str, if_match: int | None, proposed: Mapping[str, Any]) -> None:
        """Raise `Conflict` where the caller saw another version than the present one."""
        held = self.held[service]
        if if_match is not None and if_match != held.version:
            raise Conflict(
                f"The control document of {service} has changed: it is at version "
                f"{held.version}, and you saw version {if_match}. Look at it again.",
                current={"version": held.version, **held.document},
                proposed=dict(proposed),
            )

    def tell(self, *entries: journal.Entry) -> None:
        """What the journal is told once the documents are written."""
        self.entries += entries


@contextmanager
def editing(services: Iterable[str], now: datetime) -> Iterator[Editing]:
    """A transaction that holds the documents of `services`, and writes them anew at its end."""
    with transaction.atomic():
        document_register(services=services, now=now)
        rows = ControlDocument.objects.select_for_update().filter(service__in=set(services))
        work = Editing({row.service: row for row in rows.order_by("service")})
        yield work
        changed = [name for name in sorted(work.held) if _write(work.held[name], now)]
        journal.append(
            [
                *work.entries,
                *(
                    journal.Entry(
                        "control",
                        "control.changed",
                        name,
                        str(work.held[name].version),
                        name,
                        {"version": work.held[name].version},
                    )
                    for name in changed
                ),
            ]
        )


def document_register(*, services: Iterable[str], now: datetime) -> None:
    """Make the documents of services that have none, inside the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO breakers_controldocument (service, version, document, changed_at) "
            "SELECT unnest(%s::text[]), 0, '{}'::jsonb, %s ON CONFLICT DO NOTHING",
            [sorted(set(services)), now],
        )


def document_refresh(*, services: Iterable[str], now: datetime | None = None) -> None:
    """Write documents anew where what they are made of has changed."""
    with editing(services, now or datetime.now(UTC)):
        pass


def document_catch_up(
    *, held: Iterable[str], concerned: Iterable[str], now: datetime | None = None
) -> None:
    """Write the documents of services that came to be concerned while others were held.

    Whoever joins writes its own document after its commit, so one of the two sees the other.
    """
    late = set(concerned) - set(held)
    if late:
        document_refresh(services=late, now=now)


def _write(held: ControlDocument, now: datetime) -> bool:
    whole = build(held.service)
    # A section that is new changes nothing while it is empty.
    if whole == documents.empty() | held.document:
        return False
    size = len(orjson.dumps(whole))
    # What only gets smaller may always be written.
    if size > MAX_BYTES and size > len(orjson.dumps(held.document)):
        raise Invalid(
            f"The control document of {held.service} would have {size:,} bytes, and services take "
            f"{MAX_BYTES:,} at most: take back what is not needed any more."
        )
    held.document = whole
    held.version += 1
    held.changed_at = now
    held.save(update_fields=["document", "version", "changed_at"])
    return True


def build(service: str) -> Json:
    """The document of a service, from the rows that it is made of."""
    domains: dict[str, list[str]] = {}
    for domain, name in DomainMember.objects.filter(service=service).values_list("domain", "name"):
        domains.setdefault(domain, []).append(name)
    in_force = Override.objects.filter(ended_at=None)
    policies = _policies(service)
    return documents.build(
        overrides=[
            *map(_override, in_force.filter(service=service)),
            *map(_override, in_force.filter(scope="domain", domain__in=domains)),
        ],
        domains=domains,
        policies=policies[PolicySubject.BREAKER],
        bulkheads=policies[PolicySubject.BULKHEAD],
        toggles=[
            ToggleGiven(
                each.key,
                each.value,
                each.otherwise,
                each.rollout,
                tuple(each.instances),
                _decided(each),
            )
            for each in Toggle.objects.filter(is_set=True)
            if not each.services or service in each.services
        ],
        degraded=[
            DegradedGiven(each.service, each.level, each.notice, _decided(each))
            for each in DegradedMode.objects.filter(service=service)
        ],
        commands=[
            CommandGiven(str(each.id), each.instance, each.action, each.parameters, _decided(each))
            for each in Command.objects.filter(service=service, ended_at=None)
        ],
    )


def _policies(service: str) -> dict[PolicySubject, dict[str, Json]]:
    """What the site gives the service's breakers and bulkheads, by their names."""
    rows = PolicyChange.objects.filter(service=service)
    newest = rows.order_by("subject", "name", "-number").distinct("subject", "name")
    found: dict[PolicySubject, dict[str, Json]] = {each: {} for each in PolicySubject}
    for row in newest:
        found[PolicySubject(row.subject)][row.name] = row.policy
    return found


def _override(given: Override) -> OverrideGiven:
    return OverrideGiven(
        given.scope,
        given.name,
        given.instance,
        given.domain,
        given.state,
        given.created_at,
        _decided(given),
    )


def _decided(row: Decision) -> Decided:
    return Decided(row.reason, row.actor, row.expires_at)
