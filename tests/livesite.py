"""A real web process of the site on the test database, for browsers, sockets and exporters."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client

from breakers.models import Instance
from resilience_site.core.bootstrap import bootstrap
from resilience_site.core.choices import Role, Scope
from resilience_site.embedded.processes import spawn
from resilience_site.embedded.programs import Program
from tests import collected
from tests.emptying import empty_partitions
from tests.patience import until
from tests.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 120


@dataclass(frozen=True)
class LiveSite:
    """Where the site answers, and the keys that it accepts during one test."""

    url: str
    ingest_key: str
    operator_key: str
    admin_password: str

    @property
    def origin_of_sockets(self) -> str:
        return self.url.replace("http://", "ws://")

    def session(self, role: Role | None = Role.VIEWER, name: str = "") -> str:
        """The session key of a new user with that role."""
        user = get_user_model().objects.create_user(name or f"{role or 'nobody'}-{time.time_ns()}")
        if role is not None:
            user.groups.add(Group.objects.get_or_create(name=role.value)[0])
        client = Client()
        client.force_login(user)
        return str(client.session.session_key)

    def sign_in(self, context: Any, role: Role | None = Role.VIEWER, name: str = "") -> None:
        """Sign a new user with that role in, in a browser context."""
        cookie = {
            "name": settings.SESSION_COOKIE_NAME,
            "value": self.session(role, name),
            "url": self.url,
        }
        context.add_cookies([cookie])


class WebProcess:
    """A web process on the test database, at one address for as long as it is started again."""

    def __init__(self, name: str = "web") -> None:
        self._name = name
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        collected.put(Path(settings.STATIC_ROOT))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def _environment(self) -> dict[str, str]:
        return {
            "DATABASE_URL": _test_database_url(),
            "DJANGO_SETTINGS_MODULE": "resilience_site.settings",
            "PORT": str(self._port),
            # It would evaluate the rules of tests that come later.
            "RESILIENCE_WEB_STANDS_IN": "false",
        }

    def start(self) -> None:
        state = Path(settings.STATE_DIR)
        log = state / "logs" / f"{self._name}.log"
        # Bound, but left to the web process to listen on: connections are refused until it does,
        # and again once it has ended.
        with closing(socket.socket()) as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(("127.0.0.1", self._port))
            program = Program(
                self._name,
                [sys.executable, "-m", "resilience_site.embedded.web"],
                environment=self._environment,
                directory=ROOT,
            )
            self._process = spawn(program, state / "run", log, listen_descriptor=listening.fileno())
        try:
            _wait_until_alive(self.url, self._process, log)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it as a deployment does."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def kill(self) -> None:
        """End it as a crash does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()


@contextmanager
def web_process() -> Iterator[str]:
    """Serve the test database until the block ends; gives the site's URL."""
    process = WebProcess()
    process.start()
    try:
        yield process.url
    finally:
        process.stop()


def fresh_site(url: str) -> LiveSite:
    """The site with nothing stored but what a first start makes."""
    # Django does not empty unmanaged tables after a test.
    empty_partitions()
    # New keys each time: the web process remembers those of earlier tests for some seconds.
    site = LiveSite(url, *(secrets.token_urlsafe(16) for _ in range(3)))
    tokens = {Scope.INGEST: site.ingest_key, Scope.OPERATE: site.operator_key}
    bootstrap(admin_password=site.admin_password, tokens=tokens)
    return site


# Addresses of sites that were polled and may not have written down yet by whom.
polled: set[str] = set()


def settle() -> None:
    """Wait until web processes have written down everybody who polled them, which they do twice a
    second: the tests that come next may count instances."""
    while polled:
        url, key, name = polled.pop(), secrets.token_urlsafe(16), f"last-{time.time_ns()}"
        bootstrap(admin_password=key, tokens={Scope.INGEST: key})
        asked = urllib.request.Request(
            f"{url}/api/v1/control?service={name}&instance={name}&wait=0",
            headers={"Authorization": f"Bearer {key}"},
        )
        urllib.request.urlopen(asked, timeout=START_SECONDS).close()
        until(lambda name=name: Instance.objects.filter(instance=name).exists())


def _test_database_url() -> str:
    parts = urlsplit(os.environ["DATABASE_URL"])
    name = connection.settings_dict["NAME"]
    return urlunsplit(parts._replace(path=f"/{name}"))


def _wait_until_alive(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(f"{url}/livez", timeout=START_SECONDS).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the site did not start:\n{log.read_text(encoding='utf-8')}")
