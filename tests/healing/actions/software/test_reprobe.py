"""Checks are run now, by the real prober, and what they say is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from health.models import Check, CheckStatus
from health.prober.process import run_now
from health.services.checks import check_create
from resilience_site.config import config
from resilience_site.core.audit import Actor
from tests.healing.actions.software.acting import SERVICE, Moment, act, context, effect, refused
from tests.healing.actions.software.servers import Answering, answering

pytestmark = pytest.mark.django_db


@pytest.fixture
def server() -> Iterator[Answering]:
    with config.override(resilience_allow_private_targets=True), answering() as found:
        yield found


def check(name: str, server: Answering, **more: Any) -> Check:
    return check_create(
        name=name, service=SERVICE, kind="http", target={"url": server.url}, interval_seconds=3600,
        timeout_seconds=30, now=datetime.now(UTC), actor=Actor.system("tests"), **more,
    )  # fmt: skip


def probing(moment: Moment) -> None:
    """Run what is due, as the prober's loop does."""

    def run() -> None:
        due = CheckStatus.objects.filter(next_due_at__lte=moment.now, last_run_at=None)
        for status in due:
            run_now(status.pk)

    moment.meanwhile = run


def test_the_triggering_check_is_run_and_what_it_says_is_the_output(
    server: Answering,
) -> None:
    moment = Moment()
    first, other = check("health", server), check("other", server)
    CheckStatus.objects.update(next_due_at=moment.now.replace(year=moment.now.year + 1))
    where = context(moment, check_id=first.id)
    assert effect("reprobe", {}, where) == (
        "Runs the check health now, and more often for half a minute"
    )
    assert CheckStatus.objects.filter(suspected_until=None).count() == 2
    probing(moment)
    server.status = 503
    acted = act("reprobe", {}, where)
    assert acted.done.output.startswith("health is down: ")
    assert acted.finished() is True
    assert CheckStatus.objects.get(pk=other.pk).last_run_at is None
    assert len(server.asked) == 1


def test_without_one_all_checks_of_the_service_are_run(server: Answering) -> None:
    moment = Moment()
    for name in ("a", "b"):
        check(name, server)
    check("off", server, enabled=False)
    probing(moment)
    acted = act("reprobe", {}, context(moment))
    assert acted.done.output.splitlines()[0].startswith("a is up")
    assert set(acted.done.after["statuses"].values()) == {"up"}
    assert len(server.asked) == 2


def test_where_nobody_probes_the_step_fails_in_its_time(server: Answering) -> None:
    check("a", server)
    failed = refused("reprobe", {}, context(Moment(), seconds=5))
    assert failed.message == "Not every check was run in time: a"


def test_without_checks_there_is_nothing_to_run() -> None:
    assert refused("reprobe", {}, context(Moment())).permanent
    named = refused("reprobe", {"check": "gone"}, context(Moment()))
    assert named.message == "There is no enabled check 'gone'"
