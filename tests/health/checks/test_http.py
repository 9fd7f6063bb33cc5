"""The HTTP check against real servers: well, wrong, hanging, slow, huge, and of bad faith."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from health.checks import KINDS, Failed
from tests.health.checks.leaks import connections_to
from tests.health.checks.probing import a_context, eventually, failure, hangs, probe, refused
from tests.health.checks.servers import (
    LOOPBACK,
    Authority,
    Site,
    answering,
    saying,
    silent,
    stopped_process,
    talking,
    web_site,
)
from tests.health.checks.test_own_shortage import no_more_files
from tests.health.faults import Faults

pytestmark = pytest.mark.usefixtures("nothing_left_behind")
SECRET = "tok-s3cr3t-9"


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with web_site() as running:
        running.text("/", "All systems go")
        running.json("/health", {"status": "ok", "checks": [{"ms": 4}, {"ms": 12.5}], "ok": True})
        yield running


class TestHealthy:
    async def test_a_page_that_answers(self, site: Site) -> None:
        found = await probe("http", {"url": site.url})
        assert (found.status, found.output) == ("up", "Answered 200 OK")
        assert found.observed["status_code"].value == 200
        assert found.observed["body"].value == len("All systems go")
        assert found.latency_ms is not None
        assert 0 < found.observed["first_byte"].value <= found.latency_ms

    async def test_the_method_headers_and_body_are_sent(self, site: Site) -> None:
        target = {
            "url": f"{site.url}/?a=1",
            "method": "POST",
            "headers": {"X-Token": SECRET, "user-agent": "mine"},
            "body": "hello",
        }
        await probe("http", target)
        (request,) = site.seen
        assert (request.method, request.query_string) == ("POST", "a=1")
        assert request.headers["X-Token"] == SECRET
        assert request.headers.getall("User-Agent") == ["mine"]
        assert site.bodies == [b"hello"]

    async def test_the_password_of_the_url_is_sent_as_basic_authentication(
        self, site: Site
    ) -> None:
        await probe("http", {"url": f"http://me:p%40ss@{LOOPBACK}:{site.port}/"})
        assert site.seen[0].headers["Authorization"] == "Basic bWU6cEBzcw=="

    @pytest.mark.parametrize("status", [404, "404", "400-499", [200, "404"], "200, 404"])
    async def test_the_expected_status(self, site: Site, status: object) -> None:
        found = await probe("http", {"url": f"{site.url}/nothing", "status": status})
        assert found.output == "Answered 404 Not Found"

    async def test_text_and_headers_that_are_expected(self, site: Site) -> None:
        await probe(
            "http",
            {
                "url": site.url,
                "keyword": "systems go",
                "keyword_absent": "error",
                "response_headers": {"content-type": "TEXT/plain", "Server": ""},
            },
        )

    @pytest.mark.parametrize(
        "expected",
        [
            {"json_path": "$.status", "json_equals": "ok"},
            {"json_path": "$.ok", "json_equals": True},
            {"json_path": "$.checks[*].ms", "json_min": 4, "json_max": 12.5},
            {"json_path": "$.checks[?@.ms > 10].ms", "json_equals": 12.5},
            {"json_path": "$.checks[0]", "json_equals": {"ms": 4.0}},
            {"json_path": "$.checks"},
        ],
    )
    async def test_json_that_is_expected(self, site: Site, expected: dict[str, object]) -> None:
        await probe("http", {"url": f"{site.url}/health", **expected})

    async def test_json_that_is_found_is_said(self, site: Site) -> None:
        found = await probe("http", {"url": f"{site.url}/health", "json_path": "$.checks[1].ms"})
        assert found.output == "Answered 200 OK; $.checks[1].ms is 12.5"

    async def test_a_packed_body_is_looked_into(self, site: Site) -> None:
        async def packed(request: web.Request) -> web.Response:
            return web.Response(
                body=gzip.compress(b"the word"), headers={"Content-Encoding": "gzip"}
            )

        site.answers["/packed"] = packed
        await probe("http", {"url": f"{site.url}/packed", "keyword": "the word"})

    async def test_https_of_a_private_authority(self) -> None:
        authority = Authority()
        async with web_site(authority.server(LOOPBACK)) as secure:
            secure.text("/", "safe")
            target = {"url": f"https://{LOOPBACK}:{secure.port}/"}
            await probe("http", {**target, "ca": authority.pem})
            await probe("http", {**target, "verify_tls": False})
            failed = await failure("http", target)
        assert "its certificate" in failed.output

    async def test_a_large_json_is_searched_beside_the_event_loop(self, site: Site) -> None:
        site.json("/large", {"items": [{"n": n} for n in range(20_000)], "status": "ok"})
        target = {"url": f"{site.url}/large", "json_path": "$..status", "json_equals": "ok"}
        await probe("http", target)

    async def test_where_deep_checks_are_off_any_answer_will_do(self, site: Site) -> None:
        target = {"url": f"{site.url}/nothing", "keyword": "absent"}
        found = await probe("http", target, deep=False)
        assert found.output == "Answered 404 Not Found (not looked at more deeply)"


class TestBroken:
    async def test_another_status(self, site: Site) -> None:
        failed = await failure("http", {"url": f"{site.url}/nothing"})
        assert failed.output == "Answered 404 Not Found, expected 200-299"

    async def test_words_that_are_missing_or_should_be(self, site: Site) -> None:
        missing = await failure("http", {"url": site.url, "keyword": "all right"})
        present = await failure("http", {"url": site.url, "keyword_absent": "go"})
        assert missing.output == "The body does not contain “all right”"
        assert present.output == "The body contains “go”"

    @pytest.mark.parametrize(
        ("expected", "words"),
        [
            ({"json_path": "$.status", "json_equals": "up"}, '$.status is "ok", expected "up"'),
            ({"json_path": "$.ok", "json_equals": 1}, "$.ok is true, expected 1"),
            ({"json_path": "$.nothing"}, "Nothing is at $.nothing in the body"),
            ({"json_path": "$.checks[*].ms", "json_max": 12}, "is 12.5, expected at most 12"),
            ({"json_path": "$.checks[*].ms", "json_min": 5}, "is 4, expected at least 5"),
            ({"json_path": "$.ok", "json_min": 0}, "is true, expected a number"),
            ({"json_path": "$.status", "json_equals": None}, 'is "ok", expected null'),
        ],
    )
    async def test_json_that_is_otherwise(
        self, site: Site, expected: dict[str, object], words: str
    ) -> None:
        failed = await failure("http", {"url": f"{site.url}/health", **expected})
        assert words in failed.output

    @pytest.mark.parametrize("body", ["<html>", "[" * 5000 + "]" * 5000, "", "NaN"])
    async def test_a_body_that_is_not_json(self, site: Site, body: str) -> None:
        site.text("/page", body)
        failed = await failure("http", {"url": f"{site.url}/page", "json_path": "$..a"})
        assert failed.output.startswith("The body is not JSON")

    async def test_a_header_that_is_missing_or_otherwise(self, site: Site) -> None:
        missing = await failure("http", {"url": site.url, "response_headers": {"X-Up": ""}})
        other = await failure("http", {"url": site.url, "response_headers": {"Content-Type": "js"}})
        assert missing.output == "The answer has no header X-Up"
        assert other.output.startswith("The header Content-Type is “text/plain")

    async def test_nobody_listens(self) -> None:
        with Faults(LOOPBACK, 1) as proxy:
            proxy.refuse()
            url = f"http://{LOOPBACK}:{proxy.port}/"
            failed = await failure("http", {"url": url})
            assert failed.output == (
                f"{LOOPBACK}:{proxy.port} cannot be reached: it refused the connection"
            )

    async def test_a_name_that_is_not_known(self) -> None:
        failed = await failure("http", {"url": "http://nobody.invalid/"})
        assert failed.output.startswith("nobody.invalid:80 cannot be reached: ")

    @pytest.mark.parametrize(
        ("conversation", "words"),
        [
            (saying(), "closed the connection without an answer"),
            (saying(b"SSH-2.0-OpenSSH_9\r\n"), "gave an answer that is not HTTP"),
            (saying(b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100_000), "not HTTP"),
            (
                saying(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),
                "ended the connection within the body",
            ),
            (
                answering("200 OK", "Content-Encoding: gzip", body=b"no gzip at all"),
                "The body is no valid gzip",
            ),
        ],
    )
    async def test_an_answer_that_breaks_off_or_is_none(
        self, conversation: object, words: str
    ) -> None:
        async with talking(conversation) as port:  # type: ignore[arg-type]
            failed = await failure("http", {"url": f"http://{LOOPBACK}:{port}/"})
        assert words in failed.output

    async def test_a_body_in_a_coding_that_nobody_asked_for(self) -> None:
        async with talking(answering("200 OK", "Content-Encoding: br", body=b"\x0b\x02")) as port:
            url = f"http://{LOOPBACK}:{port}/"
            assert (await probe("http", {"url": url})).status == "up"
            failed = await failure("http", {"url": url, "keyword": "a"})
        assert "a coding that was not asked for (br)" in failed.output

    async def test_a_connection_that_is_reset(self, site: Site) -> None:
        with Faults(LOOPBACK, site.port) as proxy:
            proxy.hang()
            run = asyncio.create_task(failure("http", {"url": f"http://{LOOPBACK}:{proxy.port}/"}))
            await eventually(lambda: proxy.open_connections)
            proxy.reset()
            assert "reset" in (await run).output
            # Nothing is tried again behind the back of whoever counts failures.
            assert proxy.accepted == 1

    async def test_tls_where_none_is_spoken(self, site: Site) -> None:
        failed = await failure("http", {"url": f"https://{LOOPBACK}:{site.port}/"})
        assert "does not speak TLS" in failed.output


class TestHanging:
    async def test_a_stopped_process(self) -> None:
        with stopped_process() as port:
            await hangs("http", {"url": f"http://{LOOPBACK}:{port}/"})

    async def test_a_server_that_never_answers_is_left_at_once(self, site: Site) -> None:
        with Faults(LOOPBACK, site.port) as proxy:
            proxy.hang()
            await hangs("http", {"url": f"http://{LOOPBACK}:{proxy.port}/"})
            proxy.heal()
            await eventually(lambda: not proxy.open_connections)

    async def test_a_tls_connection_is_left_without_farewell(self) -> None:
        authority = Authority()
        asked = asyncio.Event()

        async def asked_in_vain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            await silent(reader, writer)

        async with talking(asked_in_vain, authority.server(LOOPBACK)) as port:
            with Faults(LOOPBACK, port) as proxy:
                target = {"url": f"https://{LOOPBACK}:{proxy.port}/", "ca": authority.pem}
                run = asyncio.create_task(probe("http", target))
                await asked.wait()
                # From now on nobody answers a farewell.
                proxy.hang()
                run.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await run
                await eventually(lambda: not connections_to(proxy.port), 10.0)

    async def test_a_slow_drip_ends_at_the_deadline(self, site: Site) -> None:
        with Faults(LOOPBACK, site.port) as proxy:
            proxy.drip(seconds=0.02)
            await hangs("http", {"url": f"http://{LOOPBACK}:{proxy.port}/"})

    async def test_the_run_says_what_it_waits_for(self) -> None:
        context = a_context()
        check = KINDS["http"]
        async with talking(silent) as port:
            options = check.parse({"url": f"http://{LOOPBACK}:{port}/"})
            run = asyncio.ensure_future(check.run(options, context))
            step = f"waiting for {LOOPBACK}:{port} to answer"
            await eventually(lambda: context.progress.step == step)
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run
            assert context.progress.step == step


@pytest.mark.parametrize(
    ("target", "option"),
    [
        ({}, "url"),
        ({"url": "ftp://a/"}, "url"),
        ({"url": "a.example"}, "url"),
        ({"url": "http://"}, "url"),
        ({"url": "http://a:99999/"}, "url"),
        ({"url": "http://a b/"}, "url"),
        ({"url": "http://2130706433/"}, "url"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "http://a/", "method": "get"}, "method"),
        ({"url": "http://a/", "method": "HEAD", "keyword": "x"}, "method"),
        ({"url": "http://a/", "body": "x"}, "body"),
        ({"url": "http://a/", "headers": {"A\r\nB": "x"}}, "headers"),
        ({"url": "http://a/", "headers": {"A": "x\r\nHost: b"}}, "headers"),
        ({"url": "http://a/", "headers": {"Content-Length": "1"}}, "headers"),
        ({"url": "http://u:p@a/", "headers": {"authorization": "x"}}, "headers"),
        ({"url": "http://a/", "headers": ["x"]}, "headers"),
        ({"url": "http://a/", "status": "2xx"}, "status"),
        ({"url": "http://a/", "status": []}, "status"),
        ({"url": "http://a/", "status": True}, "status"),
        ({"url": "http://a/", "keyword": ""}, "keyword"),
        ({"url": "http://a/", "json_equals": 1}, "json_equals"),
        ({"url": "http://a/", "json_path": "status"}, "json_path"),
        ({"url": "http://a/", "json_path": "$..a..b"}, "json_path"),
        ({"url": "http://a/", "ca": "no pem"}, "ca"),
        ({"url": "http://a/", "max_body_bytes": 0}, "max_body_bytes"),
        ({"url": "http://a/", "nonsense": 1}, "nonsense"),
    ],
)
def test_options_that_are_refused(target: dict[str, object], option: str) -> None:
    assert refused("http", target).option == option


def test_a_refusal_tells_no_secret() -> None:
    for target in (
        {"url": f"http://u:{SECRET}@a/", "headers": {"Authorization": SECRET}},
        {"url": f"ftp://u:{SECRET}@a/"},
        {"url": "http://a/", "headers": {"X": f"{SECRET}\n"}},
    ):
        assert SECRET not in str(refused("http", target))


async def test_errors_of_the_check_itself_are_no_failure(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("health.checks.plugins.http._judge_header", broken)
    with pytest.raises(ZeroDivisionError):
        await probe("http", {"url": site.url, "response_headers": {"A": ""}})


async def test_a_machine_without_file_handles_is_no_failure_of_the_target(site: Site) -> None:
    check = KINDS["http"]
    options = check.parse({"url": site.url})
    with no_more_files(), pytest.raises(OSError, match="Too many open files") as caught:
        await check.run(options, a_context())
    assert not isinstance(caught.value, Failed)
