"""Two at once: nothing ends twice, and nobody who joins meanwhile is left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction

from analytics.domain.telemetry import LogRecord
from breakers.models import Breaker, ControlDocument, DomainMember, Override
from breakers.services import bounds, observed
from breakers.services.documents import document_refresh
from breakers.services.ingest import EventBatch
from breakers.services.instances import service_open
from breakers.services.observed import StateSeen
from breakers.services.overrides import Target, override_expire, override_set
from breakers.services.toggles import toggle_set
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Role
from resilience_site.core.models import AuditEntry

from .test_names import event, store

pytestmark = pytest.mark.django_db(transaction=True)

ANA = Actor.system("ana")


@pytest.fixture
def beside() -> Iterator[Callable[..., Any]]:
    """Runs a function on a connection of its own; returns its future."""
    with ThreadPoolExecutor(1) as pool:

        def run(function: Callable[[], Any]) -> Any:
            def closing() -> Any:
                try:
                    return function()
                finally:
                    connections.close_all()

            return pool.submit(closing)

        yield run


def wait_for_a_waiter() -> None:
    """Until somebody waits for a lock that this connection holds."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with connection.cursor() as cursor:
            cursor.execute(
                # Not of pg_stat_activity: a transaction sees that as it was at its first look.
                "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted "
                "AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
            )
            if cursor.fetchone()[0]:
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits")


@contextmanager
def holding(service: str) -> Iterator[None]:
    """A document that another writer has, until the end of the block."""
    with transaction.atomic():
        ControlDocument.objects.select_for_update().get(service=service)
        yield


def toggles_of(service: str) -> list[str]:
    return list(ControlDocument.objects.get(service=service).document["toggles"])


def test_a_service_that_registers_while_a_toggle_is_set_is_told_of_it(
    beside: Callable[..., Any],
) -> None:
    service_open("billing", datetime.now(UTC))
    with ThreadPoolExecutor(1) as other, holding("billing"):
        setting = beside(_toggled)
        wait_for_a_waiter()
        other.submit(_opened, "planner").result(60)
    setting.result(60)
    assert toggles_of("billing") == toggles_of("planner") == ["planner.write"]


def _toggled() -> None:
    toggle_set(key="planner.write", value=True, reason="a drill", actor=ANA, role=Role.OPERATOR)


def _opened(service: str) -> None:
    try:
        service_open(service, datetime.now(UTC))
    finally:
        connections.close_all()


def test_a_service_whose_instances_all_begin_at_once_is_refused_to_none_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One of them registers the service after another has looked for it and before it has counted:
    a service has one document, and there it is."""
    look = bounds._present
    with ThreadPoolExecutor(1) as other:

        def look_first(*asked: Any) -> Any:
            found = look(*asked)
            monkeypatch.undo()
            other.submit(_opened, "planner").result(60)
            return found

        monkeypatch.setattr(bounds, "_present", look_first)
        stamp, _ = service_open("planner", datetime.now(UTC))
    assert stamp.version == ControlDocument.objects.get().version == 0


def test_a_breaker_that_joins_a_domain_while_it_is_forced_open_is_cut_off_too(
    beside: Callable[..., Any],
) -> None:
    service_open("billing", datetime.now(UTC))
    service_open("planner", datetime.now(UTC))
    DomainMember.objects.create(domain="eu", service="billing", name="graph", source="reported")
    with ThreadPoolExecutor(1) as other, holding("billing"):
        forcing = beside(_forced_open)
        wait_for_a_waiter()
        other.submit(_joined, "planner").result(60)
    forcing.result(60)
    for service in ("billing", "planner"):
        document = ControlDocument.objects.get(service=service).document
        assert document["breakers"]["graph"]["override"]["state"] == "forced_open"


def _forced_open() -> None:
    override_set(
        target=Target.of_domain("eu"),
        state="forced_open",
        reason="a drill",
        expires_in=600,
        actor=ANA,
        role=Role.OPERATOR,
    )


def _joined(service: str) -> None:
    """As ingest does: first the member, then its document."""
    try:
        DomainMember.objects.create(domain="eu", service=service, name="graph", source="reported")
        document_refresh(services=[service])
    finally:
        connections.close_all()


def test_two_requests_about_the_same_breakers_do_not_wait_in_a_circle(
    beside: Callable[..., Any],
) -> None:
    store([*told("b1", "b2"), *told("b2", "b1")])
    batches, now = [], datetime.now(UTC)
    for moved, configured in (("b1", "b2"), ("b2", "b1")):
        batch = EventBatch(now)
        batch.states[("planner", moved, "planner")] = StateSeen("open", now)
        batch.policies[("planner", configured, "planner")] = ({}, now)
        batches.append(batch)
    with transaction.atomic():
        observed.breakers_hold([("planner", "b1", "planner")])
        waiting = beside(lambda: _written(batches[1]))
        wait_for_a_waiter()
        # The other one waits before it has any row, so this one can go on.
        batches[0].write()
    waiting.result(60)
    assert set(Breaker.objects.values_list("state", flat=True)) == {"open"}


def told(moved: str, configured: str) -> list[LogRecord]:
    return [
        event("breaker.transition", "planner", breaker__name=moved, breaker__from_state="open",
              breaker__to_state="closed"),
        event("breaker.configured", "planner", breaker__name=configured, breaker__policy="{}"),
    ]  # fmt: skip


def _written(batch: EventBatch) -> None:
    with transaction.atomic():
        batch.write()


def test_an_override_of_a_domain_without_members_expires_once(beside: Callable[..., Any]) -> None:
    # Due by the clock of this test alone: a web process that serves the same database, too, ends
    # what is due by its own.
    end = datetime.now(UTC) + timedelta(hours=1)
    due = Override.objects.create(
        scope="domain", domain="eu", state="forced_open", reason="a drill", actor="ana",
        created_at=end - timedelta(hours=2), expires_at=end,
    )  # fmt: skip
    with transaction.atomic():
        first = override_expire(override_id=due.pk, now=end)
        second = beside(lambda: override_expire(override_id=due.pk, now=end))
        wait_for_a_waiter()
    assert (first, second.result(60)) == (True, False)
    assert AuditEntry.objects.filter(action="domain.override.expired").count() == 1
