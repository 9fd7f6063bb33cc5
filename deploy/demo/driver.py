"""People who use the planner through a real MCP client, while the scenario walks its faults.

    python -m deploy.demo.driver

PLANNER_MCP_URL, GRAPH_URL, RESILIENCE_URL and RESILIENCE_INGEST_KEY say where everything is.
With PLANNER_VERSION_FILE the scenario deploys the planner anew from time to time. With
DEMO_SCENARIO=off faults and versions are left alone. With RESILIENCE_OPERATOR_KEY the site is
given a channel to the inbox of the Graph simulator (`deploy.demo.inbox`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
from urllib.parse import urljoin

import httpx

from deploy.demo import deploys, inbox, telemetry
from deploy.demo.agent import User, use
from deploy.demo.scenario import FaultSwitch, walk
from deploy.demo.telemetry import required

logger = logging.getLogger(__name__)

SERVICE = "planner-agent"
_STOP_SECONDS = 5.0
# As many as the planner's pool has.
_LEAKED = 5

USERS = (
    User("ana", "premium"),
    User("ben", "standard"),
    User("chloe", "standard"),
    User("dmitri", "free"),
    User("eva", "free"),
)


async def drive(stop: asyncio.Event) -> None:
    """All users at once, and the scenario beside them, until `stop`."""
    url = required(os.environ, "PLANNER_MCP_URL")
    rate = float(os.environ.get("DEMO_CALLS_PER_SECOND", "4"))
    seed = int(os.environ.get("DEMO_SEED", "7"))
    pause = len(USERS) / rate
    users = [
        asyncio.create_task(use(url, user, random.Random(seed + n), pause, stop))
        for n, user in enumerate(USERS)
    ]
    scenario = asyncio.create_task(_scenario(stop))
    # It ends when it is done, and the others go on.
    subscribing = asyncio.create_task(inbox.subscribe(stop))
    every = [*users, scenario, subscribing]
    try:
        await asyncio.wait(every, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        stop.set()
        _, late = await asyncio.wait(every, timeout=_STOP_SECONDS)
        for task in late:
            task.cancel()
        outcomes = await asyncio.gather(*every, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


async def _scenario(stop: asyncio.Event) -> None:
    if os.environ.get("DEMO_SCENARIO") == "off":
        await stop.wait()
        return
    switch = FaultSwitch(required(os.environ, "GRAPH_URL"))
    walking = asyncio.create_task(walk(switch, deploy=_deploy, leak=_leak))
    try:
        await stop.wait()
    finally:
        walking.cancel()
        await asyncio.wait([walking])
        await switch.close()


def _deploy() -> None:
    path = os.environ.get("PLANNER_VERSION_FILE")
    if path:
        logger.info("Scenario: deploying the planner %s", deploys.deploy(path))


async def _leak() -> None:
    """Have the planner lose its pool, where it has a switch for that: what heals it is seen soon."""
    url = urljoin(required(os.environ, "PLANNER_MCP_URL"), "/_faults/leak")
    try:
        # It may still be starting.
        patient = httpx.AsyncHTTPTransport(retries=6)
        async with httpx.AsyncClient(transport=patient, timeout=5) as http:
            answer = await http.post(url, params={"connections": _LEAKED})
    except httpx.HTTPError as error:
        logger.warning("The planner's pool could not be leaked (%s)", type(error).__name__)
        return
    logger.info("Scenario: leaking the planner's pool: %d", answer.status_code)


async def _run() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await drive(stop)


def main() -> None:
    connection = telemetry.start(SERVICE, deploys.AGENT)
    try:
        asyncio.run(_run())
    finally:
        connection.shutdown()


if __name__ == "__main__":
    main()
