"""Probers in trouble: results that cannot be stored, threads that end, hosts that hang, a frozen process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from health import tasks
from health.checks.addresses import Addresses
from health.checks.base import Finding
from health.checks.plugins.http import HttpCheck
from health.models import Check, CheckResult, CheckStatus
from health.prober import life, process, run_now
from health.prober.prober import Prober
from health.prober.running import Probe, Runner
from health.services.claims import Claim, claim_due
from resilience_site.config import config
from tests.health.prober.conftest import Quiet, Target
from tests.health.world import World
from tests.patience import until

pytestmark = pytest.mark.django_db(transaction=True)
Make = Callable[..., Check]
MakeProber = Callable[..., Prober]


def results(check: Check) -> list[CheckResult]:
    return list(CheckResult.objects.filter(check_id=check.id).order_by("at"))


def threads() -> list[str]:
    return sorted(each.name for each in threading.enumerate() if each.name.startswith("prober-"))


class Says(HttpCheck):
    """Finds what it is told to."""

    def __init__(self, run: Callable[[], Any]) -> None:
        self._run = run

    async def run(self, options: Any, context: Any) -> Finding:
        found = self._run()
        return await found if asyncio.iscoroutine(found) else found


def probe(name: str, run: Callable[[], Any], hosts: tuple[tuple[str, int], ...] = ()) -> Probe:
    return Probe(kind=Says(run), options=None, question=name, hosts=hosts)


def runner(per_host: int = 20, **more: Any) -> Runner:
    return Runner(
        per_host=per_host, addresses=Addresses(allow_private=True), connectivity=Quiet(), **more
    )


@pytest.fixture
def claims() -> list[Claim]:
    world = World()
    for name in ("page", "shop", "mail", "wiki"):
        world.check(name, timeout=2)
    world.pass_by(1)
    return claim_due(now=world.now, until=world.now, limit=10)


def test_a_result_that_cannot_be_stored_holds_up_no_other(
    target: Target, make_check: Make, make_prober: MakeProber, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = make_check("poison", target.url("/poison"))
    well = make_check("well", target.url("/well"))
    record = process.results_record

    def refusing(**given: Any) -> list[UUID]:
        if any(e.claim.name == "poison" and e.status == "up" for e in given["results"]):
            raise KeyError("something that nobody foresaw")
        return record(**given)

    monkeypatch.setattr("health.prober.ledger.results_record", refusing)
    prober = make_prober()
    prober.start()
    until(lambda: len(results(well)) >= 2 and len(results(poison)) >= 2)
    assert prober.alive
    assert {each.status for each in results(well)} == {"up"}
    assert {each.status for each in results(poison)} == {"internal_error"}
    assert "could not be stored: KeyError" in results(poison)[0].output


def test_a_round_that_fails_in_an_unforeseen_way_is_not_the_last(
    target: Target,
    make_check: Make,
    make_prober: MakeProber,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(life, "REST_SECONDS", 0.1)
    check = make_check("page", target.url())
    failed = threading.Event()

    def fails_once(*, now: datetime) -> int:
        if failed.is_set():
            return 0
        failed.set()
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(life, "stale_mark", fails_once)
    prober = make_prober()
    prober.start()
    until(lambda: len(results(check)) >= 1)
    assert failed.is_set()
    assert prober.alive


def test_a_prober_that_lost_a_thread_begins_anew_and_leaves_nothing_of_the_old(
    target: Target, make_check: Make, make_prober: MakeProber
) -> None:
    check = make_check("page", target.url())
    prober = make_prober()
    prober.start()
    until(lambda: len(results(check)) >= 1)
    assert prober._life is not None
    prober._life._loop.call_soon_threadsafe(prober._life._loop.stop)
    until(lambda: not prober.alive)
    prober.start()
    assert prober.alive
    until(lambda: threads() == ["prober-loop", "prober-store"])
    seen = len(results(check))
    until(lambda: len(results(check)) > seen)


def test_a_prober_that_cannot_be_made_says_so_and_leaves_no_thread() -> None:
    # Those of a test before may still be ending.
    until(lambda: threads() == [])

    def broken() -> Runner:
        raise ValueError("no host:port")

    prober = Prober(runner=broken, concurrency=10)
    with pytest.raises(ValueError, match="host:port"):
        prober.start()
    assert threads() == []


def test_a_check_that_cannot_be_read_holds_up_no_other(
    target: Target, make_check: Make, make_prober: MakeProber, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = make_check("odd", target.url("/odd"))
    well = make_check("well", target.url("/well"))
    parse = HttpCheck.parse

    def failing(self: HttpCheck, given: Any) -> Any:
        if given["url"].endswith("/odd"):
            raise RecursionError("deep")
        return parse(self, given)

    monkeypatch.setattr(HttpCheck, "parse", failing)
    make_prober().start()
    until(lambda: results(odd) and results(well))
    assert results(well)[0].status == "up"
    assert results(odd)[0].status == "internal_error"


def test_runs_that_wait_for_a_hanging_host_take_no_place_from_others(
    target: Target, make_check: Make, make_prober: MakeProber
) -> None:
    hanging = Target()
    hanging.delay = 600
    try:
        # They have one place at their host for as long as the test may take.
        stuck = [make_check(f"stuck-{n}", hanging.url(f"/{n}")) for n in range(12)]
        CheckStatus.objects.update(next_due_at=datetime.now(UTC) - timedelta(seconds=5))
        well = make_check("well", target.url())
        make_prober(per_host=1, concurrency=3).start()
        until(lambda: results(well))
        assert sum(len(results(each)) for each in stuck) <= 4
    finally:
        hanging.close()


def test_runs_that_need_two_hosts_never_wait_for_each_other(claims: list[Claim]) -> None:
    async def both() -> list[str]:
        one, two = ("a", 1), ("b", 2)
        running = runner(per_host=1)

        async def answer() -> Finding:
            await asyncio.sleep(0)
            return Finding()

        # Somebody holds each host, so that both runs have to wait.
        await running._hosts[one].acquire()
        await running._hosts[two].acquire()
        runs = [
            asyncio.create_task(running.run(claims[0], probe("x", answer, (one, two)))),
            asyncio.create_task(running.run(claims[1], probe("y", answer, (two, one)))),
        ]
        await asyncio.sleep(0.01)
        assert running.waiting == 2
        running._hosts[one].release()
        running._hosts[two].release()
        async with asyncio.timeout(60):
            found = [each.status for each in await asyncio.gather(*runs)]
        assert running.waiting == 0
        return found

    assert asyncio.run(both()) == ["up", "up"]


@pytest.mark.parametrize("ends", [True, False])
def test_a_run_in_a_frozen_process_says_nothing(claims: list[Claim], ends: bool) -> None:
    times = iter([0.0, 60.0])

    async def hang() -> Finding:
        await asyncio.Event().wait()
        return Finding()

    async def once() -> Any:
        running = runner(clock=lambda: next(times))
        shown = probe("x", Finding if ends else hang)
        return await running.run(claims[0], shown)

    result = asyncio.run(once())
    assert result.status == "withheld"
    assert "held up for 58 s" in result.output


def test_run_now_does_not_pass_off_an_older_result_as_its_own(
    target: Target, make_check: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = make_check("page", target.url())
    first = run_now(check.id)
    claim, busy = process.claim_one, [True]

    def taken_once(**given: Any) -> Claim | None:
        return None if busy and busy.pop() else claim(**given)

    monkeypatch.setattr(process, "claim_one", taken_once)
    assert run_now(check.id).started_at > first.started_at


def test_where_nobody_probes_nothing_is_known() -> None:
    world = World(start=datetime.now(UTC) - timedelta(hours=1))
    world.check("page")
    world.run(60)
    assert world.state("page") == "up"
    with config.override(health_checks_enabled=False):
        tasks.checks_run()
    assert world.state("page") == "unknown"


def test_a_prober_that_was_ended_for_good_is_not_begun_again(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    until(lambda: threads() == [])
    monkeypatch.setattr(process, "_ended", False)
    process.end_probing()
    with config.override(health_checks_enabled=True):
        tasks.checks_run()
    assert threads() == []
