"""What a holder of an ingest key can add to the site has an end."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from breakers.models import (
    Breaker,
    Command,
    CommandReport,
    ControlDocument,
    DomainMember,
    Instance,
)
from breakers.services import bounds, documents
from breakers.services.commands import command_report
from breakers.services.instances import Poll, polls_note, service_open
from breakers.services.retention import history_prune
from breakers.services.toggles import toggle_revert, toggle_set
from health.models import Service
from health.services import catalogue_room
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Role
from resilience_site.core.models import AuditEntry
from resilience_site.core.problems import Forbidden, Invalid

from .test_names import event, store

pytestmark = pytest.mark.django_db(transaction=True)

SMALL = {"of_service": 3, "in_all": 5}


@pytest.fixture
def now() -> datetime:
    """Of the test, not of its collection: a web process of the session that serves the same
    database ends meanwhile what is due by its own clock."""
    return datetime.now(UTC)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that a test reaches."""
    for name in ("INSTANCES", "BREAKERS", "MEMBERS"):
        monkeypatch.setattr(bounds, name, getattr(bounds, name)._replace(**SMALL))
    monkeypatch.setattr(bounds, "DOCUMENTS", bounds.DOCUMENTS._replace(in_all=2))
    bounds._told.clear()


def moved(service: str, name: str) -> None:
    store(
        [
            event("breaker.transition", service, breaker__name=name, breaker__from_state="closed",
                  breaker__to_state="open"),
            event("breaker.configured", service, breaker__name=name, breaker__policy="{}",
                  breaker__domains=f"domain-{name}"),
        ]
    )  # fmt: skip


def test_breakers_and_domains_of_a_service_have_an_end_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "breakers.services.bounds"):
        for number in range(6):
            moved("planner", f"b{number}")
    assert Breaker.objects.count() == 3
    assert DomainMember.objects.count() == 3
    told = [record.getMessage() for record in caplog.records if "left out" in record.message]
    assert len(told) == 2  # once a table, not once a request
    assert any("breakers_breaker: there are at most 3 of a service" in each for each in told)


def test_what_is_there_is_written_on_beyond_the_bound(now: datetime) -> None:
    for number in range(6):
        moved("planner", f"b{number}")
    Breaker.objects.update(state="closed", since=now - timedelta(hours=1))
    moved("planner", "b0")
    assert Breaker.objects.get(name="b0").state == "open"


def test_all_services_together_have_an_end() -> None:
    for number in range(9):
        moved(f"service-{number}", "b")
    assert Breaker.objects.count() == 5
    assert Instance.objects.count() == 5


def test_instances_that_poll_have_an_end(now: datetime) -> None:
    polls_note([Poll("planner", f"planner-{n}", None, None) for n in range(9)], now)
    assert Instance.objects.count() == 3
    polls_note([Poll("planner", "planner-0", 0, None)], now)
    assert Instance.objects.get(instance="planner-0").applied_version == 0


def test_services_that_poll_have_an_end(now: datetime) -> None:
    for number in range(2):
        service_open(f"service-{number}", now)
    with pytest.raises(Forbidden, match="takes no more"):
        service_open("one-too-many", now)
    assert not Service.objects.filter(name="one-too-many").exists()
    assert service_open("service-1", now)[0].version == 0


def test_a_catalogue_that_is_full_takes_no_service_that_polls(
    monkeypatch: pytest.MonkeyPatch, now: datetime
) -> None:
    Service.objects.create(name="known", first_seen=now, last_seen=now)
    monkeypatch.setattr(catalogue_room, "MOST_SERVICES", 1)
    with pytest.raises(Forbidden, match="poll under a fixed service name"):
        service_open("pod-17", now)
    assert not ControlDocument.objects.exists()
    assert service_open("known", now)[0].version == 0


def test_documents_of_services_that_are_gone_make_room(now: datetime) -> None:
    long_ago = now - timedelta(days=3)
    for service, version in (("gone", 0), ("decided", 4), ("there", 0)):
        ControlDocument.objects.create(service=service, version=version, changed_at=long_ago)
    Instance.objects.create(service="there", instance="1", first_seen=long_ago, last_seen=now)
    history_prune(now=now)
    left = ControlDocument.objects.order_by("service").values_list("service", flat=True)
    assert list(left) == ["decided", "there"]


def test_a_document_that_no_client_would_take_is_not_made(
    monkeypatch: pytest.MonkeyPatch, now: datetime
) -> None:
    monkeypatch.setattr(documents, "MAX_BYTES", 5_000)
    service_open("planner", now)
    set_toggle("first", "x" * 4_000)
    with pytest.raises(Invalid, match="at most: take back"):
        set_toggle("second", "x" * 4_000)
    assert list(ControlDocument.objects.get().document["toggles"]) == ["first"]
    assert AuditEntry.objects.filter(action="toggle.set.refused", object_id="second").exists()
    monkeypatch.setattr(documents, "MAX_BYTES", 100)
    toggle_revert(key="first", actor=Actor.system("ana"), role=Role.OPERATOR)
    assert ControlDocument.objects.get().document["toggles"] == {}


def set_toggle(key: str, value: str) -> None:
    ana = Actor.system("ana")
    toggle_set(key=key, value=value, reason="a drill", actor=ana, role=Role.OPERATOR)


def test_only_instances_that_the_site_knows_report_of_commands(now: datetime) -> None:
    command = Command.objects.create(
        id=uuid4(), service="planner", action="reset_breaker", reason="", actor="ana",
        created_at=now, expires_at=now + timedelta(hours=1),
    )  # fmt: skip
    Instance.objects.create(service="planner", instance="planner-1", first_seen=now, last_seen=now)
    reported = {
        instance: command_report(
            command_id=command.id, service="planner", instance=instance, outcome="succeeded",
            output="", at=now,
        )
        for instance in ("planner-1", "made-up")
    }  # fmt: skip
    assert reported == {"planner-1": True, "made-up": False}
    assert CommandReport.objects.count() == 1


def test_what_a_request_reports_of_many_commands_changes_a_document_once(now: datetime) -> None:
    ControlDocument.objects.create(service="planner", changed_at=now)
    Instance.objects.create(service="planner", instance="planner", first_seen=now, last_seen=now)
    commands = [
        Command.objects.create(
            id=uuid4(), service="planner", action="reset_breaker", reason="", actor="ana",
            created_at=now, expires_at=now + timedelta(hours=1),
        )
        for _ in range(4)
    ]  # fmt: skip
    documents.document_refresh(services=["planner"])
    assert len(ControlDocument.objects.get().document["commands"]) == 4
    *done, left = [str(each.id) for each in commands]
    store(
        [
            event("healing.reported", "planner", command__id=each, healing__outcome="succeeded")
            for each in done
        ]
    )
    held = ControlDocument.objects.get()
    assert [each["id"] for each in held.document["commands"]] == [left]
    assert held.version == 2
    assert CommandReport.objects.count() == 3
