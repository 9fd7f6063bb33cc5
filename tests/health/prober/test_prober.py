"""Probers against a real server and PostgreSQL: who runs what, when, and what is left behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from health.models import Check, CheckResult, CheckStatus
from health.prober import run_now
from health.prober.prober import Prober
from health.services.checks import check_update
from health.services.results import push_receive
from resilience_site.core.audit import Actor
from resilience_site.core.problems import NotFound
from tests.analytics.outage import closed_database
from tests.health.prober.conftest import Quiet, Target
from tests.patience import until

pytestmark = pytest.mark.django_db(transaction=True)
Make = Callable[..., Check]
MakeProber = Callable[..., Prober]


def results(check: Check) -> list[CheckResult]:
    return list(CheckResult.objects.filter(check_id=check.id).order_by("at"))


def status(check: Check) -> CheckStatus:
    return CheckStatus.objects.get(check_row=check)


def test_a_check_is_run_at_its_interval_and_its_state_follows(
    target: Target, make_check: Make, make_prober: MakeProber
) -> None:
    check = make_check("page", target.url(), failures_to_down=2, successes_to_up=1)
    make_prober().start()
    until(lambda: len(results(check)) >= 3)
    assert status(check).state == "up"
    target.status = b"500 Internal Server Error"
    until(lambda: status(check).state == "down")
    assert "500" in status(check).last_output
    target.status = b"200 OK"
    until(lambda: status(check).state == "up")
    gaps = [
        (b.at - a.at).total_seconds()
        for a, b in zip(results(check)[:3], results(check)[1:3], strict=False)
    ]
    # Far from both twice as often and the default interval, however busy the machine is.
    assert all(0.4 < gap < 20 for gap in gaps)
    assert all(each.late_ms is not None for each in results(check))


def test_ten_probers_run_each_check_once_at_a_time(
    target: Target, make_check: Make, make_prober: MakeProber
) -> None:
    checks = [make_check(f"page-{n}", target.url(f"/{n}")) for n in range(20)]
    for _ in range(10):
        make_prober().start()
    until(lambda: all(len(results(each)) >= 3 for each in checks))
    for check in checks:
        times = [each.at for each in results(check)]
        spaced = [(b - a).total_seconds() for a, b in pairwise(times)]
        assert min(spaced) > 0.4
    counted = Counter(target.paths)
    for number, check in enumerate(checks):
        # One more may be under way.
        assert counted[f"/{number}"] - len(results(check)) <= 1


def test_identical_questions_are_asked_once(
    target: Target, make_check: Make, make_prober: MakeProber
) -> None:
    target.delay = 0.6
    # None comes a second time while the test looks.
    checks = [make_check(f"same-{n}", target.url("/same"), interval_seconds=600) for n in range(10)]
    now = datetime.now(UTC)
    CheckStatus.objects.update(next_due_at=now)
    make_prober().start()
    until(lambda: all(results(each) for each in checks))
    firsts = {results(each)[0].at for each in checks}
    assert len(firsts) < 4
    assert target.paths.count("/same") < len(checks)


def test_a_host_is_never_asked_by_more_than_its_share(
    target: Target, make_check: Make, make_prober: MakeProber
) -> None:
    target.delay = 0.2
    checks = [make_check(f"page-{n}", target.url(f"/{n}")) for n in range(12)]
    CheckStatus.objects.update(next_due_at=datetime.now(UTC))
    make_prober(per_host=3).start()
    until(lambda: all(results(each) for each in checks))
    assert target.most_open <= 3
    assert all(results(each)[0].status == "up" for each in checks)


def test_a_target_that_hangs_is_given_up_at_the_timeout_and_holds_up_no_other(
    target: Target, make_check: Make, make_prober: MakeProber
) -> None:
    hanging = Target()
    hanging.delay = 600
    try:
        stuck = make_check("stuck", hanging.url(), failures_to_down=1, timeout_seconds=0.5)
        well = make_check("well", target.url())
        make_prober().start()
        until(lambda: status(stuck).state == "down" and len(results(well)) >= 3)
        failed = [each for each in results(stuck) if each.status == "down"]
        assert all("Gave up after 0.5 s" in each.output for each in failed)
        assert results(stuck)[0].latency_ms is None
    finally:
        hanging.close()


def test_a_failure_without_a_network_is_withheld(
    make_check: Make, make_prober: MakeProber, network: Quiet
) -> None:
    # 192.0.2.1 is reserved for documentation; nothing is sent to it beyond this machine's stack.
    check = make_check("far", "http://192.0.2.1:9/", failures_to_down=1, timeout_seconds=0.2)
    network.has_network = False
    make_prober().start()
    until(lambda: len(results(check)) >= 2)
    assert {each.status for each in results(check)} == {"withheld"}
    assert status(check).state == "unknown"
    network.has_network = True
    until(lambda: status(check).state == "down")


def test_a_local_failure_counts_without_a_network(
    make_check: Make, make_prober: MakeProber, network: Quiet
) -> None:
    network.has_network = False
    check = make_check("near", "http://127.0.0.1:9/", failures_to_down=1)
    make_prober().start()
    until(lambda: status(check).state == "down")
    assert network.asked == 0


def test_a_prober_that_stops_gives_back_what_it_holds(
    target: Target, make_check: Make, make_prober: MakeProber
) -> None:
    target.delay = 0.9
    checks = [make_check(f"page-{n}", target.url(f"/{n}")) for n in range(5)]
    prober = make_prober()
    prober.start()
    until(lambda: target.open > 0)
    prober.stop()
    assert not prober.alive
    # It is waited for a few seconds, and may take longer.
    until(lambda: not CheckStatus.objects.filter(lease_until__isnull=False).exists())
    assert CheckStatus.objects.filter(next_due_at__isnull=False).count() == len(checks)
    target.delay = 0
    make_prober().start()
    until(lambda: all(results(each) for each in checks))


def test_probing_goes_on_after_the_database_was_away(
    target: Target, make_check: Make, make_prober: MakeProber, caplog: pytest.LogCaptureFixture
) -> None:
    check = make_check("page", target.url())
    make_prober().start()
    until(lambda: len(results(check)) >= 1)
    with closed_database():
        until(lambda: "checks wait for the database" in caplog.text)
    seen = len(results(check))
    until(lambda: len(results(check)) >= seen + 2)


def test_a_changed_check_is_run_as_it_is_now(
    target: Target, make_check: Make, make_prober: MakeProber
) -> None:
    check = make_check("page", target.url("/old"), timeout_seconds=1)
    make_prober().start()
    until(lambda: "/old" in target.paths)
    check_update(
        check_id=check.id,
        changes={"target": {"url": target.url("/new")}},
        actor=Actor.system("test"),
        now=datetime.now(UTC),
    )
    until(lambda: "/new" in target.paths)


@pytest.mark.parametrize(
    ("target_options", "words"),
    [
        ({"url": "http://127.0.0.1:1/"}, "refused"),
        ({"url": "${RESILIENCE_CHECK_NOT_SET}"}, "RESILIENCE_CHECK_NOT_SET"),
    ],
)
def test_a_check_that_cannot_be_run_says_why(
    make_check: Make, target_options: dict[str, Any], words: str
) -> None:
    check = make_check("odd", "http://unused/", target=target_options)
    ran = run_now(check.id)
    assert words in ran.output.replace("actively ", "")


def test_run_now_answers_with_the_result_and_keeps_the_schedule_of_others(
    target: Target, make_check: Make
) -> None:
    check = make_check("page", target.url(), interval_seconds=600)
    ran = run_now(check.id)
    assert ran.status == "up"
    assert ran.latency_ms is not None
    (row,) = results(check)
    assert (row.cause, row.at) == ("manual", ran.started_at)
    due = status(check).next_due_at
    assert due is not None
    assert due > datetime.now(UTC) + timedelta(seconds=200)


@pytest.mark.parametrize(("limit", "found"), [(0.001, "degraded"), (300_000, "up"), (None, "up")])
def test_an_answer_that_takes_longer_than_it_should_is_degraded(
    target: Target, make_check: Make, limit: float | None, found: str
) -> None:
    ran = run_now(make_check("page", target.url(), degraded_above_ms=limit).id)
    assert ran.status == found
    assert ("more than 0.001 ms" in ran.output) == (found == "degraded")


def test_run_now_waits_for_a_run_that_is_under_way(
    target: Target, make_check: Make, make_prober: MakeProber
) -> None:
    target.delay = 0.7
    check = make_check("page", target.url())
    make_prober().start()
    until(lambda: target.open > 0)
    assert run_now(check.id).status == "up"
    assert target.most_open == 1


def test_run_now_of_nothing_is_not_found(transactional_db: None) -> None:
    import uuid

    with pytest.raises(NotFound):
        run_now(uuid.uuid4())


def test_a_heartbeat_is_judged_at_once_and_the_run_says_why_it_took_place(
    make_check: Make, make_prober: MakeProber
) -> None:
    check = make_check("job", "", kind="push", target={}, interval_seconds=600, timeout_seconds=5)
    # Its own turn does not come while the heartbeat does.
    CheckStatus.objects.update(next_due_at=datetime.now(UTC) + timedelta(seconds=300))
    make_prober().start()
    push_receive(check_id=check.id, status="up", output="42 rows", now=datetime.now(UTC))
    until(lambda: status(check).state == "up")
    pushed = [each for each in results(check) if each.cause == "pushed"]
    assert [each.status for each in pushed] == ["up"]
    assert "42 rows" in pushed[0].output
