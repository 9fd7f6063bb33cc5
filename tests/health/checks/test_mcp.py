"""The check of MCP servers: the demo's real one, one with sessions, and what is none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from health.checks import KINDS
from health.checks.addresses import Addresses, Forbidden
from tests.demo.graph import running_graph
from tests.demo.planner import PlannerProcess, running_planner
from tests.health.checks.leaks import connections_to
from tests.health.checks.mcpservers import McpServer, running_mcp
from tests.health.checks.probing import eventually, failure, hangs, probe, refused
from tests.health.checks.servers import answering, silent, stopped_process, talking, web_site
from tests.health.faults import Faults
from tests.ports import free_port

pytestmark = pytest.mark.usefixtures("nothing_left_behind")
SECRET = "tok-s3cr3t-9"


@pytest.fixture(scope="module")
def planner() -> Iterator[PlannerProcess]:
    with running_graph() as graph, running_planner(graph) as process:
        yield process


@pytest.fixture(scope="module")
def server() -> Iterator[McpServer]:
    with running_mcp() as running:
        yield running


def rpc_error(message: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        asked = json.loads(await request.read())
        error = {"code": -32603, "message": message}
        return web.json_response({"jsonrpc": "2.0", "id": asked["id"], "error": error})

    return answer


class TestHealthy:
    async def test_the_demos_planner(self, planner: PlannerProcess) -> None:
        target = {"url": f"{planner.url}/mcp", "expected_tools": ["list_tasks", "create_task"]}
        found = await probe("mcp", target)
        assert found.status == "up"
        assert "offers 5 tools" in found.output
        assert found.observed["tools"].value == 5
        assert found.latency_ms == pytest.approx(
            found.observed["handshake"].value + found.observed["list_tools"].value
        )

    async def test_a_server_with_sessions_is_taken_leave_of(
        self, server: McpServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("health.checks.mcpsession._FAREWELL_SECONDS", 60.0)
        server.requests.clear()
        target = {"url": server.url, "handshake": "initialize", "expected_tools": ["add"]}
        found = await probe("mcp", target)
        assert found.output.startswith("sums 3.1 offers 2 tools (protocol 20")
        assert server.requests["DELETE"] == 1

    async def test_either_handshake(self, planner: PlannerProcess, server: McpServer) -> None:
        for url in (server.url, f"{planner.url}/mcp"):
            for handshake in ("auto", "initialize"):
                found = await probe("mcp", {"url": url, "handshake": handshake})
                assert found.status == "up"

    async def test_headers_are_sent(self) -> None:
        with running_mcp(key=SECRET) as guarded:
            target = {"url": guarded.url, "headers": {"Authorization": f"Bearer {SECRET}"}}
            assert (await probe("mcp", target)).status == "up"
            failed = await failure("mcp", {"url": guarded.url})
            assert failed.output == "The server refuses the credentials: 401 Unauthorized"
            wrong = {"url": guarded.url, "headers": {"Authorization": "Bearer not-the-key"}}
            failed = await failure("mcp", wrong)
            assert "not-the-key" not in failed.output

    async def test_name_and_certificate_stay_those_of_the_host(self, tmp_path: Path) -> None:
        authority = trustme.CA()
        issued = authority.issue_cert("localhost")
        issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
        ca = authority.cert_pem.bytes().decode()
        with running_mcp(tls={"ssl_certfile": str(tmp_path / "server.pem")}) as secure:
            target = {"url": f"https://localhost:{secure.port}/mcp", "ca": ca}
            assert (await probe("mcp", target)).status == "up"
            assert secure.hosts == {f"localhost:{secure.port}"}
            by_address = {**target, "url": f"https://127.0.0.1:{secure.port}/mcp"}
            failed = await failure("mcp", by_address)
            assert "its certificate is for another address" in failed.output
            assert (await probe("mcp", {**by_address, "verify_tls": False})).status == "up"

    async def test_reaching_is_enough_without_deep_checks(self) -> None:
        async with talking(silent) as port:
            found = await probe("mcp", {"url": f"http://127.0.0.1:{port}/mcp"}, deep=False)
        assert found.status == "up"


class TestBroken:
    async def test_a_tool_that_is_gone(self, server: McpServer) -> None:
        target = {"url": server.url, "expected_tools": ["add", "subtract"]}
        failed = await failure("mcp", target)
        assert failed.output == "The server offers 2 tools, but not subtract"
        assert failed.observed["tools"].value == 2

    async def test_nobody_listens(self) -> None:
        port = free_port()
        failed = await failure("mcp", {"url": f"http://127.0.0.1:{port}/mcp"})
        assert failed.output == f"127.0.0.1:{port} cannot be reached: it refused the connection"

    async def test_a_wrong_path(self, server: McpServer) -> None:
        failed = await failure("mcp", {"url": server.url.replace("/mcp", "/other")})
        assert failed.output == "The server refuses: 404 Not Found"

    @pytest.mark.parametrize(
        ("status", "headers", "body", "words"),
        [
            ("503 Service Unavailable", [], b"", "The server refuses: 503 Service Unavailable"),
            ("200 OK", ["Content-Type: text/html"], b"<html>", "answers with an error: Unexpected"),
            ("200 OK", ["Content-Type: application/json"], b"{}", "answers with an error: Failed"),
            ("200 OK", ["Content-Type: application/json"], b"[" * 9999, "answers with an error"),
            ("302 Found", ["Location: http://169.254.169.254/"], b"", "not followed"),
            ("307 Temporary Redirect", ["Location: http://169.254.169.254/"], b"", "not followed"),
        ],
    )
    async def test_what_is_no_mcp_server(
        self, status: str, headers: list[str], body: bytes, words: str
    ) -> None:
        async with talking(answering(status, *headers, body=body)) as port:
            failed = await failure("mcp", {"url": f"http://127.0.0.1:{port}/mcp"})
        assert words in failed.output

    async def test_an_error_of_the_protocol(self) -> None:
        async with web_site() as site:
            site.answers["/mcp"] = rpc_error("no \n store")
            failed = await failure("mcp", {"url": f"{site.url}/mcp"})
        assert failed.output == "The server answers with an error: no store"

    async def test_what_it_says_back_is_masked(self) -> None:
        headers = {"Authorization": f"Bearer {SECRET}"}
        async with web_site() as site:
            site.answers["/mcp"] = rpc_error(f"not {SECRET}")
            failed = await failure("mcp", {"url": f"{site.url}/mcp", "headers": headers})
        assert failed.output == "The server answers with an error: not ***"

    async def test_an_endless_answer_is_cut_off(self) -> None:
        async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(65536)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
            while True:
                writer.write(b" " * 65536)
                await writer.drain()

        async with talking(endless) as port:
            failed = await failure("mcp", {"url": f"http://127.0.0.1:{port}/mcp"})
        assert failed.output == "It answers with more than 8 MiB"

    async def test_a_connection_that_is_reset(self, server: McpServer) -> None:
        with Faults("127.0.0.1", server.port) as proxy:
            proxy.cut_after(30)
            failed = await failure("mcp", {"url": f"http://127.0.0.1:{proxy.port}/mcp"})
        assert f"127.0.0.1:{proxy.port}" in failed.output

    async def test_private_addresses_only_by_setting(self, server: McpServer) -> None:
        for url in (server.url, server.url.replace("127.0.0.1", "localhost")):
            for deep in (True, False):
                with pytest.raises(Forbidden):
                    await probe("mcp", {"url": url}, addresses=Addresses(), deep=deep)
        with pytest.raises(Forbidden):
            await probe("mcp", {"url": "http://169.254.169.254/mcp"})


class TestHanging:
    async def test_a_stopped_server(self) -> None:
        with stopped_process() as port:
            await hangs("mcp", {"url": f"http://127.0.0.1:{port}/mcp"})
            await eventually(lambda: connections_to(port) == [])

    async def test_a_server_that_hangs_within_a_session(self) -> None:
        gate = asyncio.Event()
        asked: list[str] = []

        async def answer(request: web.Request) -> web.StreamResponse:
            body = await request.text()
            asked.append(json.loads(body)["method"] if body else request.method)
            if asked != ["initialize"]:
                # Nor does it take leave of the session.
                await gate.wait()
                return web.Response(status=503)
            result = {
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "serverInfo": {"name": "half", "version": "1"},
            }
            return web.json_response(
                {"jsonrpc": "2.0", "id": json.loads(body)["id"], "result": result},
                headers={"Mcp-Session-Id": "s-1"},
            )

        async with web_site() as site:
            site.answers["/mcp"] = answer
            try:
                target = {"url": f"{site.url}/mcp", "handshake": "initialize"}
                run = asyncio.ensure_future(probe("mcp", target))
                await eventually(lambda: len(asked) >= 2)
                run.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await run
                assert asked[:2] == ["initialize", "notifications/initialized"]
                await eventually(lambda: connections_to(site.port) == [])
                assert "DELETE" not in asked
            finally:
                gate.set()

    async def test_a_slow_drip(self, server: McpServer) -> None:
        with Faults("127.0.0.1", server.port) as proxy:
            proxy.drip(seconds=0.05)
            await hangs("mcp", {"url": f"http://127.0.0.1:{proxy.port}/mcp"})
            proxy.heal()
            await eventually(lambda: proxy.open_connections == 0)

    async def test_a_silent_tls_server(self) -> None:
        async with talking(silent) as port:
            await hangs("mcp", {"url": f"https://127.0.0.1:{port}/mcp"})
            await eventually(lambda: connections_to(port) == [])


class TestOptions:
    def test_options_that_are_refused(self) -> None:
        good = {"url": "https://mcp.example/mcp"}
        assert refused("mcp", {"url": "stdio:server"}).option == "url"
        assert refused("mcp", {"url": "https://u:p@mcp.example/mcp"}).option == "url"
        assert refused("mcp", {**good, "headers": {"Bad Name": "x"}}).option == "headers"
        assert refused("mcp", {**good, "headers": {"X": "a\r\nb"}}).option == "headers"
        assert refused("mcp", {**good, "handshake": "firm"}).option == "handshake"
        assert refused("mcp", {**good, "ca": "no PEM"}).option == "ca"

    def test_hosts_and_secrets(self) -> None:
        kind = KINDS["mcp"]
        assert kind.hosts(kind.parse({"url": "https://mcp.example/mcp"})) == (("mcp.example", 443),)
        assert kind.secrets == {"headers"}
        assert kind.url_secrets == {"url"}
