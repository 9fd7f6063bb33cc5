"""Restarts services of the real systemd that `realsystemd.sh` runs, and says what it saw."""

from __future__ import annotations

from healing.actions.kinds.systemd_restart import SystemdRestartAction
from resilience_site.config import config
from tests.healing.actions.machines.acting import context

BUS = "unix:///run/own/bus"


def main() -> None:
    restart = SystemdRestartAction()
    for name in ("planner.service", "stubborn.service"):
        # Whoever heeds its signal must not be killed because the machine is busy.
        grace = 0.5 if name == "stubborn.service" else 20.0
        parameters = restart.parse({"unit": name, "bus": BUS, "grace_seconds": grace})
        before = restart.observe(parameters, context())
        assert f"pid {before['pid']}" in restart.effect(parameters, context())
        assert restart.finished(parameters, context(before=before)) is False
        done = restart.act(parameters, context(before=before))
        assert restart.finished(parameters, context(before=before)) is True
        assert done.after["pid"] != before["pid"]
        assert ("killed after 0.5 s" in done.output) is (name == "stubborn.service")
        print(done.output)


if __name__ == "__main__":
    with config.override(resilience_healing_units=["*.service"]):
        main()
