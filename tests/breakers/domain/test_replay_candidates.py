"""What candidates would have done, computed by hand."""

from __future__ import annotations

from breakers.runtime.circuit_state import BreakerPolicy
from tests.breakers.domain.scripts import Script, at, moves, run


def test_a_lower_threshold_opens_earlier_and_refuses_what_came_then() -> None:
    script = Script(BreakerPolicy(5, 10))
    # Failures at 0..4 open it at 4 until 14; successes at 14, 15 and 16 close it.
    script.sequence("fffff---------sssss", begin=0)
    script.collect()
    found = run(script.batches, BreakerPolicy(3, 10))
    assert moves(found, simulated=False) == [
        (4, "open", "failure_threshold"),
        (14, "half_open", "timeout"),
        (16, "closed", "recovered"),
    ]
    # It opens at 2 until 12: the failures at 3 and 4 are spared, nothing else changes.
    assert moves(found) == [
        (2, "open", "failure_threshold"),
        (14, "half_open", "timeout"),
        (16, "closed", "recovered"),
    ]
    assert found.diverged_at == at(2)
    assert (found.calls, found.failures) == (10, 5)
    assert (found.failures_avoided, found.good_calls_refused, found.unknown) == (2, 0, 0)
    assert (found.recorded.opened, found.simulated.opened) == (1, 1)
    assert (found.recorded.open_seconds, found.simulated.open_seconds) == (10, 12)
    assert not found.reproduced
    assert found.verified


def test_a_lower_threshold_refuses_good_calls_as_well() -> None:
    script = Script(BreakerPolicy(5, 10))
    script.sequence("fffsssssssssssssss", begin=0)
    script.collect()
    found = run(script.batches, BreakerPolicy(3, 10))
    # Open from 2 to 12: the successes at 3..11 are refused, those of 12, 13 and 14 are the probes.
    assert moves(found) == [
        (2, "open", "failure_threshold"),
        (12, "half_open", "timeout"),
        (14, "closed", "recovered"),
    ]
    assert (found.failures_avoided, found.good_calls_refused) == (0, 9)
    assert found.recorded.transitions == ()
    assert (found.recorded.open_seconds, found.simulated.open_seconds) == (0, 10)


def test_a_higher_threshold_never_opens_and_what_was_rejected_stays_unknown() -> None:
    script = Script(BreakerPolicy(2, 10, permitted_calls_in_half_open_state=1))
    script.sequence("ff", begin=0)
    # Seven are rejected while it is open, from 1 to 11; the one at 11 closes it again.
    script.sequence("sssssss", begin=2)
    script.sequence("ss", begin=11)
    script.collect()
    found = run(script.batches, BreakerPolicy(3, 10, permitted_calls_in_half_open_state=1))
    assert moves(found) == []
    assert (found.rejected, found.unknown) == (7, 7)
    assert (found.failures_avoided, found.good_calls_refused) == (0, 0)
    assert (found.recorded.open_seconds, found.simulated.open_seconds) == (10, 0)


def test_a_shorter_open_time_leaves_a_part_of_the_rejected_unknown() -> None:
    script = Script(BreakerPolicy(2, 20, permitted_calls_in_half_open_state=1))
    script.sequence("ff", begin=-1)
    # Open from 0 to 20, with one rejected call a second.
    script.sequence("s" * 20, begin=0)
    script.sequence("s", begin=20)
    script.collect()
    shorter = BreakerPolicy(2, 5, permitted_calls_in_half_open_state=1)
    found = run(script.batches, shorter)
    assert found.rejected == 20
    assert found.unknown == 15
    # Of the calls between 5 and 20 nothing is known, so the first probe is the one at 20.
    assert moves(found) == moves(found, simulated=False)
    assert found.diverged_at is None


def test_a_longer_open_time_refuses_the_recorded_probes() -> None:
    script = Script(BreakerPolicy(2, 5, permitted_calls_in_half_open_state=1))
    script.sequence("ff", begin=-1)
    script.sequence("fsfs", begin=5)
    script.collect()
    # 5: a probe fails, open until 10; the rest of the sequence is rejected.
    script.sequence("sss", begin=10)
    script.collect()
    found = run(script.batches, BreakerPolicy(2, 11, permitted_calls_in_half_open_state=1))
    assert moves(found, simulated=False) == [
        (0, "open", "failure_threshold"),
        (5, "half_open", "timeout"),
        (5, "open", "failure_threshold"),
        (10, "half_open", "timeout"),
        (10, "closed", "recovered"),
    ]
    assert moves(found) == [
        (0, "open", "failure_threshold"),
        (11, "half_open", "timeout"),
        (11, "closed", "recovered"),
    ]
    assert (found.failures_avoided, found.good_calls_refused) == (1, 1)
    assert (found.rejected, found.unknown) == (3, 0)
    assert (found.recorded.open_seconds, found.simulated.open_seconds) == (10, 11)


def test_a_call_is_refused_by_its_beginning_not_by_its_end() -> None:
    script = Script(BreakerPolicy(5, 10))
    script.until(0)
    early = script.breaker.acquire()
    script.sequence("ff", begin=1)
    script.until(2.5)
    late = script.breaker.acquire()
    script.until(4)
    early.success()
    late.success()
    script.collect()
    found = run(script.batches, BreakerPolicy(2, 10))
    # It opens at 2: what began at 0 ends in peace, what began at 2.5 is refused.
    assert moves(found) == [(2, "open", "failure_threshold")]
    assert found.good_calls_refused == 1
    assert found.calls == 4


def test_more_probes_take_the_calls_that_came_after_the_recovery() -> None:
    script = Script(BreakerPolicy(2, 10, permitted_calls_in_half_open_state=1))
    script.sequence("ff", begin=-1)
    # The probe at 10 closes it; 11 fails, 12 succeeds.
    script.sequence("sfs", begin=10)
    script.collect()
    found = run(script.batches, BreakerPolicy(2, 10, permitted_calls_in_half_open_state=3))
    # With three probes the one that fails at 11 opens it again until 21.
    assert moves(found) == [
        (0, "open", "failure_threshold"),
        (10, "half_open", "timeout"),
        (11, "open", "failure_threshold"),
    ]
    assert found.diverged_at == at(10)
    assert (found.failures_avoided, found.good_calls_refused) == (0, 1)


def test_fewer_probes_refuse_the_others() -> None:
    script = Script(BreakerPolicy(2, 10, permitted_calls_in_half_open_state=3))
    script.sequence("ff", begin=-1)
    script.until(10)
    probes = [script.breaker.acquire() for _ in range(3)]
    for probe in probes:
        script.clock.now += 1
        probe.success()
    script.collect()
    found = run(script.batches, BreakerPolicy(2, 10, permitted_calls_in_half_open_state=1))
    # One probe is placed at 10 and closes it at 11; the other two were refused at 10.
    assert moves(found)[-1] == (11, "closed", "recovered")
    assert found.good_calls_refused == 2


def test_slow_calls_that_are_spared_are_counted_by_the_candidates_threshold() -> None:
    script = Script(BreakerPolicy(50, 10, minimum_number_of_calls=2))
    for second, duration in ((0, 2), (4, 3), (8, 2), (10, 1), (12, 5)):
        script.until(second)
        script.call("success", duration)
    script.collect()
    slow = BreakerPolicy(
        50, 60, minimum_number_of_calls=2, slow_call_duration_threshold=2,
        slow_call_rate_threshold=1.0,
    )  # fmt: skip
    found = run(script.batches, slow)
    assert moves(found) == [(7, "open", "slow_call_rate")]
    assert found.slow_calls == 4
    assert (found.slow_avoided, found.good_calls_refused) == (2, 3)
    plain = run(script.batches)
    assert (plain.slow_calls, plain.slow_avoided) == (0, 0)


def test_decisions_of_people_hold_for_the_candidate_as_well() -> None:
    script = Script(BreakerPolicy(2, 100))
    script.sequence("ff", begin=0)
    script.until(5)
    script.breaker.reset("operator")
    script.sequence("ss", begin=6)
    script.until(8)
    script.breaker.force_open("maintenance")
    script.sequence("s", begin=9)
    script.until(10)
    script.breaker.reset("operator")
    script.sequence("sff", begin=11)
    script.collect()
    found = run(script.batches, BreakerPolicy(1, 100))
    assert moves(found) == [
        (0, "open", "failure_threshold"),
        (5, "closed", "operator"),
        (8, "forced_open", "maintenance"),
        (10, "closed", "operator"),
        (12, "open", "failure_threshold"),
    ]
    assert (found.failures_avoided, found.good_calls_refused) == (2, 0)
    # What a person forced open is open for the candidate too.
    assert (found.rejected, found.unknown) == (1, 0)


def test_changes_of_the_policy_belong_to_the_one_in_force_and_not_to_a_candidate() -> None:
    script = Script(BreakerPolicy(5, 10))
    script.sequence("ff", begin=0)
    script.breaker.configure(BreakerPolicy(2, 10))
    script.sequence("ff", begin=2)
    script.collect()
    in_force = run(script.batches)
    assert in_force.reproduced
    assert moves(in_force) == [(3, "open", "failure_threshold")]
    held = run(script.batches, BreakerPolicy(5, 10))
    assert held.verified
    assert moves(held) == []
    lower = run(script.batches, BreakerPolicy(3, 10))
    assert moves(lower) == [(2, "open", "failure_threshold")]
    assert lower.failures_avoided == 1


def test_what_other_replicas_decided_holds() -> None:
    script = Script(BreakerPolicy(5, 10))
    script.sequence("s", begin=0)
    script.breaker.adopt_open("shared", 3)
    script.sequence("sss", begin=1)
    script.until(4)
    script.breaker.adopt_closed("shared")
    script.sequence("s", begin=5)
    script.collect()
    for policy in (None, BreakerPolicy(4, 10)):
        found = run(script.batches, policy)
        assert found.reproduced
        assert moves(found)[0] == (0, "open", "shared")
        assert found.rejected == 2
