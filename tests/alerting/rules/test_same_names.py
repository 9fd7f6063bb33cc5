"""Two people choose the same name at the same moment: one has it, the other is told so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from django.db import connection, transaction

from alerting.models import AlertRule, Channel, Inhibition, Route
from alerting.services.channels import channel_create, channel_update
from alerting.services.inhibitions import inhibition_create
from alerting.services.routes import route_create
from alerting.services.rules.store import rule_create
from resilience_site.config import config
from resilience_site.core.audit import Actor
from resilience_site.core.problems import Invalid
from tests.alerting.pipeline.scene import NOON
from tests.emptying import empty_partitions
from tests.patience import PATIENCE, until

ANN = Actor.system("ann")
TARGET = {"url": "http://127.0.0.1:9/hook"}


def rule() -> None:
    condition = {
        "type": "figure",
        "metric": "errors",
        "op": ">",
        "threshold": 5,
        "window_seconds": 300,
    }
    rule_create(
        fields={"name": "same", "title": "Same", "severity": "ticket", "condition": condition,
                "summary": "so it is"},
        actor=ANN, now=NOON,
    )  # fmt: skip


def route() -> None:
    route_create(name="same", fields={"channels": [], "every_channel": True}, actor=ANN, now=NOON)


def inhibition() -> None:
    fields = {"source": {"alertname": "a"}, "target": {"alertname": "b"}}
    inhibition_create(name="same", fields=fields, actor=ANN)


def channel() -> None:
    channel_create(given=_given("same"), actor=ANN, now=NOON)


def renamed() -> None:
    """Another channel, which gets the name."""
    other = Channel.objects.get(name="other")
    channel_update(channel_id=other.pk, changes={"name": "same"}, actor=ANN, now=NOON)


def _given(name: str) -> Mapping[str, Any]:
    return {"kind": "webhook", "name": name, "target": TARGET, "verify": False}


@pytest.fixture(autouse=True)
def _private_targets() -> Iterator[None]:
    with config.override(resilience_allow_private_targets=True):
        yield


@pytest.mark.usefixtures("transactional_db")
@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        (rule, rule, AlertRule),
        (route, route, Route),
        (inhibition, inhibition, Inhibition),
        (channel, channel, Channel),
        (channel, renamed, Channel),
    ],
)
def test_of_two_who_choose_a_name_at_once_the_second_is_told_that_it_is_taken(
    first: Callable[[], None], second: Callable[[], None], kind: type[Any]
) -> None:
    empty_partitions()
    if second is renamed:
        channel_create(given=_given("other"), actor=ANN, now=NOON)
    chosen, go_on = Event(), Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                first()
                chosen.set()
                assert go_on.wait(PATIENCE)
        finally:
            connection.close()

    def choose() -> str:
        try:
            second()
        except Invalid as refused:
            return ", ".join(each.message for each in refused.errors)
        finally:
            connection.close()
        return ""

    with ThreadPoolExecutor(2) as people:
        holds = people.submit(hold)
        try:
            assert chosen.wait(PATIENCE)
            other = people.submit(choose)
            until(_somebody_waits)
        finally:
            go_on.set()
        holds.result(PATIENCE)
        assert "already" in other.result(PATIENCE)
    assert kind.objects.filter(name="same").count() == 1


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_stat_activity USING (pid) "
            "WHERE NOT granted AND datname = current_database())"
        )
        return bool(cursor.fetchone()[0])
