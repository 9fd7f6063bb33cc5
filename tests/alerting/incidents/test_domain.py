"""Which alerts are of one cause, causes put together from clues, and rises of errors: pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from alerting.domain.calls import elsewhere, named_in
from alerting.domain.cause import Clue, probable_cause, spikes, within_reach
from alerting.domain.incidents import (
    THIS_SITE,
    Around,
    Keys,
    Seen,
    keys_of,
    title_of,
    worst,
)
from alerting.domain.ledger import Held, Ledger
from alerting.domain.timeline import Recorded, is_change, line_of

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def seen(service: str = "planner", minute: float = 0, **more: object) -> Seen:
    given: dict[str, object] = {
        "id": uuid4(), "rule": "r", "severity": "page", "labels": {}, "facts": {},
        "service": service, "started_at": NOW + minute * MINUTE, **more,
    }  # fmt: skip
    return Seen(**given)  # type: ignore[arg-type]


def test_labels_and_facts_name_causes() -> None:
    labels = {"breaker": "graph", "check": "pg", "check_id": "c1", "pattern": "p1", "slo": "s1"}
    facts = {"check": {"id": "c1", "name": "pg"}, "culprit": {"id": "c2", "name": "net"}}
    keys = keys_of(seen(labels=labels, facts=facts), Around())
    assert keys.strong == {"breaker:planner/graph", "check:c1", "check:c2", "pattern:p1", "slo:s1"}
    assert keys.weak == {"service:planner", "dependency:graph"}
    around = Around(frozenset({"graph"}), {"c9": "database"})
    keys = keys_of(seen(), around)
    assert keys.strong == {"root:graph", "root:database", "check:c9"}
    assert keys.weak == {"service:graph", "service:database"}
    assert keys.services == {"planner", "graph", "database"}


def test_words_name_calls_whole_and_by_their_longest_names() -> None:
    names = ["graph", "microsoft_graph", "db", "pool"]
    assert named_in("Microsoft Graph did not answer", names) == {"microsoft_graph"}
    assert named_in("breaker 'graph' is open", names) == {"graph"}
    assert named_in("db: PoolTimeout of the pool", names) == {"pool"}
    assert named_in("graphs of pools", names) == frozenset()


def test_a_service_behind_two_calls_is_not_elsewhere_for_one_of_them() -> None:
    calls = {"orders_read": "orders", "orders_write": "orders", "cache": "redis", "new": ""}
    assert elsewhere(calls, ["orders_read"]) == {"redis"}
    assert elsewhere(calls, ["cache", "unknown"]) == {"orders"}


def test_an_alert_of_the_whole_site_names_the_service_that_most_came_from() -> None:
    assert keys_of(seen("", facts={"culprit": "graph"}), Around()).strong == {"root:graph"}
    assert keys_of(seen(facts={"culprit": "planner"}), Around()).strong == set()
    assert keys_of(seen(""), Around()).weak == {"rule:r"}
    assert keys_of(seen("", labels={"part": "worker"}), Around()).weak == {"part:worker"}


def test_a_breaker_points_at_the_service_that_it_stands_before() -> None:
    around = Around(frozenset({"planner"}), called=frozenset({"microsoft-graph"}))
    keys = keys_of(seen(labels={"breaker": "microsoft_graph"}), around)
    assert keys.strong == {"breaker:planner/microsoft_graph", "root:planner"}
    assert keys.weak == {
        "service:planner", "service:microsoft-graph", "dependency:microsoft_graph"
    }  # fmt: skip
    assert keys.services == {"planner", "microsoft-graph"}


def test_what_senders_put_into_labels_is_bounded() -> None:
    labels = {"breaker": "x" * 1_000, "check": 7, "pattern": None}
    keys = keys_of(seen(labels=labels), Around())
    assert all(len(key) <= 300 for key in keys.all)


minutes = st.integers(-60, 60)
causes = st.sampled_from(["breaker:a", "breaker:b", "root:c", "service:planner", "service:d"])


@given(st.lists(st.tuples(minutes, st.sets(causes, min_size=1)), max_size=12), st.data())
def test_the_order_in_which_alerts_come_decides_nothing_that_a_strong_key_does(
    alerts: list[tuple[int, set[str]]], data: st.DataObject
) -> None:
    """Whatever comes first, at the end no two open incidents share a strong key."""
    ledger, held = Ledger(), []
    for minute, keys in data.draw(st.permutations(alerts)):
        alert = seen(minute=minute)
        strong = frozenset(key for key in keys if not key.startswith("service:"))
        weak = frozenset(keys) - strong
        found = ledger.matching(alert, Keys(strong, weak, frozenset(), frozenset()))
        if not found:
            made = Held(uuid4(), alert.started_at, alert.started_at)
            ledger.add(made)
            held.append(made.id)
            found = [made.id]
        for other in found[1:]:
            ledger.merge(found[0], other)
            held.remove(other)
        ledger.point(found[0], keys)
    for older, younger in ledger.same_cause(held):
        if older in held and younger in held:
            ledger.merge(older, younger)
            held.remove(younger)
    owners: dict[str, set[UUID]] = {}
    for each in held:
        for key in ledger.get(each).keys:
            owners.setdefault(key, set()).add(each)
    assert all(len(ids) == 1 for key, ids in owners.items() if not key.startswith("service:"))


def held(minute: float, *keys: str) -> Held:
    begun = NOW + minute * MINUTE
    return Held(uuid4(), begun, begun, keys=set(keys))


def test_an_alert_joins_what_it_has_most_in_common_with_before_what_began_next_to_it() -> None:
    alike, near = held(-8, "service:planner", "dependency:graph"), held(-1, "service:planner")
    weak = frozenset({"service:planner", "dependency:graph"})
    keys = Keys(frozenset(), weak, frozenset(), frozenset())
    assert Ledger([near, alike]).matching(seen(), keys) == [alike.id]
    assert Ledger([near]).matching(seen(), keys) == [near.id]


def test_what_two_were_that_are_one_now_lasts_as_long_as_the_later_heard_of_it() -> None:
    older, younger = held(-60, "service:planner"), held(-10, "service:planner")
    keys = Keys(frozenset(), frozenset({"service:planner"}), frozenset(), frozenset())
    assert Ledger([older]).matching(seen(), keys) == []
    ledger = Ledger([older, younger])
    ledger.merge(older.id, younger.id)
    assert ledger.matching(seen(), keys) == [older.id]


def test_severity_and_title_are_those_of_the_most_urgent_alert() -> None:
    assert worst(["info", "page", "ticket"]) == "page"
    assert worst([]) == "info"
    first = seen(severity="ticket", summary="slow", minute=-5)
    second = seen(severity="page", summary="down\n now")
    assert title_of([first, second]) == "down now"
    assert title_of([seen(minute=1, summary="later"), second]) == "down now"
    assert title_of([seen()]) == "r of planner"


def test_clues_of_many_kinds_are_surer_than_one() -> None:
    one = probable_cause([Clue("chains", "graph", 0.9, "9 of 10 chains")])
    two = probable_cause(
        [
            Clue("chains", "graph", 0.9, "9 of 10 chains", "/chains"),
            Clue("ranking", "graph", 0.5, "errors rose"),
            Clue("alerts", "planner", 1.0, "alerts of planner: 2 of 2"),
        ]
    )
    assert one["service"] == two["service"] == "graph"
    assert two["confidence"] > one["confidence"]
    assert two["evidence"][0] == {"kind": "chains", "text": "9 of 10 chains", "link": "/chains"}
    assert two["others"] == [{"service": "planner", "confidence": 0.2}]
    assert two["text"] == "It began in graph: 9 of 10 chains."
    assert probable_cause([]) == {}


def test_a_symptom_is_not_the_cause_when_a_breaker_explains_it() -> None:
    caller = [
        Clue("chains", "planner", 1.0, "71 of 71 chains"),
        Clue("ranking", "planner", 0.9, "errors rose"),
        Clue("alerts", "planner", 0.9, "9 of 10 alerts"),
    ]
    assert probable_cause(caller)["service"] == "planner"
    opened = Clue("breaker", "graph", 1.0, "breaker graph opened", explains="planner")
    found = probable_cause([*caller, opened])
    assert found["text"] == "It probably began in graph: breaker graph opened."
    assert found["others"][0]["service"] == "planner"
    failing = Clue("check", "graph", 0.8, "check graph-call fails")
    assert probable_cause([*caller, opened, failing])["text"].startswith("It began in graph: ")


def test_reach_follows_calls_but_not_those_of_this_site() -> None:
    calls = [("agent", "planner"), ("planner", "graph"), (THIS_SITE, "planner"), ("graph", "agent")]
    assert within_reach(["planner"], calls) == {"planner", "graph", "agent"}
    assert within_reach([THIS_SITE], calls) == {THIS_SITE}
    assert within_reach([], calls) == frozenset()


@given(
    st.lists(
        st.builds(
            Clue,
            st.sampled_from(["check", "chains", "ranking", "alerts"]),
            st.sampled_from(["a", "b", ""]),
            st.floats(-1, 2),
            st.just("x"),
        )
    )
)
def test_confidence_is_a_share(clues: list[Clue]) -> None:
    found = probable_cause(clues)
    assert not found or 0 <= found["confidence"] <= 1


def test_rises_are_told_from_normal_minutes() -> None:
    counts = {
        NOW + n * MINUTE: errors for n, errors in enumerate([1, 20, 30, 2, 25, 1, 1, 1, 1, 9])
    }
    (first, second) = spikes(counts, normal=1.0)
    assert (first.since, first.until) == (NOW + MINUTE, NOW + 5 * MINUTE)
    assert (first.errors, first.peak, first.peak_at) == (77, 30, NOW + 2 * MINUTE)
    assert second.errors == 9
    assert spikes(counts, normal=11.0) == []
    assert spikes({NOW: 4}, normal=0.0) == []


@given(
    st.sampled_from(["breakers", "health", "toggles", "releases", "anomalies", "predictions",
                     "maintenance", "patterns", "healing", "site", "degraded", "other"]),
    st.sampled_from(["breaker.transition", "override.set", "override.expired", "state_changed",
                     "failure_confirmed", "failure_ended", "anomaly_started", "prediction_made",
                     "pattern.new", "release_first_seen", "site.trouble_began", "run.failed", ""]),
    st.dictionaries(
        st.sampled_from(["name", "from_state", "check", "culprit", "since", "output", "unreachable",
                         "notice", "actor", "reason", "version", "value", "expected", "metric",
                         "probability", "type", "text", "started_at", "first_seen", "kind"]),
        st.none() | st.text(max_size=5) | st.integers() | st.lists(st.integers(), max_size=2)
        | st.dictionaries(st.just("name"), st.text(max_size=3)),
    ),
)  # fmt: skip
def test_any_entry_of_the_journal_is_told_or_passed_over(
    topic: str, kind: str, payload: dict[str, object]
) -> None:
    line = line_of(Recorded(1, NOW, topic, kind, "key", "state", "planner", payload))
    assert line is None or (line.text and line.at.tzinfo is not None)


def test_other_limits_of_a_bulkhead_are_told_as_what_somebody_did() -> None:
    payload = {"name": "pool/eu", "number": 2, "actor": "ana"}
    entry = Recorded(1, NOW, "bulkheads", "policy.changed", "planner", "", "planner", payload)
    line = line_of(entry)
    assert line is not None
    assert line.text == "The limits of bulkhead pool/eu of planner were changed by ana"
    assert (line.kind, line.link) == ("override", "/bulkheads/planner/pool/eu")
    assert is_change(entry)
    assert line_of(replace(entry, kind="bulkhead.rejected")) is None


def test_a_breaker_that_only_tries_whether_it_may_close_is_worth_no_line() -> None:
    def line(before: str, state: str) -> object:
        payload = {"name": "graph", "from_state": before}
        return line_of(
            Recorded(1, NOW, "breakers", "breaker.transition", "k", state, "planner", payload)
        )

    assert line("open", "half_open") is None
    assert line("half_open", "open") is None
    assert line("closed", "open") is not None
    assert line("half_open", "closed") is not None
