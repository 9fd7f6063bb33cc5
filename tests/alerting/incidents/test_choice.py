"""What of a long timeline stands in a short account, and which lines are one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from alerting.domain.folding import folded
from alerting.domain.incident_choice import chosen, gaps, response
from alerting.domain.timeline import Line
from tests.alerting.incidents import scene

MOST = 30
GRAPH, REDIS, CHECK = "/breakers/graph", "/breakers/redis", "/health/checks/1"


def at(seconds: float) -> datetime:
    return scene.NOW + timedelta(seconds=seconds)


def line(seconds: float, kind: str, text: str = "", link: str = "", **more: Any) -> Line:
    return Line(at(seconds), kind, text or kind, link, **more)


def opens(seconds: float, name: str = "graph", **more: Any) -> Line:
    text = f"Breaker {name} of planner went from closed to open: too many failures in a row"
    return line(seconds, "transition", text, f"/breakers/{name}", **more)


def closes(seconds: float, name: str = "graph") -> Line:
    text = f"Breaker {name} of planner went from half open to closed"
    return line(seconds, "transition", text, f"/breakers/{name}")


def page(seconds: float, text: str = "planner fails", *, held: bool = False) -> Line:
    return line(seconds, "alert", f"Page: {text}", held=held)


def heals(seconds: float, text: str, run: int = 1) -> Line:
    return line(seconds, "healing", text, f"/healing/runs/{run}")


def noise(count: int, since: float, step: float = 1, kind: str = "delivery") -> list[Line]:
    return [line(since + n * step, kind, f"{kind} {since} {n}") for n in range(count)]


def account(lines: Sequence[Line], cause: dict[str, Any] | None = None) -> list[Line]:
    ordered = sorted(lines, key=lambda each: each.at)
    return [ordered[place] for place in chosen(ordered, cause or {}, MOST)]


def evidence(kind: str, text: str, link: str = "") -> dict[str, Any]:
    return {"service": "graph", "evidence": [{"kind": kind, "text": text, "link": link}]}


def test_healing_and_overrides_of_others_push_out_neither_alerts_nor_breakers_nor_checks() -> None:
    """As on a busy evening: steps of healing, refusals and overrides of another breaker come first."""
    confirmed = line(30, "check", "The failure of check http is confirmed: 503", CHECK)
    over = line(3000, "check", "The failure of check http is over", CHECK)
    begins, healed = (
        heals(40, "Heal a pool on planner: check http is down"),
        heals(80, "It passed."),
    )
    release = line(-60, "release", "planner runs version 2")
    first, ticket, newest = page(0), line(5, "alert", "Ticket: New in planner"), page(3400, "again")
    opened, closed = opens(1), closes(2900)
    own = line(600, "override", "Breaker graph of planner was reset by ada", GRAPH, actor="ada")
    end = line(3500, "state", "All alerts are over")
    wanted = [
        release,
        first,
        ticket,
        newest,
        opened,
        closed,
        confirmed,
        over,
        begins,
        healed,
        own,
        end,
    ]
    steps = [heals(41 + n, f"Step {n} on planner: done") for n in range(30)]
    refused = [
        heals(90 + n, f"heal of planner: Refused by target lock {n}", n + 2) for n in range(20)
    ]
    others = [
        line(100 + n, "override", f"Breaker redis of planner was set to disabled by bo: {n}", REDIS)
        for n in range(40)
    ]
    others.append(line(160, "transition", "Breaker redis went from disabled to closed", REDIS))
    found = account([*wanted, *steps, *refused, *others, *noise(100, 50)])
    assert set(wanted) <= set(found)
    assert not set(found) & {*steps, *refused}
    assert len(found) <= MOST


def test_messages_and_steps_of_healing_fill_no_room_that_is_left() -> None:
    assert account([page(0), *noise(50, 1), closes(99)]) == [page(0), closes(99)]


def test_what_the_cause_says_stands_in_it() -> None:
    busy = [*(opens(n) for n in range(0, 3000, 20)), *noise(200, 0, 15, "check")]
    began = line(
        7, "check", "Check graph-call of graph went from up to degraded", "/health/checks/9"
    )
    failed = line(9, "check", "The failure of check graph-call is confirmed", "/health/checks/9")
    later = line(1500, "check", "The failure of check graph-call is confirmed", "/health/checks/9")
    chain = line(4, "errors", "First chain of errors from graph: 503", "/chains/1")
    other = line(3, "errors", "First chain of errors from redis: 503", "/chains/2")
    errors = [line(n, "errors", f"A new kind of error {n}") for n in range(100, 200)]
    lines = [*busy, began, failed, later, chain, other, *errors]
    fails = evidence("check", "check graph-call fails since …", "/health/checks/9")
    assert failed in account(lines, fails)
    kind = line(170.5, "errors", "A new kind of error of planner: Timeout", "/patterns/7")
    named = evidence("errors", "9 of 10 errors of planner name graph", "/patterns/7")
    assert kind in account([*lines, kind], named)
    assert kind not in account([*lines, kind])
    clock = f"{began.at:%H:%M:%S}"
    assert began in account(
        lines, evidence("ranking", f"check graph-call became bad at {clock} UTC")
    )
    chains = account(lines, evidence("chains", "9 of 10 chains began there", "/chains?root=graph"))
    assert chain in chains
    between = line(700, "check", "The failure of check graph-call is confirmed", "/health/checks/9")
    said = f"check graph-call failed from {between.at:%H:%M:%S} UTC"
    assert between in account([*lines, between], evidence("check", said, "/health/checks/9"))
    assert between not in account([*lines, between], fails)
    moment = f"{at(1480):%H:%M:%S}"
    told = evidence("breaker", f"breaker graph of planner opened at {moment} UTC", "/breakers?s=p")
    assert opens(1480) in account(lines, told)


def test_the_first_alert_of_each_urgency_is_one_that_somebody_was_told_of() -> None:
    held, told = page(0, "held", held=True), page(50, "told")
    busy = [opens(n) for n in range(0, 3000, 10)]
    found = account([held, told, *busy, page(2999, "newest", held=True)])
    assert told in found
    assert held not in found
    assert found[-1] == page(2999, "newest", held=True)
    # Of none was anybody told: then it is the first all the same.
    assert held in account([held, *busy])


def test_an_account_reaches_over_the_whole_time() -> None:
    found = account([each for n in range(0, 3600, 20) for each in (opens(n), closes(n + 10))])
    assert len(found) == MOST
    away = [(after.at - before.at).total_seconds() for before, after in pairwise(found)]
    assert found[0] == opens(0)
    assert found[-1] == closes(3590)
    assert max(away) <= 4 * 3600 / MOST


def test_each_line_is_shown_or_counted() -> None:
    assert gaps([0, 3, 4], 9) == [0, 2, 0, 4]
    assert gaps([], 3) == [3]


LINES = st.builds(
    lambda seconds, made: made(seconds),
    st.integers(0, 7200),
    st.sampled_from(
        [
            page,
            lambda n: page(n, "held", held=True),
            lambda n: line(n, "alert", "Over after 2 min: planner fails"),
            opens,
            closes,
            lambda n: opens(n, "redis"),
            lambda n: heals(n, f"Step {n}", n % 5),
            lambda n: line(n, "check", f"Check c went from up to down {n}", CHECK),
            lambda n: line(n, "check", "The failure of check c is over", CHECK),
            lambda n: line(n, "errors", f"A new kind of error {n}"),
            lambda n: line(n, "override", f"Breaker redis was set {n}", REDIS, actor="bo"),
            lambda n: line(n, "delivery", f"ops was told: {n}", actor="ops"),
            lambda n: line(n, "release", f"planner runs version {n}"),
        ]
    ),
)
ACTS = st.builds(
    lambda seconds, kind: line(seconds, kind, f"by ada {seconds}", actor="ada"),
    st.integers(0, 7200),
    st.sampled_from(["note", "state"]),
)


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # Making so long a timeline shorter takes minutes, and says little more.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(
    st.lists(LINES, min_size=60, max_size=150),
    st.lists(ACTS, min_size=4, max_size=15),
    st.integers(0, 7200),
)
def test_whatever_happened_cause_newest_alert_and_people_are_in_it(
    others: list[Line], acts: list[Line], failed: int
) -> None:
    proof = line(failed, "check", "The failure of check graph is confirmed", "/health/checks/7")
    ordered = sorted([*others, *acts, proof], key=lambda each: each.at)
    fails = evidence("check", "check graph fails", "/health/checks/7")
    places = chosen(ordered, fails, MOST)
    assert len(places) <= MOST
    assert places == sorted(set(places))
    assert sum(gaps(places, len(ordered))) == len(ordered) - len(places)
    found = [ordered[place] for place in places]
    assert proof in found
    alerts = [each for each in ordered if each.text.startswith("Page: ")]
    assert set(alerts[-1:]) <= set(found)
    assert all(act in found for act in acts)


def test_the_response_is_what_was_done_about_it_and_no_step_between() -> None:
    note = line(1, "note", "on it", actor="ada")
    begins, step, healed = heals(2, "begins"), heals(3, "step"), heals(4, "It passed.")
    refused = heals(5, "heal of planner: Refused by concurrency: 1 run", 2)
    own = line(6, "override", "Breaker graph was reset", GRAPH)
    other = line(7, "override", "Breaker redis was reset", REDIS)
    lines = [opens(0), note, begins, step, healed, refused, own, other, page(8)]
    assert response(lines) == [note, begins, healed, own]


def test_the_same_said_several_times_in_a_moment_is_one_line_with_how_often() -> None:
    same = [line(n, "errors", "A new kind of error", f"/patterns/{n}") for n in (0, 0, 1, 2)]
    later = line(60, "errors", "A new kind of error", "/patterns/9")
    notes = [line(n, "note", "still looking", actor="ada") for n in (3, 4)]
    found = folded([*same, *notes, later])
    assert [each.text for each in found] == [
        "A new kind of error (4 times)", "still looking", "still looking", "A new kind of error",
    ]  # fmt: skip
    assert (found[0].link, found[0].at) == ("/patterns/0", at(0))


def test_an_alert_of_which_nobody_was_told_is_not_folded_into_one_that_was_sent() -> None:
    held = page(0, "planner fails (nobody was told: silenced)", held=True)
    assert folded([page(0), held]) == [page(0), held]


def test_messages_of_which_a_channel_could_not_be_told_one_after_the_other_are_one_line() -> None:
    def fails(seconds: float, channel: str, what: str, why: str = "410 Gone") -> Line:
        return told(seconds, channel, f"could not be told ({why}): {what} fails")

    found = folded(
        [
            fails(0, "chat", "planner"), fails(2, "wiki", "planner"),
            told(5, "mail"),
            fails(300, "chat", "billing"), fails(301, "wiki", "billing"),
            fails(600, "chat", "planner"), fails(602, "wiki", "planner"),
            # For another reason, of another channel alone, and after it could be told again.
            fails(700, "chat", "orders", "503"), fails(760, "chat", "agent"),
            told(800, "chat", "was told: orders fails"),
            fails(900, "chat", "redis"), fails(960, "chat", "graph"),
            fails(901 + 3600, "chat", "late"),
        ]
    )  # fmt: skip
    assert [each.text for each in found] == [
        "chat and wiki could not be told (410 Gone): planner fails; nor of 2 more until "
        f"{at(600):%H:%M:%S}",
        "mail was told: planner fails",
        "chat could not be told (503): orders fails",
        "chat could not be told (410 Gone): agent fails",
        "chat was told: orders fails",
        f"chat could not be told (410 Gone): redis fails; nor of 1 more until {at(960):%H:%M:%S}",
        "chat could not be told (410 Gone): late fails",
    ]
    assert (found[0].at, found[0].link) == (at(0), "/alerts/deliveries/chat")


def told(seconds: float, channel: str, said: str = "was told: planner fails") -> Line:
    link = f"/alerts/deliveries/{channel}"
    return line(seconds, "delivery", f"{channel} {said}", link, actor=channel)


def test_a_message_to_several_channels_is_one_line_that_names_them() -> None:
    failed = "could not be told (410 Gone): planner fails"
    found = folded(
        [
            told(0, "mail"), told(1, "chat", failed), told(4, "hook"), told(9, "pager"),
            told(12, "wiki", failed), told(14, "mail", "was told: billing fails"),
            told(300, "mail"), told(301, "hook"),
        ]
    )  # fmt: skip
    assert [each.text for each in found] == [
        "hook, mail and pager were told: planner fails",
        "chat and wiki could not be told (410 Gone): planner fails",
        "mail was told: billing fails",
        "hook and mail were told: planner fails",
    ]
    assert [each.link for each in found[:2]] == [
        "/alerts/deliveries/mail",
        "/alerts/deliveries/chat",
    ]
    many = folded([told(n, f"c{n}") for n in range(8)])
    assert many[0].text == "c0, c1, c2, c3, c4 and 3 more were told: planner fails"
    assert re.match("mail was told", folded([told(0, "mail")])[0].text)
