"""What the supervisor runs: one `Program` each, and what the demo's programs are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# The checkout, in which all of them run.
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Program:
    """A foreground program that is started again when it ends.

    Programs stop in falling order of `priority`, one after the other; engines have the lowest.
    `environment` is added to the site's own. `death_signal` reaches the program when the
    supervisor itself is killed. With `listen`, all `copies` share one listening socket of that
    host and port as descriptor 0. `as_database_user`: PostgreSQL refuses to run as root.
    """

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None
    stop_signal: str = "TERM"
    stop_seconds: int = 10
    death_signal: str = "TERM"
    priority: int = 500
    nice: int = 0
    copies: int = 1
    listen: tuple[str, int] | None = None
    as_database_user: bool = False


@dataclass(frozen=True)
class DemoContext:
    """What the programs of the demo need to know; the URLs are the demo's own engines, and that of
    the supervisor that runs it all."""

    python: str
    root: Path
    state_dir: Path
    site_url: str
    ingest_key: str
    operator_key: str
    host: str
    planner_mcp_port: int
    graph_sim_port: int
    database_url: str
    redis_url: str
    supervisor_url: str
    scenario: str
