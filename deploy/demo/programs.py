"""The programs of the demo, for the supervisor that also runs the site."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from resilience_site.embedded.programs import DemoContext, Program

GRAPH_SIMULATOR = "graph-simulator"
PLANNER_MCP = "planner-mcp-server"
DRIVER = "planner-agent"
CATALOGUE = Path(__file__).with_name("health.yaml")
HEALING = Path(__file__).with_name("healing.yaml")


def programs(context: DemoContext) -> list[Program]:
    """Graph simulator, planner MCP server and driver, in the order of starting.

    The driver stops first and the simulator last, so that stopping makes no errors.
    """
    local = _local(context.host)
    graph_url = f"http://{local}:{context.graph_sim_port}"
    reports = {
        "RESILIENCE_URL": context.site_url,
        "RESILIENCE_INGEST_KEY": context.ingest_key,
        "GRAPH_URL": graph_url,
    }

    def module(
        name: str, priority: int, environment: dict[str, str], *argv: str, stop_seconds: int = 10
    ) -> Program:
        return Program(
            name,
            [context.python, "-m", *argv],
            environment={"RESILIENCE_INSTANCE": f"{name}-1", **environment},
            directory=context.root,
            priority=priority,
            stop_seconds=stop_seconds,
        )

    def export_log(service: str) -> str:
        return str(context.state_dir / "demo" / f"{service}-errors.log")

    version = {"PLANNER_VERSION_FILE": str(context.state_dir / "demo" / "planner-version")}
    return [
        module(
            GRAPH_SIMULATOR,
            410,
            {},
            "deploy.demo.graph_simulator",
            *("--host", context.host, "--port", str(context.graph_sim_port)),
        ),
        module(
            PLANNER_MCP,
            420,
            {
                **reports,
                "PLANNER_MCP_HOST": context.host,
                "PLANNER_MCP_PORT": str(context.planner_mcp_port),
                "PLANNER_DATABASE_URL": context.database_url,
                "PLANNER_REDIS_URL": context.redis_url,
                "PLANNER_EXPORT_LOG": export_log(PLANNER_MCP),
                **version,
                # Short enough that a breaker is seen to open and close within one round of faults.
                **_unless_set(GRAPH_API_TIMEOUT_SECONDS="10", RETRY_BASE_DELAY_MS="200"),
                # Whoever tries the demo may have its pool leak: POST /_faults/leak?connections=5.
                **_unless_set(PLANNER_FAULTS="on"),
                # The simulator takes any secret; a real tenant would not.
                "GRAPH_CLIENT_SECRET": secrets.token_urlsafe(24),
            },
            "deploy.demo.planner_mcp",
            stop_seconds=15,
        ),
        module(
            DRIVER,
            430,
            {
                **reports,
                "PLANNER_MCP_URL": f"http://{local}:{context.planner_mcp_port}/mcp",
                "PLANNER_EXPORT_LOG": export_log(DRIVER),
                **version,
                "DEMO_SCENARIO": context.scenario,
                "RESILIENCE_OPERATOR_KEY": context.operator_key,
            },
            "deploy.demo.driver",
        ),
    ]


def _unless_set(**variables: str) -> dict[str, str]:
    """Those variables that whoever started the demo has not chosen."""
    return {name: value for name, value in variables.items() if name not in os.environ}


def variables(context: DemoContext) -> dict[str, str]:
    """The variables that `CATALOGUE` and `HEALING` name, for the site's workers."""
    planner = f"http://{_local(context.host)}:{context.planner_mcp_port}"
    return {
        "RESILIENCE_CHECK_PLANNER_MCP": f"{planner}/mcp",
        "RESILIENCE_CHECK_PLANNER_HEALTH": f"{planner}/healthz",
        "RESILIENCE_CHECK_GRAPH": f"http://{_local(context.host)}:{context.graph_sim_port}",
        "RESILIENCE_CHECK_PLANNER_DATABASE": context.database_url,
        "RESILIENCE_CHECK_PLANNER_CACHE": context.redis_url,
        "RESILIENCE_CHECK_SITE_DATABASE": os.environ["DATABASE_URL"],
        "RESILIENCE_CHECK_SITE_REDIS": os.environ["REDIS_URL"],
        "RESILIENCE_HEALING_SUPERVISOR": context.supervisor_url,
    }


def _local(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104
