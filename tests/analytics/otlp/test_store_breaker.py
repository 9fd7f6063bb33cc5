"""While the store is down, ingest asks it now and then, and answers everyone else at once."""

from __future__ import annotations

from typing import Any

import pytest

from analytics.ingest import gateway as module
from analytics.ingest.gateway import ANSWER_HEADER, STORE_REST_SECONDS, OtlpGateway, Refusal
from breakers.runtime import CircuitBreaker, CircuitState
from breakers.runtime.testing import FakeClock


class Store:
    """The inner application: answers with a status, and counts how often it is asked."""

    def __init__(self) -> None:
        self.status = 200
        self.asked = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += 1
        headers = [(ANSWER_HEADER, b"1"), (b"retry-after", b"5")]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})


class Site:
    """A gateway on such a store, with a key that is always good."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def good(headers: Any) -> None:
            if self.key_refused is not None:
                raise self.key_refused

        monkeypatch.setattr(module, "_check_key", good)
        monkeypatch.setattr(module, "record_refusal", lambda *told: self.told.append(told))
        self.key_refused: Refusal | None = None
        self.told: list[Any] = []
        self.clock = FakeClock()
        self.store = Store()
        self.breaker = CircuitBreaker(
            3, STORE_REST_SECONDS, Refusal, permitted_calls_in_half_open_state=1, clock=self.clock
        )
        self.gateway = OtlpGateway(self.store, self.breaker)

    async def post(self) -> tuple[int, dict[bytes, bytes]]:
        answered: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"{}", "more_body": False}

        async def send(message: Any) -> None:
            answered.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/logs",
            "headers": [(b"content-type", b"application/json")],
        }
        await self.gateway(scope, receive, send)
        return answered[0]["status"], dict(answered[0]["headers"])


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(monkeypatch)


async def test_a_store_that_is_down_is_asked_three_times_and_then_every_two_seconds(
    site: Site,
) -> None:
    site.store.status = 503
    for _ in range(20):
        status, headers = await site.post()
        assert status == 503
        assert int(headers[b"retry-after"]) >= 1
    assert site.store.asked == 3
    assert len(site.told) == 20
    site.clock.advance(STORE_REST_SECONDS)
    assert [(await site.post())[0] for _ in range(5)] == [503] * 5
    assert site.store.asked == 4
    site.clock.advance(STORE_REST_SECONDS)
    site.store.status = 200
    assert [(await site.post())[0] for _ in range(5)] == [200] * 5
    assert site.breaker.state is CircuitState.CLOSED


async def test_a_key_that_cannot_be_checked_counts_and_one_that_is_refused_does_not(
    site: Site,
) -> None:
    site.key_refused = Refusal(401, "key", "no")
    for _ in range(10):
        assert (await site.post())[0] == 401
    assert site.breaker.state is CircuitState.CLOSED
    site.key_refused = module.store_down()
    for _ in range(3):
        assert (await site.post())[0] == 503
    assert site.breaker.state is CircuitState.OPEN
    site.clock.advance(STORE_REST_SECONDS)
    site.key_refused = Refusal(401, "key", "no")
    for _ in range(5):  # a probe that says nothing of the store leaves its place to the next
        assert (await site.post())[0] == 401


async def test_bad_requests_say_nothing_of_the_store(site: Site) -> None:
    site.store.status = 400
    for _ in range(10):
        assert (await site.post())[0] == 400
    assert site.breaker.state is CircuitState.CLOSED
