"""Callers of the health API, and checks of the kind `sample` for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.http import HttpResponse
from django.test import Client

from resilience_site.core import keys, partitions
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Scope
from tests.emptying import empty_partitions
from tests.health import scenes  # registers the kind `sample`

URL = scenes.URL


class Api:
    """Calls with a key of one scope, or with none."""

    def __init__(self, scope: Scope | None) -> None:
        self._headers = {}
        if scope is not None:
            _, token = keys.key_create(name=f"a {scope} key", scope=scope, actor=Actor.system("t"))
            self._headers = {"Authorization": f"Bearer {token}"}
        self._client = Client()

    def raw(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        data = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._client.generic(
            method,
            f"/api/v1/{path}",
            data=data,
            content_type=sent.pop("content-type", "application/json"),
            headers={**self._headers, **sent},
        )

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The answer's status and document."""
        response = self.raw(method, path, body, **headers)
        return response.status_code, orjson.loads(response.content or b"null")

    def get(self, path: str) -> Any:
        """The document of an answer that must be 200."""
        status, document = self("GET", path)
        assert status == 200, document
        return document

    def make(self, name: str, **more: Any) -> Any:
        """A check made by POST."""
        body = {"name": name, "kind": "sample", "service": "planner", "target": {"url": URL}}
        status, document = self("POST", "health/checks", body | more)
        assert status == 201, document
        return document


@pytest.fixture(autouse=True)
def fresh_tables(db: None) -> None:
    """Tables that Django does not know are emptied for each test."""
    empty_partitions()
    partitions.forget_known()
    keys.cache_clear()


@pytest.fixture
def operator(db: None) -> Api:
    return Api(Scope.OPERATE)


@pytest.fixture
def viewer(db: None) -> Api:
    return Api(Scope.READ)


@pytest.fixture
def anybody(db: None) -> Api:
    return Api(None)


@pytest.fixture
def api(db: None) -> Callable[[Scope], Api]:
    return Api
