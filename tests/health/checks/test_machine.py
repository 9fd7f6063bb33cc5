"""The checks of the worker's own machine: disk and memory, also where a look at them hangs."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from health.checks import KINDS, machine
from tests.health.checks.probing import eventually, failure, hangs, probe, refused


def looking() -> list[str]:
    """The threads that look at the machine now."""
    return [each.name for each in threading.enumerate() if each.name.startswith("look-")]


class TestDisk:
    async def test_space_is_free(self, tmp_path: Path) -> None:
        found = await probe(
            "disk", {"path": str(tmp_path), "free_warn_percent": 0.001, "free_fail_percent": 0}
        )
        assert found.status == "up"
        assert "is free" in found.output
        assert found.observed["free"].value == pytest.approx(
            100 - psutil.disk_usage(str(tmp_path)).percent, abs=1
        )

    async def test_too_little_is_free(self, tmp_path: Path) -> None:
        path = {"path": str(tmp_path)}
        warned = await probe("disk", {**path, "free_warn_percent": 100, "free_fail_percent": None})
        assert warned.status == "degraded"
        assert f"of {tmp_path} is free" in warned.output
        await failure("disk", {**path, "free_warn_percent": 100, "free_fail_percent": 100})
        failed = await failure("disk", {**path, "free_fail_bytes": 2.0**60})
        assert "GiB of" in failed.output
        assert failed.observed["free_bytes"].unit == "bytes"

    async def test_a_path_that_is_not_there(self, tmp_path: Path) -> None:
        failed = await failure("disk", {"path": str(tmp_path / "gone")})
        assert failed.output.endswith("no such file or directory")

    async def test_a_file_system_that_hangs_costs_one_thread(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: threading.Event
    ) -> None:
        def stuck(path: str) -> object:
            gate.wait(30)
            return usage(path)

        usage: Callable[[str], object] = psutil.disk_usage
        monkeypatch.setattr(psutil, "disk_usage", stuck)
        target = {"path": str(tmp_path), "free_warn_percent": 0.001, "free_fail_percent": 0}
        for _ in range(3):
            await hangs("disk", target, seconds=0.1)
        assert looking() == [f"look-disk {tmp_path}"]
        # Whoever waits when it answers at last has the answer.
        waiting = asyncio.ensure_future(probe("disk", target))
        await asyncio.sleep(0)
        gate.set()
        assert (await waiting).status == "up"
        await eventually(lambda: looking() == [])

    def test_options_that_are_refused(self) -> None:
        assert refused("disk", {"path": "relative"}).option == "path"
        assert refused("disk", {"free_warn_percent": 3}).option == "free_warn_percent"
        assert refused("disk", {"free_fail_percent": 101}).option == "free_fail_percent"

    def test_it_calls_nobody(self) -> None:
        assert KINDS["disk"].hosts(KINDS["disk"].parse({})) == ()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    made = threading.Event()
    yield made
    made.set()


class TestMemory:
    async def test_memory_is_available(self) -> None:
        found = await probe(
            "memory", {"available_warn_percent": 0.001, "available_fail_percent": 0}
        )
        assert found.status == "up"
        assert 0 < found.observed["available"].value <= 100
        assert found.observed["total_bytes"].value == psutil.virtual_memory().total

    async def test_too_little_is_available(self) -> None:
        warned = await probe("memory", {"available_warn_percent": 100})
        assert warned.status == "degraded"
        failed = await failure("memory", {"available_fail_bytes": 2.0**60})
        assert "GiB of memory are available" in failed.output

    async def test_a_proc_that_hangs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # Reading a pipe that nobody writes to waits, as a /proc mounted from elsewhere may.
        for name in ("meminfo", "vmstat"):
            os.mkfifo(tmp_path / name)
        monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
        await hangs("memory", {}, seconds=0.1)
        await hangs("memory", {}, seconds=0.1)
        assert looking() == ["look-memory"]
        # It ends as soon as the pipe does, without an answer that could be one.
        waiting = asyncio.ensure_future(probe("memory", {}))
        await asyncio.sleep(0)
        (tmp_path / "meminfo").open("w").close()
        with pytest.raises(KeyError):
            await waiting
        await eventually(lambda: looking() == [])

    def test_options_that_are_refused(self) -> None:
        assert refused("memory", {"available_warn_percent": 1}).option == "available_warn_percent"
        assert refused("memory", {"swap_warn_percent": 200}).option == "swap_warn_percent"


async def test_an_error_of_a_look_reaches_everybody_who_waits() -> None:
    began, gate = threading.Event(), threading.Event()

    def broken() -> None:
        began.set()
        gate.wait(10)
        raise RuntimeError("what nobody expected")

    both = [asyncio.ensure_future(machine.look("broken", broken)) for _ in range(2)]
    await eventually(began.is_set)
    gate.set()
    errors = await asyncio.gather(*both, return_exceptions=True)
    assert [str(each) for each in errors] == ["what nobody expected"] * 2
