"""The long poll of the running site: what an instance is told, when, and what that leaves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from django.db.models import QuerySet

from breakers.models import Breaker, ControlDocument, Instance, Override
from breakers.services.degraded import degraded_set
from breakers.services.overrides import Target, override_set
from breakers.services.toggles import toggle_set
from health.models import Service
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Role, Scope
from resilience_site.core.keys import key_create, key_revoke
from tests.livesite import LiveSite
from tests.patience import until

ANA = Actor.system("ana")
START = 1_790_000_000.0
# What never comes ends a test then; how fast things are is measured elsewhere.
PATIENCE = 30


class Current:
    """The service of the running test: the site still knows the documents of those before."""

    service = ""


@pytest.fixture(autouse=True)
def fresh_service() -> None:
    Current.service = f"planner-{uuid4().hex[:8]}"


class Client:
    """One instance that polls."""

    def __init__(self, site: LiveSite, instance: str = "planner-1", key: str = "") -> None:
        self.instance = instance
        headers = {"Authorization": f"Bearer {key or site.ingest_key}"}
        self.http = httpx.Client(base_url=site.url, headers=headers, timeout=120)

    def poll(self, known: int | None = None, *, wait: float = 0, **more: Any) -> httpx.Response:
        query = {"service": Current.service, "instance": self.instance, "wait": wait, **more}
        headers = {} if known is None else {"If-None-Match": f'"{known}"'}
        return self.http.get("/api/v1/control", params=query, headers=headers)


def known_breaker(name: str = "graph", instance: str = "planner-1") -> None:
    now = datetime.now(UTC)
    Breaker.objects.create(
        service=Current.service, name=name, instance=instance, key="k" * 16, state="closed", since=now,
        first_seen=now, last_seen=now,
    )  # fmt: skip


def force_open(instance: str = "", expires_in: int = 600) -> None:
    override_set(
        target=Target.of_breaker(Current.service, "graph", instance),
        state="forced_open", reason="Graph is being moved", expires_in=expires_in,
        actor=ANA, role=Role.OPERATOR,
    )  # fmt: skip


def eventually(fact: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """The fact once it is true; what another process writes is looked for until then."""
    until = time.monotonic() + seconds
    while not (found := fact()) and time.monotonic() < until:
        time.sleep(0.02)
    return found


def own_instances() -> QuerySet[Instance]:
    """Those of the running test: notes of an earlier one may be written late."""
    return Instance.objects.filter(service=Current.service)


def instance_row(name: str = "planner-1") -> Instance:
    found = eventually(lambda: own_instances().filter(instance=name).first())
    assert found, f"the poll of {name} was not written down"
    return found


def test_a_service_never_seen_is_registered_with_an_empty_document(site: LiveSite) -> None:
    answer = Client(site).poll()
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"0"'
    assert answer.json() == {
        "version": 0, "service": Current.service, "breakers": {}, "bulkheads": {},
        "toggles": {}, "degraded": {}, "isolated": {}, "commands": [],
    }  # fmt: skip
    assert Service.objects.filter(name=Current.service).exists()
    assert instance_row().applied_version is None


def test_a_poll_that_names_the_present_version_acknowledges_it(site: LiveSite) -> None:
    client = Client(site)
    client.poll()
    assert client.poll(0).status_code == 304
    row = eventually(lambda: own_instances().filter(applied_version=0).first())
    assert (row.instance, row.service) == ("planner-1", Current.service)
    assert row.applied_at == row.polled_at


def test_a_change_answers_those_who_wait_long_before_their_time_is_over(site: LiveSite) -> None:
    known_breaker()
    client = Client(site)
    client.poll()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.poll, 0, wait=60)
        # Its note in the database says that the poll has begun to wait.
        assert eventually(lambda: own_instances().filter(applied_version=0).exists())
        force_open()
        answer = waiting.result(PATIENCE)
    assert answer.status_code == 200
    override = answer.json()["breakers"]["graph"]["override"]
    assert override["state"] == "forced_open"
    assert override["actor"] == "ana"
    assert 540 < override["expires_in"] <= 600
    assert answer.headers["etag"] == '"1"'


def test_an_override_of_one_instance_is_told_to_that_one(site: LiveSite) -> None:
    known_breaker(instance="planner-1")
    known_breaker(instance="planner-2")
    force_open(instance="planner-2")
    assert Client(site, "planner-1").poll().json()["breakers"] == {}
    told = Client(site, "planner-2").poll().json()
    assert told["breakers"]["graph"]["override"]["state"] == "forced_open"


def test_an_override_is_reverted_once_when_its_time_is_over(site: LiveSite) -> None:
    known_breaker()
    client = Client(site)
    client.poll()
    force_open()
    assert client.poll(0).json()["breakers"]["graph"]["override"]["state"] == "forced_open"
    # Seconds that run from the start could be over before the first look.
    Override.objects.filter(service=Current.service).update(expires_at=datetime.now(UTC))
    answer = client.poll(1, wait=60)
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
    assert answer.json()["breakers"] == {}
    assert ControlDocument.objects.get(service=Current.service).version == 2


def test_toggles_and_degraded_modes_come_with_their_time(site: LiveSite) -> None:
    client = Client(site)
    client.poll()
    toggle_set(key="planner.write", value=False, reason="moving", expires_in=60, actor=ANA,
               role=Role.OPERATOR)  # fmt: skip
    degraded_set(service=Current.service, level="reduced", notice="Plans may be old.", reason="moving",
                 actor=ANA, role=Role.OPERATOR)  # fmt: skip
    told = eventually(lambda: (a := client.poll(0).json())["version"] == 2 and a)
    assert told["toggles"]["planner.write"]["value"] is False
    assert told["degraded"][Current.service]["notice"] == "Plans may be old."
    assert told["degraded"][Current.service]["expires_in"] is None


def test_a_version_from_the_future_is_no_acknowledgement(site: LiveSite) -> None:
    client = Client(site)
    client.poll()
    answer = client.poll(99, wait=30)
    assert (answer.status_code, answer.json()["version"]) == (200, 0)
    assert instance_row().applied_version is None


def test_an_acknowledgement_concerns_its_own_instance_alone(site: LiveSite) -> None:
    Client(site, "planner-1").poll()
    Client(site, "planner-1").poll(0)
    assert eventually(lambda: own_instances().filter(applied_version=0).exists())
    before = instance_row("planner-1")
    Client(site, "planner-9").poll(0)
    assert instance_row("planner-9")
    after = instance_row("planner-1")
    assert (after.applied_version, after.applied_at) == (before.applied_version, before.applied_at)


class Fleet:
    """Two instances of a service, which work by version 1 of its document, and one of another."""

    def __init__(self, site: LiveSite) -> None:
        self.site = site
        self.own = Client(site, "planner-1")
        for client in (self.own, Client(site, "planner-2")):
            client.poll(started=START)
        known_breaker()
        force_open()
        Client(site, "planner-2").poll(1, started=START)
        self.own.poll(1, started=START)
        other = {"service": f"{Current.service}-else", "instance": "planner-1", "wait": 0}
        self.own.http.get("/api/v1/control", params=other)
        until(lambda: self.rows().filter(applied_version=1).count() == 2)
        until(lambda: self.rows().count() == 3)

    @staticmethod
    def rows() -> QuerySet[Instance]:
        return Instance.objects.filter(service__startswith=Current.service)

    def known(self) -> dict[tuple[str, str], dict[str, Any]]:
        """All that the site knows of each instance, once it has noted every poll until now."""
        name = f"marker-{uuid4().hex}"
        Client(self.site, name).poll()
        until(lambda: self.rows().filter(instance=name).exists())
        self.rows().filter(instance=name).delete()
        return {(row["service"], row["instance"]): row for row in self.rows().values()}

    def forge(self, tag: str, **changed: Any) -> httpx.Response:
        """A poll in the name of `planner-1`, or of what is changed, with any acknowledgement."""
        query = {"service": Current.service, "instance": "planner-1", "wait": 0, **changed}
        key = f"Bearer {self.site.ingest_key}"
        headers = {b"If-None-Match": tag.encode(), b"Authorization": key.encode()}

        def ask() -> httpx.Response | None:
            """None where the site is too busy for now."""
            url = f"{self.site.url}/api/v1/control"
            answer = httpx.get(url, params=query, headers=headers, timeout=120)
            return None if answer.status_code == 503 else answer

        return until(lambda: [answer] if (answer := ask()) else None)[0]


FORGED_TAGS = [
    '"0"', '"1"', '"2"', '"999999999999999999"', f'"{"9" * 19}"', f'"{"9" * 4000}"', '"-1"', '"1.0"',
    'W/"0"', "*", '"0", "1"', "1", '""', "' OR 1=1 --", '"\u0661"',
]  # fmt: skip


@pytest.mark.parametrize("elsewhere", ["service", "instance", ""])
def test_a_forged_acknowledgement_changes_the_row_that_it_names_alone(
    site: LiveSite, elsewhere: str
) -> None:
    fleet = Fleet(site)
    changed = {
        "service": {"service": f"{Current.service}-else"},
        "instance": {"instance": "planner-9"},
        "": {},
    }[elsewhere]
    named = (changed.get("service", Current.service), changed.get("instance", "planner-1"))
    before = fleet.known()
    for tag in FORGED_TAGS:
        answer = fleet.forge(tag, **changed)
        # No tag is a reason to refuse the document, or to hide a change of it.
        assert answer.status_code == (
            304 if answer.headers["etag"] == tag.removeprefix("W/") else 200
        )
    after = fleet.known()
    assert named in after
    for place in before.keys() - {named}:
        assert after[place] == before[place], place
    assert after.keys() == before.keys() | {named}


@pytest.mark.parametrize("sent_again", ["of this process", "of the one before"])
def test_an_acknowledgement_that_is_sent_again_does_not_make_an_instance_look_behind(
    site: LiveSite, sent_again: str
) -> None:
    fleet = Fleet(site)
    before = fleet.known()
    started = START if sent_again == "of this process" else START - 60
    assert fleet.forge('"0"', started=started).status_code == 200
    after = fleet.known()
    named = (Current.service, "planner-1")
    facts = ("applied_version", "applied_at", "started_at", "restarts", "restarted_at")
    assert [after[named][fact] for fact in facts] == [before[named][fact] for fact in facts]
    assert after[named]["applied_version"] == 1


@pytest.mark.parametrize("started", [{}, {"started": START * 2}])
def test_nothing_is_forged_of_an_instance_that_says_when_it_began(
    site: LiveSite, started: dict[str, float]
) -> None:
    fleet = Fleet(site)
    force_open("planner-1")
    before = fleet.known()
    for tag in ('"0"', '"2"', ""):
        assert fleet.forge(tag, **started).status_code in (200, 304)
        assert fleet.known() == before


def test_what_was_forged_is_put_right_by_the_next_poll_of_an_instance_that_does_not(
    site: LiveSite,
) -> None:
    fleet = Fleet(site)
    named, own = (Current.service, "planner-9"), Client(site, "planner-9")
    for forged in ('"0"', ""):
        assert own.poll(1).status_code == 304
        assert fleet.known()[named]["applied_version"] == 1
        fleet.forge(forged, instance="planner-9")
        assert fleet.known()[named]["applied_version"] == (0 if forged else None)
    assert own.poll(1).status_code == 304
    row = fleet.known()[named]
    assert (row["applied_version"], row["restarts"]) == (1, 0)


def test_a_process_that_began_anew_is_recognised(site: LiveSite) -> None:
    client = Client(site)
    client.poll(started=START)
    client.poll(0, started=START)
    assert eventually(lambda: own_instances().filter(applied_version=0, restarts=0).exists())
    client.poll(started=START + 60)
    row = eventually(lambda: own_instances().filter(restarts=1).first())
    assert row.started_at == datetime.fromtimestamp(START + 60, UTC)
    assert row.applied_version is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"service": ""}, "query.service"),
        ({"service": "x" * 201}, "query.service"),
        ({"service": "a\nb"}, "query.service"),
        ({"instance": " "}, "query.instance"),
        ({"wait": "soon"}, "query.wait"),
        ({"wait": -1}, "query.wait"),
        ({"wait": "nan"}, "query.wait"),
        ({"started": "today"}, "query.started"),
    ],
)
def test_an_impossible_question_is_told_what_is_wrong(
    site: LiveSite, change: dict[str, Any], field: str
) -> None:
    query = {"service": Current.service, "instance": "planner-1", "wait": 0, **change}
    answer = Client(site).http.get("/api/v1/control", params=query)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not ControlDocument.objects.filter(service__contains=Current.service).exists()


def test_only_an_ingest_key_polls(site: LiveSite) -> None:
    assert Client(site, key="wrong").poll().status_code == 401
    operator = Client(site, key=site.operator_key).poll()
    assert operator.status_code == 403
    assert "ingest" in operator.json()["detail"]


def test_a_key_that_is_revoked_while_its_poll_waits_is_told_nothing(site: LiveSite) -> None:
    key, token = key_create(name="soon gone", scope=Scope.INGEST, actor=ANA)
    client = Client(site, key=token)
    client.poll()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.poll, 0, wait=60)
        assert eventually(lambda: own_instances().filter(applied_version=0).exists())
        key_revoke(key_id=key.pk, actor=ANA)
        # The site remembers a key for at most five seconds.
        refused = eventually(lambda: client.poll().status_code == 401)
        degraded_set(
            service=Current.service, level="offline", reason="x", actor=ANA, role=Role.ADMIN
        )
        assert refused
        assert waiting.result(PATIENCE).status_code == 401


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_other_methods_are_named_as_wrong(site: LiveSite, method: str) -> None:
    answer = Client(site).http.request(method, "/api/v1/control")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


def test_the_wait_ends_by_itself_without_a_change(site: LiveSite) -> None:
    client = Client(site)
    client.poll()
    began = time.monotonic()
    assert client.poll(0, wait=1).status_code == 304
    assert 0.9 < time.monotonic() - began < 20


def test_changes_at_the_same_time_leave_no_version_out(site: LiveSite) -> None:
    """Eight writers at once: each change is one version, and the last document holds them all."""
    from django.db import connections

    Client(site).poll()
    names = [f"toggle-{number}" for number in range(8)]
    barrier = threading.Barrier(len(names))

    def switch(name: str) -> None:
        try:
            barrier.wait(PATIENCE)
            toggle_set(key=name, value=True, reason="race", actor=ANA, role=Role.OPERATOR)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(switch, names))
    document = ControlDocument.objects.get(service=Current.service)
    assert document.version == len(names)
    assert sorted(document.document["toggles"]) == names


def test_a_stopped_site_ends_what_became_due_meanwhile_once(site: LiveSite) -> None:
    """Whoever looks first ends it; others, and the same again, find nothing due."""
    from breakers.services.expiry import expire_due

    known_breaker()
    Client(site).poll()
    now = datetime.now(UTC)
    override_set(
        target=Target.of_breaker(Current.service, "graph"), state="forced_open", reason="x",
        expires_in=60, actor=ANA, role=Role.OPERATOR, now=now - timedelta(hours=1),
    )  # fmt: skip
    expire_due(now=now)
    assert expire_due(now=now) == 0
    assert eventually(lambda: ControlDocument.objects.get(service=Current.service).version == 2)
