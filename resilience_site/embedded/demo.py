"""The demo's engines, ports and programs; what they do is the business of `deploy.demo`."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from resilience_site.config import config
from resilience_site.embedded.errors import StartError
from resilience_site.embedded.folders import Folders
from resilience_site.embedded.processes import spawn
from resilience_site.embedded.programs import ROOT, DemoContext, Program
from resilience_site.embedded.site import address
from resilience_site.embedded.supervisor import socket_path
from resilience_site.embedded.valkey import Valkey
from resilience_site.embedded.watch import Watch

DATABASE = "planner"
VALKEY = "demo-valkey"
# Started after the site, and stopped before it: what they report last still arrives.
PRIORITY = 400
_LISTEN_SECONDS = 60
_POLL_SECONDS = 0.05


def check_ports(check_free: Callable[[str, int, str], None]) -> None:
    """Raise StartError when a port of the demo is taken."""
    for variable, port in _ports():
        check_free(config.host, port, variable)


def programs(folders: Folders, database_url: str, valkey: Valkey | None) -> list[Program]:
    """The demo's programs, all with a priority of `PRIORITY` or more.

    What its health checks and healing workflows call goes into the environment, from which the site's workers take it.
    """
    # Imported here: a site without the demo does without its packages.
    from deploy.demo.programs import programs as demo_programs
    from deploy.demo.programs import variables

    assert valkey is not None
    context = DemoContext(
        python=sys.executable,
        root=ROOT,
        state_dir=folders.state,
        site_url=address(),
        ingest_key=config.resilience_ingest_key,
        operator_key=config.resilience_operator_key,
        host=config.host,
        planner_mcp_port=config.planner_mcp_port,
        graph_sim_port=config.graph_sim_port,
        database_url=database_url,
        redis_url=valkey.url,
        supervisor_url=f"unix://{socket_path(folders)}",
        scenario=config.demo_scenario,
    )
    os.environ.update(variables(context))
    found = demo_programs(context)
    assert all(each.priority >= PRIORITY for each in found)
    return list(found)


def apply_catalogues(folders: Folders) -> None:
    """Make the demo's health checks, and have it heal by itself; raises StartError.

    A mode that a person has set stays.
    """
    from deploy.demo.programs import CATALOGUE, HEALING

    _apply(folders, "demo-catalogue", "health checks", "health_apply", CATALOGUE)
    _apply(folders, "demo-healing", "healing workflows", "healing_apply", HEALING, "--mode", "auto")


def _apply(folders: Folders, name: str, what: str, command: str, file: Path, *more: str) -> None:
    apply = Program(
        name,
        [sys.executable, "manage.py", command, str(file), "--name", "demo", *more],
        directory=ROOT,
    )
    log = folders.logs / f"{name}.log"
    if spawn(apply, folders.run, log).wait() != 0:
        raise StartError(f"The demo's {what} could not be made; {log} says why.")


def wait_until_listening(watch: Watch) -> None:
    """Return once the demo's servers accept connections; raises StartError."""
    until = time.monotonic() + _LISTEN_SECONDS
    for variable, port in _ports():
        while not _listens(port):
            watch.check()
            if time.monotonic() > until:
                raise StartError(f"Nothing listens on port {port} ({variable}); see the logs.")
            time.sleep(_POLL_SECONDS)


def announce(say: Callable[[str], None]) -> None:
    """Say where the demo's servers are."""
    say(f"  planner MCP     http://127.0.0.1:{config.planner_mcp_port}/mcp")
    say(f"  Graph faults    PUT http://127.0.0.1:{config.graph_sim_port}/_faults")
    say(f"  alerts arrive   GET http://127.0.0.1:{config.graph_sim_port}/_inbox")
    if config.demo_scenario == "off":
        say("  scenario        off: faults happen only when asked for")


def _ports() -> list[tuple[str, int]]:
    return [
        ("PLANNER_MCP_PORT", config.planner_mcp_port),
        ("GRAPH_SIM_PORT", config.graph_sim_port),
    ]


def _listens(port: int) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.host, config.host)  # noqa: S104
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
