"""Which process of a parallel run gets which tests.

Whole sites, planners and chaos ask for all processors of a small machine. Were three of them up at
a time, their promises in seconds would be measured on a third of one. So one process has them all,
from the start, as they last longest; files go to the others as they come.
"""

from __future__ import annotations

from typing import Final

from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

HEAVY: Final = (
    "tests/breakers/e2e/",
    "tests/demo/test_driver.py",
    "tests/demo/test_real_errors.py",
    "tests/embedded/",
    "tests/test_chaos.py",
    "tests/test_health_checks.py",
    "tests/test_load_with_failures.py",
    "tests/test_self_healing.py",
)
ONE_AT_A_TIME: Final = "whole sites"


class OneSiteAtATime(LoadFileScheduling):
    """By file, as `--dist loadfile`; what is heavy goes to one process, before all else."""

    def _split_scope(self, nodeid: str) -> str:
        return ONE_AT_A_TIME if nodeid.startswith(HEAVY) else super()._split_scope(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if ONE_AT_A_TIME in self.workqueue:
            self.workqueue.move_to_end(ONE_AT_A_TIME, last=False)
        super()._assign_work_unit(node)
