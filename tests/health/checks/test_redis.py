"""The check of Redis against real Valkeys: well, full, read-only, behind, stopped and killed."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
import trustme

from health.checks import KINDS
from health.checks.addresses import Addresses, Forbidden
from health.checks.plugins.redis import KEY
from tests.health.checks.engines import ValkeyEngine, valkey
from tests.health.checks.probing import eventually, failure, hangs, probe, refused
from tests.health.checks.servers import talking
from tests.health.faults import Faults
from tests.patience import until
from tests.ports import free_port

SECRET = "hush hush"
_FULL = "full of it " * 1000


@pytest.fixture(scope="module")
def running() -> Iterator[ValkeyEngine]:
    with valkey() as engine:
        yield engine


@pytest.fixture
def server(running: ValkeyEngine) -> Iterator[ValkeyEngine]:
    yield running
    with running.client() as client:
        client.config_set("maxmemory", 0)
        client.config_set("requirepass", "")
        client.flushall()


@pytest.fixture(scope="module")
def replica(running: ValkeyEngine) -> Iterator[ValkeyEngine]:
    with following(running) as engine:
        yield engine


@contextmanager
def following(primary: ValkeyEngine) -> Iterator[ValkeyEngine]:
    """A replica that has all of `primary`."""
    with primary.client() as client:
        client.config_set("repl-diskless-sync-delay", 0)
    with valkey("--replicaof", "127.0.0.1", str(primary.port)) as engine:
        with engine.client() as client:
            until(lambda: client.info("replication")["master_link_status"] == "up")
        yield engine


class TestHealthy:
    async def test_the_sessions_own_engine_by_its_socket(self) -> None:
        found = await probe("redis", {"url": os.environ["REDIS_URL"]})
        assert found.status == "up"
        assert found.output == "PING is answered; primary"
        assert found.observed["ping"].unit == "ms"
        assert found.observed["round_trip"].value > 0

    async def test_a_value_goes_there_and_back_and_leaves_nothing(
        self, server: ValkeyEngine
    ) -> None:
        with server.client() as client:
            client.config_resetstat()
            assert (await probe("redis", {"url": server.url})).status == "up"
            calls = client.info("commandstats")
            assert calls["cmdstat_set"]["calls"] == 1
            assert calls["cmdstat_get"]["calls"] == 1
            assert client.keys(f"{KEY}*") == []

    async def test_without_writing(self, server: ValkeyEngine) -> None:
        with server.client() as client:
            client.config_resetstat()
            assert (await probe("redis", {"url": server.url, "write": False})).status == "up"
            assert "cmdstat_set" not in client.info("commandstats")

    async def test_reaching_is_enough_without_deep_checks(self, server: ValkeyEngine) -> None:
        with server.client() as client:
            client.config_set("requirepass", SECRET)
            for url in (server.url, f"unix://{server.socket}"):
                assert (await probe("redis", {"url": url}, deep=False)).status == "up"
            with server.client(password=SECRET) as known:
                known.config_set("requirepass", "")

    async def test_a_password_and_a_database(self, server: ValkeyEngine) -> None:
        with server.client() as client:
            client.config_set("requirepass", SECRET)
            url = f"redis://:hush%20hush@127.0.0.1:{server.port}/3"
            try:
                assert (await probe("redis", {"url": url})).status == "up"
            finally:
                client.config_set("requirepass", "")


class TestBroken:
    async def test_nobody_listens(self) -> None:
        failed = await failure("redis", {"url": f"redis://:{SECRET}@127.0.0.1:{free_port()}/0"})
        assert failed.output.startswith("127.0.0.1:")
        assert failed.output.endswith("it refused the connection")

    async def test_a_socket_that_is_not_there(self, tmp_path: Path) -> None:
        failed = await failure("redis", {"url": f"unix://{tmp_path}/no.sock"})
        assert failed.output.endswith("no such file or directory")

    async def test_a_wrong_password_is_named_but_not_told(self, server: ValkeyEngine) -> None:
        with server.client() as client:
            client.config_set("requirepass", SECRET)
            try:
                url = f"redis://:Wrong%2FSecret@127.0.0.1:{server.port}/0"
                failed = await failure("redis", {"url": url})
                assert "refuses the user or the password" in failed.output
                assert "Wrong" not in failed.output + repr(failed)
                failed = await failure("redis", {"url": server.url})
                assert "refuses the user or the password" in failed.output
            finally:
                client.config_set("requirepass", "")

    async def test_a_database_that_does_not_exist(self, server: ValkeyEngine) -> None:
        failed = await failure("redis", {"url": f"redis://127.0.0.1:{server.port}/9999"})
        assert "DB index is out of range" in failed.output

    async def test_a_full_server_takes_no_value(self, server: ValkeyEngine) -> None:
        with server.client() as client:
            client.set("much", _FULL)
            client.config_set("maxmemory", 1)
            failed = await failure("redis", {"url": server.url})
            assert "does not take a value" in failed.output
            assert "maxmemory" in failed.output
            # Its memory alone degrades it.
            found = await probe("redis", {"url": server.url, "write": False})
            assert found.status == "degraded"
            assert "of its memory is used" in found.output
            failed = await failure(
                "redis", {"url": server.url, "write": False, "memory_fail_percent": 95}
            )
            assert failed.observed["memory"].value > 95

    async def test_a_user_who_may_not_look(self, server: ValkeyEngine) -> None:
        with server.client() as client:
            client.acl_setuser("prober", enabled=True, nopass=True, commands=["+ping"])
        url = f"redis://prober:x@127.0.0.1:{server.port}/0"
        failed = await failure("redis", {"url": url})
        assert "It does not take a value" in failed.output
        assert "cannot be seen" in failed.output
        blind = {"url": url, "write": False}
        assert (await probe("redis", blind)).status == "degraded"
        assert (await probe("redis", {**blind, "memory_warn_percent": None})).status == "up"

    async def test_a_server_that_is_something_else(self) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await reader.read()

        async with talking(serve) as port:
            failed = await failure("redis", {"url": f"redis://127.0.0.1:{port}/0"})
        assert "answers, but not as Redis does" in failed.output

    async def test_an_endless_answer_is_cut_off(self) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"$1000000000\r\n")
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()

        async with talking(serve) as port:
            failed = await failure("redis", {"url": f"redis://127.0.0.1:{port}/0"})
        assert "more than 16 MiB" in failed.output

    async def test_private_addresses_only_by_setting(self, server: ValkeyEngine) -> None:
        public = Addresses(allow_private=False)
        for url in (server.url, f"unix://{server.socket}"):
            for deep in (True, False):
                with pytest.raises(Forbidden):
                    await probe("redis", {"url": url}, addresses=public, deep=deep)


class TestHanging:
    async def test_a_stopped_server(self, server: ValkeyEngine) -> None:
        server.stop()
        try:
            await hangs("redis", {"url": server.url})
            await hangs("redis", {"url": f"unix://{server.socket}"})
        finally:
            server.resume()
        assert (await probe("redis", {"url": server.url})).status == "up"

    async def test_nothing_stays_open(self, server: ValkeyEngine) -> None:
        with Faults("127.0.0.1", server.port) as proxy:
            target = {"url": f"redis://127.0.0.1:{proxy.port}/0"}
            await probe("redis", target)
            await eventually(lambda: proxy.open_connections == 0)
            proxy.hang()
            await hangs("redis", target)
            proxy.heal()
            await eventually(lambda: proxy.open_connections == 0)
            proxy.drip(seconds=0.05)
            await hangs("redis", target)
            proxy.heal()
            await eventually(lambda: proxy.open_connections == 0)
            proxy.cut_after(20)
            failed = await failure("redis", target)
            assert "closed" in failed.output.lower()


class TestReplication:
    async def test_both_sides_are_well(self, server: ValkeyEngine, replica: ValkeyEngine) -> None:
        primary = await probe("redis", {"url": server.url, "min_replicas": 1, "role": "primary"})
        assert primary.status == "up"
        assert primary.observed["replicas"].value == 1
        found = await probe("redis", {"url": replica.url, "role": "replica"})
        assert found.output == "PING is answered; replica"
        assert "round_trip" not in found.observed
        assert found.observed["replication_lag"].unit == "s"

    async def test_the_wrong_role(self, server: ValkeyEngine, replica: ValkeyEngine) -> None:
        failed = await failure("redis", {"url": replica.url, "role": "primary"})
        assert failed.output == "It is a replica, not a primary"

    async def test_a_replica_that_hangs_falls_behind(
        self, server: ValkeyEngine, replica: ValkeyEngine
    ) -> None:
        replica.stop()
        try:
            with server.client() as client:
                client.set("much", _FULL)
                found = await probe("redis", {"url": server.url, "lag_warn_bytes": 1000})
                assert found.status == "degraded"
                assert "bytes behind" in found.output
                # Its last word grows old by the second.
                until(lambda: client.info("replication")["slave0"]["lag"] >= 2)
                failed = await failure("redis", {"url": server.url, "lag_fail_seconds": 2})
                assert "The slowest replica was heard" in failed.output
        finally:
            replica.resume()
        failed = await failure("redis", {"url": server.url, "min_replicas": 2})
        assert "replicas follow; 2 must" in failed.output

    async def test_a_replica_without_its_primary(self) -> None:
        with valkey() as primary, following(primary) as replica, replica.client() as client:
            primary.process.kill()
            until(lambda: client.info("replication")["master_link_status"] == "down")
            found = await probe("redis", {"url": replica.url})
        assert found.status == "degraded"
        assert "The link to its primary is down" in found.output


class TestTls:
    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    async def test_the_certificate_is_for_the_name(
        self, server: ValkeyEngine, authority: trustme.CA, tmp_path: Path
    ) -> None:
        trusted = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(trusted)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(tls)

        async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            back, there = await asyncio.open_connection("127.0.0.1", server.port)

            async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
                while data := await source.read(65536):
                    sink.write(data)
                sink.close()

            try:
                await asyncio.gather(pump(reader, there), pump(back, writer))
            finally:
                there.close()

        async with talking(forward, tls) as port:
            good = f"rediss://localhost:{port}/0?ssl_ca_certs={trusted}"
            assert (await probe("redis", {"url": good})).status == "up"
            failed = await failure("redis", {"url": good.replace("localhost", "127.0.0.1")})
            assert "certificate is for another address" in failed.output
            failed = await failure("redis", {"url": f"rediss://localhost:{port}/0"})
            assert "certificate" in failed.output
            unverified = f"rediss://127.0.0.1:{port}/0?ssl_cert_reqs=none"
            assert (await probe("redis", {"url": unverified})).status == "up"


class TestOptions:
    @pytest.mark.parametrize(
        ("url", "reason"),
        [
            ("http://host", "must begin with"),
            ("redis://", "must be the name or the address of a host"),
            ("redis://host/five", "is no valid URL"),
            ("redis://host:70000/0", "is no valid URL"),
            ("redis://host/0?socket_timeout=1", "must not set socket_timeout"),
            ("redis://host/0?password=x", "must not set password"),
            ("rediss://host/0?ssl_cert_reqs=maybe", "required or none"),
            ("unix://relative/path", "must name a socket by its whole path"),
        ],
    )
    def test_urls_that_are_refused(self, url: str, reason: str) -> None:
        error = refused("redis", {"url": url})
        assert error.option == "url"
        assert reason in error.message

    def test_other_options_that_are_refused(self) -> None:
        good = {"url": "redis://host/0"}
        assert refused("redis", {**good, "role": "boss"}).option == "role"
        assert refused("redis", {**good, "memory_warn_percent": 120}).option == (
            "memory_warn_percent"
        )
        assert refused("redis", {**good, "min_replicas": -1}).option == "min_replicas"

    def test_hosts(self) -> None:
        kind = KINDS["redis"]
        assert kind.hosts(kind.parse({"url": "redis://cache.example/0"})) == (
            ("cache.example", 6379),
        )
        assert kind.hosts(kind.parse({"url": "unix:///run/redis.sock?db=1"})) == (
            ("127.0.0.1", 6379),
        )
        assert kind.url_secrets == {"url"}


def test_redis_py_is_the_client() -> None:
    from health.checks.redislink import _Connection

    assert issubclass(_Connection, redis.asyncio.connection.AbstractConnection)
