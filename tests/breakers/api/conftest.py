"""Callers of the control plane's API, and breakers for them to steer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from breakers.domain.keys import breaker_key
from breakers.models import Breaker, DomainMember, Instance
from health.models import Service
from resilience_site.core import keys
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Scope


class Api:
    """Calls with a key of one scope."""

    def __init__(self, scope: Scope) -> None:
        _, token = keys.key_create(name=f"a {scope} key", scope=scope, actor=Actor.system("test"))
        self._headers = {"Authorization": f"Bearer {token}"}
        self._client = Client()

    def __call__(
        self, method: str, path: str, body: Any = None, *, if_match: str = ""
    ) -> HttpResponse:
        headers = {**self._headers, **({"If-Match": if_match} if if_match else {})}
        return self._client.generic(
            method,
            f"/api/v1/{path}",
            data=b"" if body is None else _json(body),
            content_type="application/json",
            headers=headers,
        )


def _json(body: Any) -> bytes:
    import orjson

    return orjson.dumps(body)


@pytest.fixture
def operator(db: None) -> Api:
    return Api(Scope.OPERATE)


@pytest.fixture
def viewer(db: None) -> Api:
    return Api(Scope.READ)


@pytest.fixture
def breaker(db: None) -> Callable[..., Breaker]:
    """Makes a breaker of the service planner in one instance, which has polled."""

    def make(
        name: str = "graph",
        instance: str = "planner-1",
        state: str = "closed",
        service: str = "planner",
        **more: Any,
    ) -> Breaker:
        now = datetime.now(UTC)
        Service.objects.get_or_create(name=service, defaults={"first_seen": now, "last_seen": now})
        Instance.objects.get_or_create(
            service=service,
            instance=instance,
            defaults={"first_seen": now, "last_seen": now, "polled_at": now, "applied_version": 0},
        )
        return Breaker.objects.create(
            service=service, name=name, instance=instance, key=breaker_key(service, name),
            state=state, since=now, first_seen=now, last_seen=now, **more,
        )  # fmt: skip

    return make


@pytest.fixture
def domain(breaker: Callable[..., Breaker]) -> None:
    """A failure domain over two services."""
    breaker("graph")
    breaker("graph", service="billing")
    for service in ("planner", "billing"):
        DomainMember.objects.create(domain="microsoft", service=service, name="graph", source="set")
