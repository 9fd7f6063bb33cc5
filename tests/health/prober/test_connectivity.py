"""Is it me? What counts as having a network, by real sockets and in a network of its own."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from health.prober import connectivity as module
from health.prober.connectivity import Connectivity, is_local

ROOT = Path(__file__).resolve().parents[3]


class Door:
    """A port that accepts, or, once it is stuffed, answers nothing at all."""

    def __init__(self, silence: pytest.MonkeyPatch) -> None:
        self._silence = silence
        self._server = socket.socket()
        self._server.bind(("127.0.0.1", 0))
        self._server.listen(0)
        self._server.setblocking(False)
        self.address: tuple[str, int] = self._server.getsockname()
        self._stuffing: list[socket.socket] = []

    def answered(self) -> int:
        """How many connections came since it was asked last; none once it is closed."""
        count = 0
        with suppress(OSError):
            while True:
                self._server.accept()[0].close()
                count += 1
        return count

    def stuff(self) -> None:
        """Fill the queue of connections that wait: further ones are dropped unanswered."""
        # An answer that never comes is waited for shortly, one that does for as long as it takes.
        self._silence.setattr(module, "ANSWER_SECONDS", 0.3)
        self.answered()
        for _ in range(8):
            client = socket.socket()
            client.settimeout(0.2)
            self._stuffing.append(client)
            try:
                client.connect(self.address)
            except TimeoutError:
                return
        pytest.fail("the queue takes more than it should")

    def clear(self) -> None:
        for client in self._stuffing:
            client.close()
        self._stuffing.clear()
        self.answered()
        self._silence.setattr(module, "ANSWER_SECONDS", 60.0)

    def close(self) -> None:
        self.clear()
        self._server.close()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    made = Door(monkeypatch)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def an_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_interface", lambda: True)
    monkeypatch.setattr(module, "ANSWER_SECONDS", 60.0)


async def learned(asked: Connectivity) -> None:
    asked.learn()
    assert asked._learning is not None
    await asked._learning


async def test_a_target_that_answers_is_a_network(door: Door) -> None:
    assert await Connectivity([door.address], trusted=True).online()
    assert door.answered() == 1


async def test_refusing_is_an_answer(door: Door) -> None:
    door.close()
    assert await Connectivity([door.address], trusted=True).online()


async def test_a_named_target_that_is_silent_from_the_start_is_no_network(door: Door) -> None:
    door.stuff()
    assert not await Connectivity([door.address], trusted=True).online()


async def test_a_guessed_target_that_never_answered_hides_no_outage(door: Door) -> None:
    door.stuff()
    asked = Connectivity([door.address])
    await learned(asked)
    assert await asked.online()


async def test_the_first_failure_is_withheld_where_the_guess_was_learned_before(
    door: Door,
) -> None:
    clock = Clock()
    asked = Connectivity([door.address], clock=clock)
    await learned(asked)
    door.stuff()
    assert not await asked.online()
    door.clear()
    clock.now += module.CACHED_SECONDS
    assert await asked.online()


async def test_what_is_known_is_not_learned_again(door: Door) -> None:
    clock = Clock()
    asked = Connectivity([door.address], clock=clock)
    await learned(asked)
    assert door.answered() == 1
    clock.now += 10 * module.LEARN_SECONDS
    asked.proved()
    await asyncio.sleep(0)
    assert door.answered() == 0


async def test_a_silent_guess_is_tried_again_once_in_a_while(door: Door) -> None:
    clock = Clock()
    asked = Connectivity([door.address], clock=clock)
    door.stuff()
    await learned(asked)
    door.clear()
    first = asked._learning
    asked.proved()
    assert asked._learning is first
    clock.now += module.LEARN_SECONDS
    asked.proved()
    assert asked._learning is not None
    assert asked._learning is not first
    await asked._learning
    assert door.answered() == 1


async def test_an_answer_elsewhere_proves_the_network_for_a_moment(door: Door) -> None:
    clock = Clock()
    asked = Connectivity([door.address], trusted=True, clock=clock)
    door.stuff()
    asked.proved()
    assert await asked.online()
    clock.now += module.CACHED_SECONDS
    assert not await asked.online()


async def test_many_who_ask_at_once_ask_one_question(door: Door) -> None:
    asked = Connectivity([door.address], trusted=True)
    assert all(await asyncio.gather(*(asked.online() for _ in range(50))))
    assert door.answered() == 1


async def test_without_any_interface_there_is_no_network(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "has_interface", lambda: False)
    assert not await Connectivity([]).online()
    assert not await Connectivity([door.address], trusted=True).online()


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True),
        ("LOCALHOST.", True), ("/run/valkey.sock", True), ("10.0.0.1", False),
        ("localhost.example.com", False), ("db", False),
    ],
)  # fmt: skip
def test_what_stays_on_this_machine(host: str, local: bool) -> None:
    assert is_local([(host, 1)]) is local
    assert not is_local([("127.0.0.1", 1), ("10.0.0.1", 1)])


def test_name_servers_are_guessed_and_those_of_this_machine_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text(
        "# old\nsearch example\nnameserver 127.0.0.53\nnameserver 10.0.0.2\nnameserver\n"
    )
    monkeypatch.setattr(module, "_RESOLV_CONF", file)
    assert module.connectivity([])._targets == [("10.0.0.2", 53)]
    monkeypatch.setattr(module, "_RESOLV_CONF", tmp_path / "none")
    assert module.connectivity([])._targets == []


# A check of a far address and one of this machine, by the runner as a worker makes it.
_IN_A_NETWORK_OF_ITS_OWN = """
import asyncio, json, os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.offline_settings")
import django
django.setup()
from datetime import UTC, datetime
from uuid import uuid4
from health.domain.schedule import Pace
from health.domain.state import OwnState, Thresholds
from health.prober.process import make_runner
from health.prober.running import Probe
from health.services.claims import Claim
from health.services.targets import kinds_known

def run(url):
    kind = kinds_known()["http"]
    options = kind.parse({"url": url})
    now = datetime.now(UTC)
    claim = Claim(uuid4(), 1, 1, url, "fleet", "http", True, now, Pace(30, 20, 3), Thresholds(3, 2),
        None, OwnState("up", now), None, {}, None, "", "")
    probe = Probe(kind, options, url, tuple(kind.hosts(options)))
    return asyncio.run(make_runner().run(claim, probe))

print(json.dumps({url: run(url).status for url in ("http://192.0.2.1/", "http://127.0.0.1:9/")}))
"""


def test_a_machine_that_is_cut_off_withholds_what_it_cannot_know(tmp_path: Path) -> None:
    """In a network namespace of its own, where there is nothing at all."""
    cut_off = ["unshare", "--net", "--map-root-user"]
    if subprocess.run([*cut_off, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody make a network namespace")
    done = subprocess.run(
        [*cut_off, sys.executable, "-c", _IN_A_NETWORK_OF_ITS_OWN],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
        env={
            "PATH": "/usr/bin:/bin",
            "RESILIENCE_ALLOW_PRIVATE_TARGETS": "true",
            "RESILIENCE_STATE_DIR": str(tmp_path),
        },
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "http://192.0.2.1/": "withheld",
        "http://127.0.0.1:9/": "down",
    }
