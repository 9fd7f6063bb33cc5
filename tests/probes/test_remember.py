from __future__ import annotations

import threading

import pytest

from resilience_site.probes.remember import Remembered, StillWaitingError


def test_the_answer_is_kept_for_its_time() -> None:
    now, made = [0.0], []

    def make() -> int:
        made.append(1)
        return len(made)

    remembered = Remembered(make, seconds=5, clock=lambda: now[0])
    assert remembered.get() == 1
    now[0] = 4.9
    assert remembered.get() == 1
    now[0] = 5.0
    assert remembered.get() == 2
    remembered.forget()
    assert remembered.get() == 3


def test_a_failure_is_not_kept() -> None:
    answers = iter([ValueError("first"), 2])

    def make() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    remembered = Remembered(make, seconds=5)
    with pytest.raises(ValueError, match="first"):
        remembered.get()
    assert remembered.get() == 2


def test_many_askers_make_one_piece_of_work_and_none_waits_for_ever() -> None:
    begun, go_on = threading.Event(), threading.Event()
    made = []

    def make() -> int:
        made.append(1)
        begun.set()
        go_on.wait(60)
        return 7

    remembered = Remembered(make, seconds=60, patience=0.05)
    got: list[int] = []
    worker = threading.Thread(target=lambda: got.append(remembered.get()))
    worker.start()
    begun.wait(60)
    with pytest.raises(StillWaitingError):
        remembered.get()
    go_on.set()
    worker.join(60)
    assert got == [7]
    assert remembered.get() == 7
    assert len(made) == 1
