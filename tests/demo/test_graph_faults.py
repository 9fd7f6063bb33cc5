from __future__ import annotations

import random
import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.demo.graph_faults import FaultError, FaultKind, Faults
from tests.demo.graph import Clock, Graph
from tests.patience import until

MINE = "/v1.0/me/planner/tasks"


def error(answer: httpx.Response) -> dict[str, object]:
    return dict(answer.json()["error"])


def test_throttling_is_429_with_retry_after(graph: Graph) -> None:
    graph.fault("throttle", value=7)
    answer = graph.http.get(MINE)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert error(answer)["code"] == "TooManyRequests"


def test_unavailability_is_503(graph: Graph) -> None:
    graph.fault("unavailable")
    answer = graph.http.get(MINE)
    assert answer.status_code == 503
    assert "retry-after" not in answer.headers
    assert error(answer)["code"] == "serviceNotAvailable"


def test_latency_delays_the_answer(graph: Graph) -> None:
    graph.fault("latency", value=0.2)
    started = time.monotonic()
    assert graph.http.get(MINE).status_code == 200
    assert time.monotonic() - started >= 0.2


def outcomes(graph: Graph) -> list[str]:
    rows = graph.http.get("/_requests").json()["items"]
    return [row["outcome"] for row in rows]


@pytest.mark.parametrize(("faults", "outcome"), [((), "201"), (("reset",), "reset")])
def test_who_gives_up_waiting_does_not_know_what_became_of_the_write(
    graph: Graph, faults: tuple[str, ...], outcome: str
) -> None:
    plan_id = graph.http.get(MINE).json()["value"][0]["planId"]
    graph.http.delete("/_requests")
    for kind in faults:
        graph.fault(kind)
    # Much longer than the patience: a caller that is held up meanwhile still gives up first.
    graph.fault("latency", value=3)
    with pytest.raises(httpx.ReadTimeout):
        graph.http.post(
            "/v1.0/planner/tasks",
            json={"planId": plan_id, "title": "Late"},
            timeout=httpx.Timeout(60, read=0.1),
        )
    until(lambda: outcomes(graph) == [outcome])


def test_a_sender_that_leaves_before_the_body_ends_is_counted(graph: Graph) -> None:
    graph.http.delete("/_requests")
    parts = urlsplit(graph.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as raw:
        raw.sendall(b"POST /v1.0/planner/tasks HTTP/1.1\r\nHost: g\r\nContent-Length: 9\r\n\r\n{")
    until(lambda: outcomes(graph) == ["abandoned"])


def test_a_large_latency_is_read_as_milliseconds() -> None:
    faults = Faults(random.Random(1), Clock())
    assert faults.put({"kind": "latency", "value": 1500}).value == 1.5
    assert faults.put({"kind": "latency", "value": 1.5}).value == 1.5


def test_a_reset_is_a_real_tcp_reset(graph: Graph) -> None:
    graph.fault("reset")
    parts = urlsplit(graph.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as raw:
        raw.sendall(f"GET {MINE} HTTP/1.1\r\nHost: graph\r\n\r\n".encode())
        with pytest.raises(ConnectionResetError):
            raw.recv(1)
    with pytest.raises(httpx.ReadError):
        graph.http.get(MINE)


def test_a_token_fault_rejects_good_tokens(graph: Graph) -> None:
    graph.fault("token")
    answer = graph.http.get(MINE)
    assert answer.status_code == 401
    assert error(answer)["code"] == "InvalidAuthenticationToken"
    assert graph.token().status_code == 200


def test_an_auth_outage_stops_new_tokens_but_not_old_ones(graph: Graph) -> None:
    graph.fault("auth")
    refused = graph.token()
    assert refused.status_code == 503
    assert refused.json()["error"] == "temporarily_unavailable"
    assert refused.json()["error_description"].startswith("AADSTS90033: ")
    assert graph.http.get(MINE).status_code == 200


def test_several_faults_are_active_at_once_and_can_be_cleared_singly(graph: Graph) -> None:
    graph.fault("throttle", rate=0.5, value=3, seconds=60)
    graph.fault("latency", value=0)
    items = graph.http.get("/_faults").json()["items"]
    assert [item["kind"] for item in items] == ["throttle", "latency"]
    assert items[0]["rate"] == 0.5
    assert 0 < items[0]["seconds_left"] <= 60
    left = graph.http.delete("/_faults", params={"kind": "throttle"}).json()["items"]
    assert [item["kind"] for item in left] == ["latency"]
    assert graph.http.delete("/_faults").json() == {"items": []}
    assert graph.http.get(MINE).status_code == 200


def test_a_fault_ends_after_its_seconds() -> None:
    clock = Clock()
    faults = Faults(random.Random(1), clock)
    faults.put({"kind": "unavailable", "seconds": 10})
    clock.now += 9.9
    assert faults.strike(FaultKind.UNAVAILABLE)
    clock.now += 0.1
    assert not faults.strike(FaultKind.UNAVAILABLE)
    assert faults.as_json() == {"items": []}


@given(rate=st.floats(0, 1), seed=st.integers())
def test_a_fault_strikes_at_its_rate(rate: float, seed: int) -> None:
    faults = Faults(random.Random(seed), Clock())
    faults.put({"kind": "throttle", "rate": rate})
    struck = sum(faults.strike(FaultKind.THROTTLE) is not None for _ in range(1000))
    # Six standard deviations, so that no seed fails.
    assert abs(struck - 1000 * rate) <= 6 * (1000 * rate * (1 - rate)) ** 0.5 + 1e-9


@pytest.mark.parametrize(
    ("described", "named"),
    [
        ({"kind": "flood"}, "kind"),
        ({"rate": 1}, "kind"),
        ({"kind": ["throttle"]}, "kind"),
        ({"kind": "throttle", "rate": 1.5}, "rate"),
        ({"kind": "throttle", "rate": -0.1}, "rate"),
        ({"kind": "throttle", "rate": True}, "rate"),
        ({"kind": "throttle", "rate": "1"}, "rate"),
        ({"kind": "latency", "value": -1}, "value"),
        ({"kind": "latency", "value": float("nan")}, "value"),
        ({"kind": "latency", "seconds": 0}, "seconds"),
        ({"kind": "latency", "seconds": float("inf")}, "seconds"),
        ({"kind": "latency", "ratio": 1}, "ratio"),
        ([], "JSON object"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_by_name(described: object, named: str) -> None:
    faults = Faults(random.Random(1), Clock())
    with pytest.raises(FaultError, match=named):
        faults.put(described)
    assert not faults.active()


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_any_json_is_a_fault_or_a_clear_refusal(described: object) -> None:
    faults = Faults(random.Random(1), Clock())
    with pytest.raises(FaultError):
        faults.put(described)


def test_the_switch_answers_a_wrong_fault_with_400(graph: Graph) -> None:
    for body in (b"", b"{", b"\xff", b'{"kind": "flood"}', b"NaN"):
        answer = graph.http.put("/_faults", content=body)
        assert answer.status_code == 400
        assert error(answer)["code"] == "badRequest"
    assert graph.http.delete("/_faults", params={"kind": "flood"}).status_code == 400
    assert graph.http.get("/_faults").json() == {"items": []}
