"""Which service is named as the cause, and with what evidence."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.domain.causes.events import event_of, is_severe
from analytics.domain.causes.incident import Call, Change, Incident, Line, Symptom, Window
from analytics.domain.causes.ranking import lacking, rank
from tests.analytics.causes.traffic import MS, Traffic, names, shop, suspects


def test_nothing_is_suspected_where_nothing_changed() -> None:
    assert suspects(shop(), shop()) == []


def test_a_slow_network_is_blamed_on_the_called_service() -> None:
    found = suspects(shop(network=500), shop())
    assert found[0].service == "stock"
    (gap,) = [each for each in found[0].evidence if each.kind == "call_gap"]
    assert (gap.value, gap.normal) == (500.0, 1.0)
    assert "500.0 ms" in gap.text
    assert "20 calls" in gap.text


def test_a_failure_is_blamed_on_the_deepest_that_failed() -> None:
    found = suspects(shop(stock_fails=True), shop())
    assert names(found) == ["stock"]
    assert found[0].evidence[0].kind == "errors"
    assert found[0].evidence[0].value == 1.0
    assert "20 of 20 calls" in found[0].evidence[0].text


def test_a_step_not_taken_is_found_without_any_error() -> None:
    window = shop()
    silent = [line for line in window.lines if line.event != "Stock counted"]
    found = suspects(replace(window, lines=silent), shop())
    assert names(found) == ["stock"]
    assert "Stock counted" in found[0].evidence[0].text


def test_another_mix_of_traffic_is_no_missing_step() -> None:
    def window(trains: int, buses: int) -> Window:
        traffic = Traffic()
        for number in range(trains + buses):
            call = traffic.call("seats", took=5)
            traffic.line(call, "Seat asked for")
            traffic.line(call, "It is a train" if number < trains else "It is a bus")
            traffic.line(call, "Seat found")
        return traffic.window()

    assert suspects(window(5, 35), window(30, 10)) == []


def test_an_operation_that_works_longer_itself_is_found() -> None:
    def window(work: float) -> Window:
        traffic = Traffic()
        for _ in range(10):
            web = traffic.call("web", took=20 + work)
            client = traffic.call("web", web, took=11 + work, operation="GET price")
            traffic.call("price", client, took=10 + work)
        return traffic.window()

    found = suspects(window(400), window(0))
    assert names(found)[0] == "price"
    assert found[0].evidence[0].kind == "self_time"


def test_a_resource_used_up_leads() -> None:
    normal = {("a", "cpu"): [(n * 60.0, 5 + n % 3) for n in range(30)]}
    normal["b", "cpu"] = normal["a", "cpu"]
    window = {("a", "cpu"): [(0.0, 99.0)], ("b", "cpu"): [(0.0, 6.0)]}
    found = rank(Incident(Window(series=window), Window(series=normal)))
    assert names(found) == ["a"]
    assert found[0].evidence[0].text.startswith("cpu reached 99, normally 6")


def loss_window(**latencies: tuple[float, float]) -> Window:
    """Four intervals of five minutes; the second value from the third on."""
    series = {}
    for service, (before, since) in latencies.items():
        values = [before, before, since, since]
        series[service, "latency_avg"] = [(n * 300.0, value) for n, value in enumerate(values)]
        series[service, "requests"] = [(n * 300.0, 100.0) for n in range(4)]
    return Window(series=series)


EDGES = frozenset({("front", "a"), ("front", "b"), ("a", "db")})


def test_time_lost_is_traced_along_the_graph_from_the_symptom() -> None:
    normal = loss_window(front=(0.2, 0.2), a=(0.1, 0.1), b=(0.1, 0.1), db=(0.01, 0.01))
    window = loss_window(front=(0.2, 0.7), a=(0.1, 0.6), b=(3.0, 3.0), db=(0.01, 0.5))
    symptom = Symptom("front", "latency_avg", 600.0)
    found = rank(Incident(window, normal, EDGES, symptom))
    # b was slow before anything was noticed; a only waits for its database.
    assert names(found)[0] == "db"
    assert "98%" in found[0].evidence[0].text


def test_who_calls_what_it_never_called_is_named_instead_of_it() -> None:
    def availability(**values: float) -> Window:
        return Window(
            series={
                (service, "availability"): [(n * 300.0, value) for n in range(4)]
                for service, value in values.items()
            }
        )

    found = rank(
        Incident(
            availability(front=80, a=60, wrong=0),
            availability(front=100, a=100),
            frozenset({("front", "a"), ("a", "wrong")}),
            Symptom("front", "availability", 0.0),
        )
    )
    assert names(found)[0] == "a"
    assert "called wrong, which it never did" in found[0].evidence[0].text


def test_a_change_of_state_explains_the_symptom() -> None:
    released = Change("stock", "release", 1.0, "version 2 was first seen", "/releases")
    without = suspects(shop(network=500), shop())
    with_it = suspects(shop(network=500), shop(), changes=[released])
    assert with_it[0].service == "stock"
    assert with_it[0].score > without[0].score
    assert "release" in {each.kind for each in with_it[0].evidence}


def test_a_caller_whose_errors_a_change_below_explains_comes_after_it() -> None:
    window, normal = Traffic(), Traffic()
    for number in range(40):
        for traffic, bad in ((window, number % 2 == 0), (normal, False)):
            web = traffic.call("web", took=10, failed=bad)
            traffic.call("cache", web, took=1)
    restarted = Change("cache", "restart", 1.0, "a new instance came up")
    alone = suspects(window.window(), normal.window())
    assert names(alone) == ["web"]
    found = suspects(window.window(), normal.window(), changes=[restarted])
    assert names(found) == ["cache", "web"]


@pytest.mark.parametrize(
    ("released_at", "order"), [(2.0, ["cache", "web"]), (0.5, ["web", "cache"])]
)
def test_a_change_that_came_after_that_of_what_it_calls_explains_nothing_more(
    released_at: float, order: list[str]
) -> None:
    window, normal = Traffic(), Traffic()
    for number in range(40):
        for traffic, bad in ((window, number % 2 == 0), (normal, False)):
            web = traffic.call("web", took=10, failed=bad)
            traffic.call("cache", web, took=1)
    changes = [
        Change("cache", "restart", 1.0, "a new instance came up"),
        Change("web", "release", released_at, "version 2 was first seen"),
    ]
    found = suspects(window.window(), normal.window(), changes=changes)
    assert names(found) == order
    assert "release" in {each.kind for one in found for each in one.evidence}


def test_a_change_where_nothing_is_wrong_is_only_a_hint() -> None:
    elsewhere = Change("billing", "release", 1.0, "version 2 was first seen")
    found = suspects(shop(network=500), shop(), changes=[elsewhere])
    assert found[0].service == "stock"
    assert names(found)[-1] == "billing"


def test_error_timeout_masked() -> None:
    """The only failed span is the proxy that gave up; the culprit below says OK, too late."""

    def window(slow: bool) -> Window:
        traffic = Traffic()
        for _ in range(12):
            web = traffic.call("frontend", took=510 if slow else 60, failed=slow)
            proxy = traffic.call("proxy", web, took=500 if slow else 50, failed=slow)
            traffic.call("recommend", proxy, took=2_000 if slow else 40)
        return traffic.window()

    assert names(suspects(window(slow=True), window(slow=False)))[0] == "recommend"


def test_sibling_errors() -> None:
    """Two failing siblings: the first matters, the second fails because of what it left behind."""

    def window(bad: bool) -> Window:
        traffic = Traffic()
        for _ in range(12):
            web = traffic.call("checkout", took=100, failed=bad)
            traffic.call("quotes", web, took=10, at=10, failed=bad)
            traffic.call("address", web, took=10, at=40, failed=bad)
        return traffic.window()

    assert names(suspects(window(bad=True), window(bad=False))) == ["quotes"]


def test_clocks_that_differ_change_nothing() -> None:
    def skewed(window: Window) -> Window:
        calls = [
            call._replace(
                start_ns=call.start_ns - 3600_000 * MS, end_ns=call.end_ns - 3600_000 * MS
            )
            if call.service == "stock"
            else call
            for call in window.calls
        ]
        return replace(window, calls=calls)

    assert suspects(skewed(shop(network=500)), shop()) == suspects(shop(network=500), shop())


def test_windows_without_anything_say_so() -> None:
    empty = Incident(Window(), Window())
    assert rank(empty) == []
    assert lacking(empty) == [
        "Not enough data: no traces of the incident.",
        "Not enough data: no logs of the incident.",
        "Not enough data: no metrics of the incident.",
    ]
    alone = Incident(Window(series={("web", "latency"): [(0.0, 1.0)]}), Window())
    assert lacking(alone)[-1].endswith("without traces or a call graph no loss can be followed.")
    one = Incident(Window([Call("t", "s", "", "web", "GET", 5, 2, False)]), Window())
    assert rank(one) == []
    assert (
        lacking(one)[0] == "Not enough data: traces of the incident, but none of a normal window."
    )


def test_spans_without_failures_and_logs_say_what_they_cannot_show() -> None:
    well = Call("t", "s", "", "web", "GET", 2, 5, False)
    failed = well._replace(failed=True)
    line = Line("web", False, "t", "s", "asked")
    told = [
        any("cannot be told from one that is well" in note for note in lacking(Incident(w, w)))
        for w in (Window([well]), Window([failed]), Window([well], [line]), Window())
    ]
    assert told == [True, False, False, False]


@pytest.mark.parametrize("wide", [True, False])
def test_huge_and_deep_traces_are_ranked(wide: bool) -> None:
    def window(took: float) -> Window:
        traffic = Traffic()
        caller = traffic.call("s0", took=9_000 + took)
        for number in range(1, 10_000 if wide else 200):
            made = traffic.call(f"s{number % 7}", caller, took=1 if wide else 9_000 - number)
            caller = caller if wide else made
        return traffic.window()

    for suspect in suspects(window(3), window(0)):
        assert 0 <= suspect.score <= 1


few = st.sampled_from(["a", "b", "c", ""])
calls = st.lists(
    st.builds(
        Call, few, few, few, st.sampled_from(["web", "db"]), few,
        st.integers(-5, 10**18), st.integers(-5, 10**18), st.booleans(),
    ),
    max_size=12,
)  # fmt: skip
lines = st.lists(
    st.builds(
        Line,
        st.sampled_from(["web", "db"]),
        st.booleans(),
        few,
        few,
        st.text(max_size=5),
        st.integers(1, 10**6),
    ),
    max_size=6,
)
points = st.lists(
    st.tuples(st.floats(0, 1e9), st.floats(allow_nan=False, allow_infinity=False, width=32)),
    max_size=8,
)
metrics = st.dictionaries(
    st.tuples(st.sampled_from(["web", "db"]), st.sampled_from(["cpu", "latency", "requests"])),
    points,
    max_size=4,
)
windows = st.builds(Window, calls, lines, metrics)
symptoms = st.one_of(
    st.none(),
    st.builds(
        Symptom,
        st.sampled_from(["web", "x"]),
        st.sampled_from(["latency", "availability", ""]),
        st.one_of(st.none(), st.floats(0, 1e9)),
    ),
)


@settings(max_examples=80, deadline=None)
@given(windows, windows, symptoms)
def test_whatever_is_observed_has_a_ranking(
    window: Window, normal: Window, symptom: Symptom | None
) -> None:
    edges = frozenset({("web", "db"), ("db", "web"), ("db", "db")})
    found = rank(Incident(window, normal, edges, symptom))
    assert all(0 <= suspect.score <= 1 for suspect in found)
    assert all(suspect.evidence for suspect in found)
    assert len({suspect.service for suspect in found}) == len(found)


def test_messages_of_one_kind_are_one_event() -> None:
    assert event_of("Order 4711 not found") == event_of("Order 12 not found")
    assert event_of("Could not reach host: a") == event_of("Could not reach host: b")
    assert event_of("") == ""


@pytest.mark.parametrize(
    ("severity", "severe"), [("ERROR", True), ("17", True), ("fatal", True), ("INFO", False), ("9", False), ("", False)]
)  # fmt: skip
def test_severities_by_name_and_number(severity: str, severe: bool) -> None:
    assert is_severe(severity) is severe
