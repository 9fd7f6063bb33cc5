"""The HTTP check against servers of bad faith: bombs, endless bodies, redirects, rebinding, echoes."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import traceback
import tracemalloc
import zlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from health.checks import KINDS, lookup
from health.checks.addresses import Addresses, Forbidden
from tests.health.checks.probing import failure, probe
from tests.health.checks.servers import LOOPBACK, Site, answering, talking, web_site

pytestmark = pytest.mark.usefixtures("nothing_left_behind")
SECRET = "tok-s3cr3t-9"


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with web_site() as running:
        running.text("/", "All systems go")
        yield running


class TestBadFaith:
    @pytest.mark.parametrize("coding", ["gzip", "deflate"])
    async def test_a_bomb_stays_packed(self, coding: str) -> None:
        packed = gzip.compress if coding == "gzip" else zlib.compress
        bomb = packed(b"\0" * 200_000_000)
        assert len(bomb) < 1_000_000
        async with talking(answering("200 OK", f"Content-Encoding: {coding}", body=bomb)) as port:
            tracemalloc.start()
            try:
                failed = await failure(
                    "http", {"url": f"http://{LOOPBACK}:{port}/", "keyword": "x"}
                )
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
        assert failed.output == ("The body is larger than 1048576 bytes, so it was not looked into")
        assert peak < 16 * 1024 * 1024

    async def test_an_endless_body_is_cut(self) -> None:
        async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                writer.write(b"x" * 65_536)
                await writer.drain()

        async with talking(endless) as port:
            url = f"http://{LOOPBACK}:{port}/"
            found = await probe("http", {"url": url, "max_body_bytes": 100_000})
            assert found.observed["body"].value == 100_000
            failed = await failure("http", {"url": url, "keyword_absent": "y"})
        assert "larger than 1048576 bytes" in failed.output

    async def test_redirects_are_not_followed_unless_asked(self, site: Site) -> None:
        site.redirect("/old", "https://elsewhere.example/new?token=abc")
        failed = await failure("http", {"url": f"{site.url}/old"})
        assert failed.output == (
            "Answered 302 Found, expected 200-299 (it redirects to elsewhere.example)"
        )
        await probe("http", {"url": f"{site.url}/old", "status": 302})

    async def test_redirects_are_followed_where_asked(self, site: Site) -> None:
        site.redirect("/old", "/older", 301)
        site.redirect("/older", "/", 307)
        target = {
            "url": f"{site.url}/old",
            "follow_redirects": True,
            "keyword": "systems",
            "headers": {"X-Token": SECRET},
        }
        found = await probe("http", target)
        assert found.output.endswith("after 2 redirects")
        # They stay with their origin.
        assert [request.headers.get("X-Token") for request in site.seen] == [SECRET] * 3

    async def test_a_circle_of_redirects_ends(self, site: Site) -> None:
        site.redirect("/round", "/round")
        failed = await failure("http", {"url": f"{site.url}/round", "follow_redirects": True})
        assert failed.output == "It redirects more than 5 times"
        assert len(site.seen) == 6

    @pytest.mark.parametrize(
        "location",
        [
            "http://169.254.169.254/latest/meta-data/",
            "http://[::ffff:169.254.169.254]/",
            "http://metadata.google.internal/",
            "//169.254.169.254/",
        ],
    )
    async def test_a_redirect_to_metadata_is_not_followed(self, site: Site, location: str) -> None:
        site.redirect("/trap", location)
        failed = await failure("http", {"url": f"{site.url}/trap", "follow_redirects": True})
        assert failed.output.startswith("It redirects to an address that is refused: ")
        assert "this site never calls" in failed.output

    @pytest.mark.parametrize("location", ["ftp://a/", "file:///etc/passwd", "http://a:b/"])
    async def test_a_redirect_to_no_web_page(self, site: Site, location: str) -> None:
        site.redirect("/trap", location)
        failed = await failure("http", {"url": f"{site.url}/trap", "follow_redirects": True})
        assert failed.output.startswith("It redirects to what is no ")

    async def test_secrets_stay_with_their_origin(self, site: Site) -> None:
        async with web_site() as other:
            other.redirect("/in", f"{site.url}/")
            site.redirect("/out", f"http://you:x@{LOOPBACK}:{other.port}/in")
            target = {
                "url": f"http://me:pass@{LOOPBACK}:{site.port}/out",
                "headers": {"X-Token": SECRET, "Cookie": "a=b"},
                "follow_redirects": True,
            }
            await probe("http", target)
            (elsewhere,) = other.seen
            back = site.seen[1]
        for request in (elsewhere, back):
            assert not {"X-Token", "Cookie", "Authorization"} & set(request.headers)

    async def test_a_body_is_sent_to_no_other_origin(self, site: Site) -> None:
        async with web_site() as other:
            site.redirect("/out", f"{other.url}/", 307)
            target = {"url": f"{site.url}/out", "method": "POST", "body": SECRET}
            failed = await failure("http", {**target, "follow_redirects": True})
            assert not other.seen
        assert failed.output.startswith("It redirects a request with a body to ")

    async def test_secrets_that_a_server_says_back_are_masked(self, site: Site) -> None:
        async def echo(request: web.Request) -> web.Response:
            said = {"headers": dict(request.headers), "query": dict(request.query)}
            return web.json_response(said)

        site.answers["/echo"] = echo
        target = {
            "url": f"http://me:pa%20sswd@{LOOPBACK}:{site.port}/echo?key=query-s3cret",
            "headers": {"X-Token": f"Token {SECRET}"},
        }
        for path in ('$.headers["X-Token"]', "$.headers.Authorization", "$.query.key"):
            found = await probe("http", {**target, "json_path": path})
            failed = await failure("http", {**target, "json_path": path, "json_equals": "no"})
            for text in (found.output, failed.output, "".join(traceback.format_exception(failed))):
                for secret in (SECRET, "query-s3cret", "bWU6cGEgc3N3ZA", "pa sswd"):
                    assert secret not in text
            assert "***" in found.output

    async def test_no_cookie_and_no_proxy_of_the_environment(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        site.text("/", "hello", headers={"Set-Cookie": "a=b"})
        for _ in range(2):
            await probe("http", {"url": site.url})
        assert all("Cookie" not in request.headers for request in site.seen)


class TestAddresses:
    async def test_a_forbidden_address_is_a_fault_of_the_check(self, site: Site) -> None:
        for url in (site.url, "http://localhost:1/", "http://169.254.169.254/"):
            with pytest.raises(Forbidden):
                await probe("http", {"url": url}, addresses=Addresses())
        assert not site.seen

    async def test_a_name_is_resolved_once_and_called_where_it_was_judged(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answers = [[ipaddress.ip_address(LOOPBACK)], [ipaddress.ip_address("169.254.169.254")]]

        async def rebinding(name: str) -> list[lookup.IPAddress]:
            return answers.pop(0)

        monkeypatch.setattr(lookup, "addresses_of", rebinding)
        target = {"url": f"http://rebinding.example:{site.port}/"}
        await probe("http", target)
        assert site.seen[0].host == f"rebinding.example:{site.port}"
        with pytest.raises(Forbidden, match="link-local"):
            await probe("http", target)

    def test_hosts(self) -> None:
        check = KINDS["http"]
        assert check.hosts(check.parse({"url": "https://a.example/x"})) == (("a.example", 443),)
        assert check.hosts(check.parse({"url": "http://[::1]:8080/"})) == (("::1", 8080),)
