"""What a channel heard: the page says what became of each message, whoever is mended hears what it
missed, and nobody hears of the end of what never reached them."""

from __future__ import annotations

import html
import random
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from django.db.models import Max
from django.test import Client

from alerting.domain.messages import Message
from alerting.models import Alert, Channel, Delivery
from alerting.services import channels
from alerting.services.sending import deliveries_send
from resilience_site.core.audit import Actor
from tests.alerting.delivery.receivers import Answer, Receiver, running_receiver
from tests.alerting.delivery.scene import SECRET, webhook
from tests.alerting.pipeline.scene import (
    INTERVAL,
    REPEAT,
    WAIT,
    Scene,
    channel_made,
    names_of,
    route_made,
    silence_made,
    why_of,
)
from tests.alerting.pipeline.test_api import Api

ANNA = Actor.system("anna")
REFUSED, GONE, MOVED, DOWN, TAKEN = (
    Answer(400), Answer(410), Answer(302, (("Location", "/elsewhere"),)),
    Answer(503, (("Retry-After", "120"),)), Answer(),
)  # fmt: skip
Told = list[tuple[str, str]]


@pytest.fixture
def own() -> Iterator[Receiver]:
    """The receiver of the channel `own`, which the route tells alone; `other` may stand in."""
    with running_receiver() as found:
        yield found


def _arrived(known: set[object]) -> Told:
    """To whom what was delivered since went, and why."""
    rows = Delivery.objects.filter(state="delivered", purpose="alerts").exclude(pk__in=known)
    return [
        (each.channel_name, why_of(Message.from_json(each.message)))
        for each in rows.order_by("channel_name", "created_at")
    ]


class Run:
    """A scene whose messages are sent: each step gives what arrived by it."""

    def __init__(self, own: Receiver, other: Receiver) -> None:
        self.own = own
        self.channel = webhook(own.url, "own")
        webhook(other.url, "other")
        route_made("all", self.channel)
        self.scene = Scene()

    def step(self, act: str, seconds: float) -> Told:
        known = set(Delivery.objects.filter(state="delivered").values_list("pk", flat=True))
        self._do(*act.partition(" ")[::2])
        # One turn makes what is due, the next of the sender delivers it; stand-ins follow.
        self.scene.turn()
        self.scene.wait(seconds)
        for n in range(3):
            after = self.scene.now + timedelta(milliseconds=n)
            if not deliveries_send(now=after, rng=random.Random(1)):
                break
        # Sending takes its time, more of it on a busy machine: what is done next is done after it.
        ended = Delivery.objects.aggregate(at=Max("ended_at"))["at"] or self.scene.now
        self.scene.now = max(self.scene.now, ended) + timedelta(seconds=1)
        return _arrived(known)

    def _do(self, act: str, what: str) -> None:
        now, pk = self.scene.now, self.channel.pk
        match act:
            case "fire":
                self.scene.fire(what)
            case "end":
                self.scene.resolve(what)
            case "answers":
                self.own.answers = {"taken": [TAKEN], "refused": [REFUSED]}[what][:]
            case "resume":
                channels.channel_resume(channel_id=pk, actor=ANNA, now=now)
            case "test":
                channels.channel_test(channel_id=pk, actor=ANNA, now=now)
            case "change":
                target = {"url": f"{self.own.url}/{what}", "secret": SECRET}
                channels.channel_update(
                    channel_id=pk, changes={"target": target}, actor=ANNA, now=now
                )
            case "silence":
                silence_made(self.scene, alertname=what)
            case "elsewhere":
                # Another group of the channel, which takes it.
                self.scene.fire(what, service="tasks")


OWN, OTHER = "own", "other"
FIRED: list[tuple[str, float, Told]] = [("fire a", WAIT, [(OTHER, "first")])]
# How the channel answers; what is done, how long is waited, and to whom what goes then.
TABLE: dict[str, tuple[list[Answer], list[tuple[str, float, Told]]]] = {
    "taken: its end is told": (
        [TAKEN],
        [("fire a", WAIT, [(OWN, "first")]), ("end a", INTERVAL, [(OWN, "resolved")])],
    ),
    "refused: whoever stood in hears the end, nobody else": (
        [REFUSED],
        [*FIRED, ("", INTERVAL, []), ("", INTERVAL, []), ("end a", INTERVAL, [(OTHER, "resolved")])],
    ),
    "refused, and works again with the end: it hears nothing of what it never heard": (
        [REFUSED, TAKEN], [*FIRED, ("end a", INTERVAL, [(OTHER, "resolved")])],
    ),
    "redirected: whoever stood in hears the end, nobody else": (
        [MOVED], [*FIRED, ("", INTERVAL, []), ("end a", INTERVAL, [(OTHER, "resolved")])],
    ),
    "gone and resumed: told at once, and both hear the end": (
        [GONE],
        [
            *FIRED, ("", INTERVAL, []), ("answers taken", 0, []), ("resume", 0, [(OWN, "first")]),
            ("", INTERVAL, []), ("end a", INTERVAL, [(OTHER, "resolved"), (OWN, "resolved")]),
        ],
    ),
    "gone and tested: told at once": (
        [GONE],
        [*FIRED, ("answers taken", 0, []), ("test", 0, [(OWN, "first")]), ("", INTERVAL, [])],
    ),
    "refused and changed: told at once": (
        [REFUSED],
        [*FIRED, ("answers taken", 0, []), ("change b", 0, [(OWN, "first")]), ("", INTERVAL, [])],
    ),
    "gone and tested in vain: nothing, for ever": (
        [GONE], [*FIRED, ("test", 0, []), ("", INTERVAL, []), ("", INTERVAL, [])],
    ),
    "refused, changed and refused again: whoever stood in hears it once": (
        [REFUSED],
        [
            *FIRED, ("change b", 0, []), ("", INTERVAL, []), ("answers taken", INTERVAL, []),
            ("change c", 0, [(OWN, "first")]), ("end a", INTERVAL, [(OTHER, "resolved"), (OWN, "resolved")]),
        ],
    ),
    "refused, changed and refused again: whoever stood in hears it once more when it is repeated": (
        [REFUSED],
        [
            *FIRED, ("change b", REPEAT - INTERVAL, []), ("", INTERVAL, [(OTHER, "repeated")]),
            ("change c", REPEAT - INTERVAL, []), ("change d", INTERVAL, []), ("change e", 0, [(OTHER, "first")]),
        ],
    ),
    "refused, changed and refused with what is new: whoever stood in hears of both": (
        [REFUSED],
        [
            *FIRED, ("change b", 0, []), ("fire b", INTERVAL, [(OTHER, "grown")]),
            ("change c", 0, []), ("end a", INTERVAL, [(OTHER, "shrunk")]),
        ],
    ),
    "over before it was mended: it hears of neither": (
        [GONE],
        [
            *FIRED, ("end a", INTERVAL, [(OTHER, "resolved")]), ("answers taken", 0, []),
            ("resume", INTERVAL, []), ("", INTERVAL, []),
        ],
    ),
    "silenced before it was mended: told nothing": (
        [GONE],
        [*FIRED, ("silence a", 0, []), ("answers taken", 0, []), ("resume", INTERVAL, [])],
    ),
    "refused, then told with what is new: it knows of both": (
        [REFUSED, TAKEN],
        [
            *FIRED, ("fire b", INTERVAL, [(OWN, "grown")]), ("end a", INTERVAL, [(OTHER, "resolved"),
            (OWN, "shrunk")]), ("end b", INTERVAL, [(OWN, "resolved")]),
        ],
    ),
    "told, then refused: it knows already, and hears the end": (
        [TAKEN, REFUSED],
        [
            ("fire a", WAIT, [(OWN, "first")]), ("fire b", INTERVAL, [(OTHER, "grown")]),
            ("answers taken", 0, []), ("change b", 0, [(OWN, "grown")]),
            ("end a", INTERVAL, [(OTHER, "shrunk"), (OWN, "shrunk")]),
        ],
    ),
    "down for a while: what is on its way goes in order, its end too": (
        [DOWN, TAKEN],
        [("fire a", WAIT, []), ("end a", INTERVAL, [(OWN, "first"), (OWN, "resolved")])],
    ),
    "mended, and on its way as it ends: both in order": (
        [REFUSED, DOWN, TAKEN],
        [
            *FIRED, ("change b", 0, []),
            ("end a", INTERVAL, [(OTHER, "resolved"), (OWN, "first"), (OWN, "resolved")]),
        ],
    ),
    "works again by itself: told once more": (
        [REFUSED, TAKEN],
        [
            *FIRED, ("elsewhere x", WAIT, [(OWN, "first")]), ("", INTERVAL, [(OWN, "first")]),
            ("", INTERVAL, []),
        ],
    ),
    "refuses this alone: tried once more, then no longer": (
        [REFUSED, TAKEN, REFUSED, TAKEN],
        [
            *FIRED, ("elsewhere x", WAIT, [(OWN, "first")]), ("", INTERVAL, []),
            ("elsewhere y", INTERVAL, [(OWN, "grown")]), ("", INTERVAL, []), ("", INTERVAL, []),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("answers", "steps"), TABLE.values(), ids=TABLE)
def test_who_hears_what_by_a_channel_that_fails(
    own: Receiver, receiver: Receiver, answers: list[Answer], steps: list[tuple[str, float, Told]]
) -> None:
    run = Run(own, receiver)
    own.answers = list(answers)
    for n, (act, seconds, wanted) in enumerate(steps):
        assert run.step(act, seconds) == wanted, f"step {n}: {act or 'nothing'}, {seconds} s later"
    # Whoever heard that something fires hears its end, and nobody else does.
    for name in (OWN, OTHER):
        heard = [
            Message.from_json(each)
            for each in Delivery.objects.filter(channel_name=name, state="delivered")
            .exclude(purpose="test").order_by("created_at").values_list("message", flat=True)
        ]  # fmt: skip
        fired = {each for message in heard for each in names_of(message, "firing")}
        over = {each for message in heard for each in names_of(message, "resolved")}
        ended = set(Alert.objects.filter(state="resolved").values_list("rule_name", flat=True))
        assert over == fired & ended


HEALTHY = {
    "test": lambda pk, now: channels.channel_test(channel_id=pk, actor=ANNA, now=now),
    "rename": lambda pk, now: channels.channel_update(
        channel_id=pk, changes={"name": "renamed"}, actor=ANNA, now=now
    ),
    "resume": lambda pk, now: channels.channel_resume(channel_id=pk, actor=ANNA, now=now),
}


@pytest.mark.parametrize("act", HEALTHY.values(), ids=HEALTHY)
def test_what_is_done_with_a_channel_that_missed_nothing_tells_nobody_anything_early(
    own: Receiver, receiver: Receiver, act: Callable[[UUID, datetime], object]
) -> None:
    run = Run(own, receiver)
    run.channel.routes.get().channels.add(Channel.objects.get(name=OTHER))
    assert run.step("fire a", WAIT) == [(OTHER, "first"), (OWN, "first")]
    run.step("fire b", 0)
    act(run.channel.pk, run.scene.now)
    assert run.step("end a", 60) == []
    assert {why for _, why in run.step("", INTERVAL)} == {"grown"}


@pytest.mark.parametrize(
    ("answer", "act"), [(GONE, "test"), (GONE, "resume"), (REFUSED, "change b")]
)
def test_a_channel_that_was_mended_hears_alone_and_of_nothing_but_what_it_missed(
    own: Receiver, receiver: Receiver, answer: Answer, act: str
) -> None:
    run = Run(own, receiver)
    run.channel.routes.get().channels.add(Channel.objects.get(name=OTHER))
    own.answers = [TAKEN, answer]
    # A group that it knows all of.
    run.step("elsewhere x", WAIT)
    assert run.step("fire a", WAIT) == [(OTHER, "first")]
    run.step("fire b", 0)
    own.answers = [TAKEN]
    assert run.step(act, 0) == [(OWN, "first")]
    told = Delivery.objects.filter(channel=run.channel, purpose="alerts").latest("created_at")
    assert names_of(Message.from_json(told.message), "firing") == {"a"}
    assert run.step("", 60) == []
    assert run.step("", INTERVAL) == [(OTHER, "grown"), (OWN, "grown")]
    assert run.step("end a", INTERVAL) == [(OTHER, "shrunk"), (OWN, "shrunk")]


def test_a_page_shows_for_each_channel_what_became_of_its_message(
    own: Receiver, receiver: Receiver, viewer: Client
) -> None:
    run = Run(own, receiver)
    own.answers = [GONE]
    channel_made("late", paused_at=run.scene.now, paused_why="anna paused it")
    Channel.objects.get(name="late").routes.set([run.channel.routes.get()])
    run.step("fire a", WAIT)
    alert = Alert.objects.get()

    def page() -> str:
        text = viewer.get(f"/alerts/{alert.pk}").content.decode()
        cell = re.search(r'data-label="Channels">(.*?)</td>', text, re.S)
        assert cell is not None
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", cell[1])).split())

    shown = page()
    assert re.search(r"own Failed [^;]*410[^;]*; other stood in", shown)
    assert re.search(r"other Delivered .* in place of own", shown)
    assert "late Waiting Waiting: the channel is paused (anna paused it)" in shown
    own.answers = [TAKEN]
    run.step("resume", 0)
    assert re.search(r"own Delivered", page())
    run.step("end a", INTERVAL)
    assert page().count("its end: delivered") == 2
    told = Api()("GET", f"alerts/{alert.pk}")[1]["groups"][0]["told"]
    said = {each["channel"]: each for each in told}
    assert {name: each["state"] for name, each in said.items()} == {
        "late": "waits", "other": "delivered", "own": "delivered",
    }  # fmt: skip
    assert said["late"]["delivered_at"] is None
    assert said["own"]["delivered_at"] is not None
    assert {name: each["over"]["state"] for name, each in said.items()} == {
        "late": "waits", "other": "delivered", "own": "delivered",
    }  # fmt: skip
