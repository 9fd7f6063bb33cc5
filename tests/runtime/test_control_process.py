"""The poller in a process of its own: moving, forking, the end of the program."""

from __future__ import annotations

import time

from tests.runtime.sink import Sink
from tests.runtime.test_process import run


def test_a_connection_that_moves_takes_the_poller_along() -> None:
    with Sink().listening() as old, Sink().listening() as new:
        override = {"override": {"state": "forced_open", "reason": "drill"}}
        old.desk.publish(9, breakers={"graph": override})
        outcome = run(
            """
            import json, sys, time
            import breakers.runtime as resilience
            def connect(url, key):
                return resilience.connect(url, key=key * 20, service="planner")
            def until(holds):
                for _ in range(6000):
                    if holds():
                        return
                    time.sleep(0.01)
            graph = resilience.breaker("graph")
            first = connect(sys.argv[1], "k")
            until(lambda: first.control.status == "current")
            states = [graph.state.value]
            assert connect(sys.argv[1], "k") is first
            second = connect(sys.argv[2], "n")
            until(lambda: second.control.status == "current")
            states += [graph.state.value, first.control.status, second.control.applied_version]
            print(json.dumps(states))
            """,
            old.url,
            new.url,
        )
        assert outcome == ["forced_open", "closed", "off", 0]
        # The new site knows nothing of the old one's versions.
        assert new.desk.polls[0].applied == ""
        assert {each.authorization for each in new.desk.polls} == {"Bearer " + "n" * 20}
        assert {each.applied for each in old.desk.polls} <= {"", '"9"'}


FORK = """
    import json, os, sys, time
    import breakers.runtime as resilience
    def connect(instance):
        return resilience.connect(sys.argv[1], key="k" * 20, service="planner", instance=instance)
    def until(holds):
        for _ in range(6000):
            if holds():
                return True
            time.sleep(0.01)
    before = int(sys.argv[2])
    if before:
        until(lambda: connect("same").control.status == "current")
        time.sleep(1.1)
    child = os.fork()
    if child == 0:
        connection = connect("same" if before else "child")
        fine = until(lambda: connection.control.status == "current")
        connection._poller.stop()
        os._exit(0 if fine else 1)
    _, status = os.waitpid(child, 0)
    connection = connect("same")
    until(lambda: connection.control.status == "current")
    print(json.dumps([status, connection.control.status]))
"""


def test_a_child_that_connects_is_steered() -> None:
    for before in ("0", "1"):
        with Sink().listening() as sink:
            assert run(FORK, sink.url, before) == [0, "current"]
            first = [each for each in sink.desk.polls if each.applied == ""]
            assert len(first) == 2
            if before == "1":  # else both begin in the same second
                assert len({each.query["started"] for each in first}) == 2


def test_a_program_that_ends_does_not_wait_for_its_poll() -> None:
    with Sink().listening() as sink:
        code = """
            import sys, time
            import breakers.runtime as resilience
            from breakers.runtime import control_link
            asked = []
            class Noted(control_link._Bounded):
                def __init__(self, *arguments):
                    asked.append(1)
                    super().__init__(*arguments)
            control_link._Bounded = Noted
            connection = resilience.connect(sys.argv[1], key="k" * 20, service="planner")
            while len(asked) < 2:
                time.sleep(0.01)
            print(time.time())
            """
        ended = run(code, sink.url)
        # By itself the second poll ends after 25 s.
        assert time.time() - ended < 20
        sink.desk.until(lambda: len(sink.desk.polls) == 2)
