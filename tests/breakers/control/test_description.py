"""What the API's description says of the long poll."""

from __future__ import annotations

from typing import Any

import httpx

from resilience_site.core.audit import Actor
from resilience_site.core.choices import Scope
from resilience_site.core.keys import key_create
from tests.livesite import LiveSite


def test_the_description_of_the_api_tells_of_the_poll(site: LiveSite) -> None:
    _, key = key_create(name="reads", scope=Scope.READ, actor=Actor.system("ana"))

    def asked(path: str, key: str, **query: str) -> Any:
        bearer = {"Authorization": f"Bearer {key}"}
        return httpx.get(
            f"{site.url}/api/v1/{path}", params=query, headers=bearer, timeout=120
        ).json()

    schema = asked("openapi.json", key)
    told = schema["paths"]["/api/v1/control"]["get"]
    document = told["responses"]["200"]["content"]["application/json"]["schema"]
    answer = asked("control", site.ingest_key, service="described", instance="one", wait="0")
    assert answer.keys() == document["properties"].keys() == set(document["required"])
    needed = {each["name"] for each in told["parameters"] if each.get("required")}
    refused = asked("control", site.ingest_key)
    assert {each["field"] for each in refused["errors"]} == {f"query.{n}" for n in needed}
