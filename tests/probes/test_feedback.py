"""A site that observes itself reports its work once, and its own reporting never."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.db import connection

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]


def database_url() -> str:
    """The test database as a URL, for a process of its own."""
    settings = connection.settings_dict
    host = settings["HOST"] or settings["OPTIONS"].get("host", "")
    user = quote(settings["USER"], safe="")
    password = quote(settings["PASSWORD"], safe="")
    where = "" if host.startswith("/") else f"{host}:{settings['PORT'] or 5432}"
    query = f"?{urlencode({'host': host})}" if host.startswith("/") else ""
    return f"postgres://{user}:{password}@{where}/{settings['NAME']}{query}"


def run_site(**environ: str) -> Any:
    port = str(free_port())
    done = subprocess.run(
        [sys.executable, "-m", "tests.probes.observed_site", port],
        cwd=ROOT,
        env={
            **os.environ,
            "PORT": port,
            "HOST": "127.0.0.1",
            "DATABASE_URL": database_url(),
            "DISTRIBUTED_TRACING_ENABLED": "true",
            **environ,
        },
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.django_db
def test_what_a_site_reports_about_itself_converges() -> None:
    outcome = run_site()
    # Five requests, each a span with one query's below it, and one warning.
    assert outcome["rounds"] == [{"spans": 10, "logs": 5}] * len(outcome["rounds"])
    assert outcome["names"] == ["GET", "SELECT"]
    service, instance = sorted(outcome["resource"], key=lambda text: text.startswith("web-"))
    assert service == "resilience-site"
    assert instance.startswith("web-")


@pytest.mark.django_db
def test_sampling_follows_the_standard_variables() -> None:
    outcome = run_site(OTEL_TRACES_SAMPLER="always_off")
    assert outcome["rounds"][-1] == {"spans": 0, "logs": 5}
