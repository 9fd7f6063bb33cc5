"""The check of Microsoft Graph against the simulator, and against answers that it does not give."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from health.checks import KINDS
from health.checks.addresses import Addresses, Forbidden
from tests.demo.graph import Graph, running_graph
from tests.health.checks.probing import failure, hangs, probe, refused
from tests.health.checks.servers import Site, silent, stopped_process, talking, web_site
from tests.ports import free_port

pytestmark = pytest.mark.usefixtures("nothing_left_behind")
SECRET = "clnt~s3cr3t"
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
TOKEN_PATH = "/contoso/oauth2/v2.0/token"


@pytest.fixture(scope="module")
def running() -> Iterator[Graph]:
    with running_graph() as graph:
        yield graph


@pytest.fixture
def graph(running: Graph) -> Iterator[Graph]:
    running.http.delete("/_faults").raise_for_status()
    running.http.delete("/_requests").raise_for_status()
    yield running
    running.http.delete("/_faults").raise_for_status()


def target(url: str, **options: Any) -> dict[str, Any]:
    return {
        "tenant": "contoso",
        "client_id": "planner",
        "client_secret": SECRET,
        "authority": url,
        "base_url": f"{url}/v1.0",
        "path": "/me/planner/tasks?$top=1",
        **options,
    }


class TestAgainstTheSimulator:
    async def test_a_token_and_a_call(self, graph: Graph) -> None:
        found = await probe("microsoft_graph", target(graph.url))
        assert found.status == "up"
        assert found.output == ("A token was issued, and /me/planner/tasks?$top=1 answered 200 OK")
        assert found.observed["token"].unit == found.observed["call"].unit == "ms"
        assert found.latency_ms == found.observed["call"].value
        counted = graph.http.get("/_requests").json()["items"]
        assert {(each["path"], each["count"]) for each in counted} == {
            ("/{tenant}/oauth2/v2.0/token", 1),
            ("/v1.0/me/planner/tasks", 1),
        }

    async def test_throttling_only_degrades(self, graph: Graph) -> None:
        graph.fault("throttle", value=7)
        found = await probe("microsoft_graph", target(graph.url))
        assert found.status == "degraded"
        assert found.output == "Graph throttles this application; it asks to wait for 7 s"
        assert found.observed["retry_after"].value == 7

    async def test_an_outage_of_graph(self, graph: Graph) -> None:
        graph.fault("unavailable", value=30)
        failed = await failure("microsoft_graph", target(graph.url))
        assert failed.output.startswith(
            "Graph is unavailable (503 Service Unavailable); it asks to wait for 30 s"
        )
        assert "serviceNotAvailable" in failed.output

    async def test_an_outage_of_the_sign_in(self, graph: Graph) -> None:
        graph.fault("auth")
        failed = await failure("microsoft_graph", target(graph.url))
        assert failed.output == (
            "The sign-in service is unavailable (503 Service Unavailable):"
            " AADSTS90033: A transient error has occurred. Please try again."
        )

    async def test_a_token_that_graph_does_not_take(self, graph: Graph) -> None:
        graph.fault("token")
        failed = await failure("microsoft_graph", target(graph.url))
        assert failed.output.startswith("Graph refuses the token that was just issued")
        assert "token" in failed.observed

    async def test_a_connection_that_is_reset(self, graph: Graph) -> None:
        graph.fault("reset")
        failed = await failure("microsoft_graph", target(graph.url))
        assert failed.output.endswith("it reset the connection")

    async def test_a_path_that_is_not_there(self, graph: Graph) -> None:
        failed = await failure("microsoft_graph", target(graph.url, path="/organization"))
        assert failed.output.startswith("Graph answers /organization with 404 Not Found")

    async def test_it_hangs(self, graph: Graph) -> None:
        graph.fault("latency", value=30)
        await hangs("microsoft_graph", target(graph.url))

    async def test_reaching_is_enough_without_deep_checks(self, graph: Graph) -> None:
        assert (await probe("microsoft_graph", target(graph.url), deep=False)).status == "up"
        assert graph.http.get("/_requests").json()["items"] == []

    async def test_private_addresses_only_by_setting(self, graph: Graph) -> None:
        for deep in (True, False):
            with pytest.raises(Forbidden):
                await probe("microsoft_graph", target(graph.url), addresses=Addresses(), deep=deep)


Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]


def replying(status: int, body: Any = None, **headers: str) -> Reply:
    async def reply(request: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response(body, status=status, headers=named)

    return reply


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with web_site() as running:
        running.json(TOKEN_PATH, {"access_token": "t0ken-t0ken"})
        yield running


class TestOtherAnswers:
    async def test_wrong_credentials_are_no_outage(self, site: Site) -> None:
        described = "AADSTS7000215: Invalid client secret provided. Trace ID: 1 Correlation ID: 2"
        body = {"error": "invalid_client", "error_description": described}
        site.answers[TOKEN_PATH] = replying(401, body)
        failed = await failure("microsoft_graph", target(site.url))
        assert failed.output == (
            "The credentials are refused (invalid_client):"
            " AADSTS7000215: Invalid client secret provided."
        )
        assert f"client_secret={SECRET}" in site.bodies[0].decode()

    async def test_what_it_says_back_is_masked(self, site: Site) -> None:
        body = {"error": "invalid_client", "error_description": f"{SECRET} is wrong"}
        site.answers[TOKEN_PATH] = replying(401, body)
        failed = await failure("microsoft_graph", target(site.url))
        assert SECRET not in failed.output
        site.json(TOKEN_PATH, {"access_token": "t0ken-t0ken"})
        site.answers["/v1.0/x"] = replying(500, {"error": {"message": "had t0ken-t0ken"}})
        failed = await failure("microsoft_graph", target(site.url, path="/x"))
        assert "t0ken" not in failed.output

    async def test_a_missing_permission(self, site: Site) -> None:
        error = {"code": "Authorization_RequestDenied", "message": "Insufficient privileges."}
        site.answers["/v1.0/organization"] = replying(403, {"error": error})
        failed = await failure("microsoft_graph", target(site.url, path="/organization"))
        assert failed.output == (
            "The token is good, but this application may not read /organization"
            " (Authorization_RequestDenied: Insufficient privileges.)"
        )

    @pytest.mark.parametrize(
        ("given", "seconds"),
        [
            ("120", 120),
            ("Thu, 26 Nov 2026 12:01:30 GMT", 90),
            ("Thu, 26 Nov 2026 11:00:00 GMT", 0),
            ("soon", None),
            ("-5", None),
            ("9" * 40, None),
        ],
    )
    async def test_retry_after(self, site: Site, given: str, seconds: float | None) -> None:
        site.answers[TOKEN_PATH] = replying(429, {}, Retry_After=given)
        found = await probe("microsoft_graph", target(site.url), now=NOW)
        assert found.status == "degraded"
        assert found.output.startswith("The sign-in service throttles this application")
        seen = found.observed.get("retry_after")
        assert (seen and seen.value) == seconds

    @pytest.mark.parametrize("body", ["[]", "no JSON", '{"access_token": 5}', "[" * 5000])
    async def test_no_token(self, site: Site, body: str) -> None:
        site.text(TOKEN_PATH, body)
        failed = await failure("microsoft_graph", target(site.url))
        assert failed.output == "The sign-in service answers 200 OK, but gives no token"

    async def test_redirects_are_not_followed(self, site: Site) -> None:
        site.redirect("/v1.0/x", "http://169.254.169.254/")
        failed = await failure("microsoft_graph", target(site.url, path="/x"))
        assert failed.output == "Graph answers /x with 302 Found"

    async def test_nobody_listens(self) -> None:
        failed = await failure("microsoft_graph", target(f"http://127.0.0.1:{free_port()}"))
        assert failed.output.endswith("it refused the connection")

    async def test_a_sign_in_that_hangs(self) -> None:
        with stopped_process() as port:
            await hangs("microsoft_graph", target(f"http://127.0.0.1:{port}"))
        async with talking(silent) as port:
            await hangs("microsoft_graph", target(f"https://127.0.0.1:{port}"))


def test_options_that_are_refused() -> None:
    good = target("https://graph.example")
    assert refused("microsoft_graph", {**good, "tenant": "../x"}).option == "tenant"
    assert refused("microsoft_graph", {**good, "path": "x"}).option == "path"
    assert refused("microsoft_graph", {**good, "base_url": "ftp://x"}).option == "base_url"
    assert refused("microsoft_graph", {**good, "authority": "https://u:p@x"}).option == "authority"
    without_secret = {name: value for name, value in good.items() if name != "client_secret"}
    assert refused("microsoft_graph", without_secret).option == "client_secret"


def test_hosts_and_secrets() -> None:
    kind = KINDS["microsoft_graph"]
    options = kind.parse({"tenant": "t", "client_id": "c", "client_secret": "s"})
    assert kind.hosts(options) == (("login.microsoftonline.com", 443), ("graph.microsoft.com", 443))
    assert kind.secrets == {"client_secret"}
