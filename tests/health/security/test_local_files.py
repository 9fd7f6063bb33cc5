"""Options that name files of the worker: none of them holds up the event loop or tells of others."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from health.checks.addresses import Forbidden
from tests.health.checks.probing import probe
from tests.health.checks.servers import LOOPBACK, silent, talking

TARGETS = {
    "redis": ("url", "rediss://{host}:{port}/0?ssl_ca_certs={path}"),
    "celery": ("broker_url", "amqps://{host}:{port}//?ssl_ca_certs={path}"),
    "postgres": ("dsn", "postgresql://{host}:{port}/x?sslmode=verify-full&sslrootcert={path}"),
}


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("what", ["pipe", "terminal", "kernel", "missing", "folder"])
async def test_a_file_of_authorities_without_an_end_is_refused(
    kind: str, what: str, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    paths = {
        "pipe": pipe,
        "terminal": "/dev/ptmx",
        "kernel": "/proc/self/pagemap",
        "missing": tmp_path / "none",
        "folder": tmp_path,
    }
    option, url = TARGETS[kind]
    async with talking(silent) as port:
        target = {option: url.format(host=LOOPBACK, port=port, path=paths[what])}
        began = time.monotonic()
        with pytest.raises(Forbidden, match="no file of certificates"):
            await probe(kind, target)
        assert time.monotonic() - began < 45
