from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.db import OperationalError
from django.test import override_settings

from resilience_site.core import selectors
from resilience_site.core.choices import Scope
from resilience_site.core.keys import key_check

Cast = Callable[[str], Any]


def ask(caller: Any, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
    if body is not None:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        options |= {"data": data, "content_type": "application/json"}
    response = caller.call(method, f"/api/v1/{path}", **options)
    if response.status_code >= 400:
        assert response.headers["Content-Type"] == "application/problem+json"
        problem = orjson.loads(response.content)
        assert problem["status"] == response.status_code
        assert problem["instance"] == f"/api/v1/{path}".partition("?")[0]
        assert {"type", "title", "detail"} <= problem.keys()
        return response.status_code, problem
    return response.status_code, orjson.loads(response.content)


def test_a_key_is_made_used_listed_and_revoked(caller: Cast) -> None:
    status, made = ask(caller("admin"), "POST", "keys", {"name": "ci", "scope": "operate"})
    assert status == 201
    assert key_check(made["token"])
    status, listed = ask(caller("key_admin"), "GET", "keys?limit=1")
    [item] = listed["items"]
    assert (item["id"], item["name"], item["scope"]) == (made["id"], "ci", "operate")
    assert "token" not in item
    assert "hash" not in item
    status, revoked = ask(caller("admin"), "POST", f"keys/{made['id']}/revoke", {"reason": "old"})
    assert status == 200
    assert revoked["revoked_at"].endswith("Z")
    assert key_check(made["token"]) is None
    _, trail = ask(caller("viewer"), "GET", "audit?object_type=api_key&action=key.revoke&limit=1")
    assert (trail["items"][0]["actor"], trail["items"][0]["reason"]) == ("admin", "old")


def test_revoking_takes_no_body_too(caller: Cast) -> None:
    key_id = selectors.api_keys().get(name="key_read").pk
    assert ask(caller("key_admin"), "POST", f"keys/{key_id}/revoke", b"")[0] == 200


def test_a_list_is_walked_by_its_cursor(caller: Cast) -> None:
    seen, cursor = [], ""
    while True:
        _, page = ask(caller("key_admin"), "GET", f"audit?limit=2&cursor={cursor}")
        assert len(page["items"]) <= 2
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = page["next_cursor"]
    # The cast's keys were made, and one of them was revoked.
    assert len(seen) == len(set(seen)) == len(list(Scope)) + 2


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("GET", "audit?limit=0", None, 422, "query.limit"),
        ("GET", "audit?limit=501", None, 422, "query.limit"),
        ("GET", "audit?since=yesterday", None, 422, "query.since"),
        ("GET", "audit?since=1h&until=2h", None, 422, "query.since"),
        ("GET", "audit?cursor=AAAA", None, 400, None),
        ("GET", "audit?actr=ada", None, 422, "query.actr"),
        ("GET", "alerts?sevice=x", None, 422, "query.sevice"),
        ("GET", "alerts/deliveries?state=foo", None, 422, "query.state"),
        ("GET", "incidents?severity=foo", None, 422, "query.severity"),
        ("GET", "healing/runs?trigger=foo", None, 422, "query.trigger"),
        ("GET", "patterns?state=foo", None, 422, "query.state"),
        ("GET", "slos?kind=foo", None, 422, "query.kind"),
        ("POST", "keys", {"name": "x"}, 422, "body.scope"),
        ("POST", "keys", {"name": "x", "scope": "god"}, 422, "body.scope"),
        ("POST", "keys", {"name": " ", "scope": "read"}, 422, "body.name"),
        ("POST", "keys", b'{"name": ', 400, None),
        ("POST", "keys", b"\xff", 400, None),
        ("POST", "keys/0/revoke", {}, 404, None),
        ("GET", "nonsense", None, 404, None),
        ("GET", "", None, 404, None),
        ("DELETE", "keys", None, 405, None),
        ("GET", "keys/1/revoke", None, 405, None),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(
    caller: Cast, method: str, path: str, body: Any, status: int, field: str | None
) -> None:
    answered, problem = ask(caller("key_admin"), method, path, body)
    assert answered == status
    assert [error["field"] for error in problem.get("errors", [])] == ([field] if field else [])


def test_a_parameter_that_there_is_not_is_told_those_that_there_are(caller: Cast) -> None:
    _, problem = ask(caller("key_read"), "GET", "alerts/rules?severty=page&limit=2")
    assert problem["detail"] == (
        "query.severty: There is no such parameter; known are cursor, enabled, faulty, limit, "
        "severity."
    )
    # Nobody learns by it what there is.
    assert ask(caller("anonymous"), "GET", "alerts/rules?severty=page")[0] == 401


def test_a_value_that_is_none_of_several_kinds_is_told_all_of_them_at_once(caller: Cast) -> None:
    _, problem = ask(caller("key_read"), "GET", "alerts/deliveries?state=foo")
    (error,) = problem["errors"]
    for state in ("pending", "sending", "delivered", "failed", "open"):
        assert f"'{state}'" in error["message"]


def test_a_wrong_method_is_told_the_right_ones(caller: Cast) -> None:
    response = caller("key_admin").call("DELETE", "/api/v1/keys")
    assert set(response.headers["Allow"].split(", ")) >= {"GET", "POST"}


def test_a_crash_is_a_problem_without_its_details(
    caller: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash() -> None:
        raise ZeroDivisionError("secret of the house")

    monkeypatch.setattr(selectors, "api_keys", crash)
    status, problem = ask(caller("key_admin"), "GET", "keys")
    assert status == 500
    assert "secret" not in str(problem)


def test_a_dead_database_is_temporary(caller: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    def down() -> None:
        raise OperationalError("connection refused")

    key = caller("key_admin")
    monkeypatch.setattr(selectors, "api_keys", down)
    response = key.call("GET", "/api/v1/keys")
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert ask(key, "GET", "keys")[0] == 503


@override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=10)
def test_an_oversized_body_is_a_problem_too(caller: Cast) -> None:
    status, _ = ask(caller("key_admin"), "POST", "keys", {"name": "x" * 50, "scope": "read"})
    assert status in (400, 413)


def test_the_schema_names_every_operation_and_the_docs_need_no_foreign_script(
    caller: Cast,
) -> None:
    _, schema = ask(caller("viewer"), "GET", "openapi.json")
    assert {"get", "post"} <= schema["paths"]["/api/v1/keys"].keys()
    page = caller("viewer").call("GET", "/api/v1/docs").content.decode()
    assert all(part in page for part in ('<html lang="en">', "<main", "<h1"))
    assert "https://" not in page
    assert "http://" not in page
    scripts = [part.partition(">") for part in page.split("<script")[1:]]
    for attributes, _, rest in scripts:
        inline = rest.partition("</script>")[0].strip()
        assert 'type="application/json"' in attributes or ("src=" in attributes and not inline)


def test_the_schema_says_how_each_operation_fails(caller: Cast) -> None:
    _, schema = ask(caller("viewer"), "GET", "openapi.json")
    operations = [each for path in schema["paths"].values() for each in path.values()]
    assert len(operations) > 100
    for each in operations:
        answer = each["responses"]["default"]["content"]["application/problem+json"]
        assert answer["schema"] == {"$ref": "#/components/schemas/Problem"}
    _, problem = ask(caller("key_admin"), "POST", "keys", {"name": "x", "scope": "none"})
    told = schema["components"]["schemas"]["Problem"]
    assert set(told["required"]) <= set(problem) <= set(told["properties"])


def test_a_browser_that_opens_the_docs_is_sent_to_log_in(caller: Cast) -> None:
    response = caller("anonymous").call("GET", "/api/v1/docs", headers={"Accept": "text/html"})
    assert response.status_code == 302
    assert ask(caller("anonymous"), "GET", "docs")[0] == 401
