"""Requests that warm a cache, and signed hooks, against real servers of good and of bad faith."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from standardwebhooks import Webhook

from alerting.channels.webhook.signing import secret_new
from healing.actions.registry import action_named
from health.checks.options import OptionError
from tests.healing.actions.software.acting import SERVICE, act, context, effect, refused
from tests.healing.actions.software.servers import Answering, answering

SECRET = secret_new()


@pytest.fixture
def server() -> Iterator[Answering]:
    with answering() as found:
        yield found


def warm(server: Answering, *paths: str, **more: Any) -> dict[str, Any]:
    return {"urls": [server.url + path for path in paths], **more}


def test_warming_asks_for_each_address_in_order_with_its_headers(server: Answering) -> None:
    given = warm(server, "/a?page=1", "/b", headers={"Authorization": "Bearer hidden-word"})
    assert effect("warm_requests", given, context()) == (
        f"GETs 2 addresses, 2 of which must succeed: {server.url}/a, {server.url}/b"
    )
    assert server.asked == []
    acted = act("warm_requests", given, context())
    assert [(each.method, each.path) for each in server.asked] == [
        ("GET", "/a?page=1"),
        ("GET", "/b"),
    ]
    assert {each.headers["authorization"] for each in server.asked} == {"Bearer hidden-word"}
    assert acted.done.after == {"succeeded": 2}
    assert f"{server.url}/a: 200 OK in" in acted.done.output
    assert "hidden-word" not in acted.done.output


def test_too_few_good_answers_fail_the_step_and_enough_do_not(server: Answering) -> None:
    server.by_path = {"/b": 503}
    failed = refused("warm_requests", warm(server, "/a", "/b"), context())
    assert failed.message == "1 of 2 requests succeeded, 2 must"
    assert f"{server.url}/b: 503 Service Unavailable" in failed.output
    acted = act("warm_requests", warm(server, "/a", "/b", share=0.5), context())
    assert acted.done.after == {"succeeded": 1}


def test_an_address_that_hangs_costs_its_own_seconds_only(server: Answering) -> None:
    done = threading.Event()
    server.before = lambda: done.wait(60) if len(server.asked) == 1 else None
    began = time.monotonic()
    try:
        acted = act("warm_requests", warm(server, "/a", "/b", seconds=3, share=0.5), context())
    finally:
        done.set()
    assert time.monotonic() - began < 40
    assert "It took too long: waiting for 127.0.0.1" in acted.done.output
    assert acted.done.after == {"succeeded": 1}


def test_without_leave_no_private_address_is_called(server: Answering) -> None:
    failed = refused("warm_requests", warm(server, "/a"), context(private=False))
    assert failed.message == "0 of 1 requests succeeded, 1 must"
    assert server.asked == []
    given = {"url": server.url, "secret": SECRET}
    assert refused("http_hook", given, context(private=False)).permanent
    assert server.asked == []


def hook(server: Answering, **more: Any) -> dict[str, Any]:
    return {"url": f"{server.url}/heal?key=hidden-word", "secret": SECRET, **more}


def well(server: Answering, **answer: Any) -> None:
    server.body = json.dumps({"ok": True, "output": "restarted", **answer}).encode()


def test_a_hook_is_signed_and_says_what_it_did(server: Answering) -> None:
    well(server)
    given = hook(server, data={"pool": "a"}, headers={"X-Team": "ops"})
    assert effect("http_hook", given, context()) == (
        f'POSTs to {server.url}/heal, signed, with the target {SERVICE} and the data {{"pool":"a"}}'
    )
    acted = act("http_hook", given, context(trigger_kind="check_failed", trigger={"text": "503"}))
    assert acted.done.output == "restarted"
    [asked] = server.asked
    # By the standard's own library, which also refuses an old time.
    body: Any = Webhook(SECRET).verify(asked.body, asked.headers)
    assert body == json.loads(asked.body)
    assert (body["type"], body["data"], body["target"]) == (
        "healing.action",
        {"pool": "a"},
        {"kind": "service", "name": SERVICE, "service": SERVICE},
    )
    assert body["trigger"] == {"kind": "check_failed", "key": "", "text": "503"}
    assert (asked.method, asked.headers["x-team"]) == ("POST", "ops")
    assert asked.headers["webhook-id"] == "step-1"


def test_attempts_of_a_step_are_one_message_to_the_receiver(server: Answering) -> None:
    well(server)
    found = action_named("http_hook")
    parameters, where = found.parse(hook(server)), context()
    for _ in range(2):
        found.act(parameters, where)
    first, second = server.asked
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"done!", "with no JSON"),
        (b"", "with no JSON"),
        (b"\xff\xfe", "with no JSON"),
        (b"[" * 60_000, "with no JSON"),
        (b"[]", 'without {"ok": true'),
        (b"{}", 'without {"ok": true'),
        (b'{"ok": "yes"}', 'without {"ok": true'),
        (b'{"ok": true, "output": 7}', 'without {"ok": true'),
        (b'{"ok": true, "output": "' + b"x" * 70_000 + b'"}', "is larger than 65536 bytes"),
        (b'{"ok": false, "output": "no such pool"}', "failed: no such pool"),
    ],
)
def test_any_other_answer_is_a_failed_step(server: Answering, body: bytes, words: str) -> None:
    server.body = body
    failed = refused("http_hook", hook(server), context())
    assert words in failed.message
    assert "hidden-word" not in failed.message
    assert len(server.asked) == 1


@pytest.mark.parametrize("before", range(280, 301, 4))
@pytest.mark.parametrize("ok", [True, False])
def test_no_part_of_a_secret_is_left_where_what_a_hook_says_is_cut(
    server: Answering, before: int, ok: bool
) -> None:
    given = hook(server, headers={"X-Key": "a-hidden-header"})
    for secret in (SECRET, "a-hidden-header"):
        well(server, ok=ok, output=f"{'x' * before}{secret} {'y' * 40_000}")
        if ok:
            said = act("http_hook", given, context()).done.output
        else:
            failed = refused("http_hook", given, context())
            said = failed.message + failed.output
        assert "x***" in said or "x…" in said or "x*" in said
        assert secret[:4] not in said


@pytest.mark.parametrize(
    ("status", "permanent"), [(302, True), (308, True), (404, True), (429, False), (500, False)]
)
def test_a_status_that_is_no_success_fails_and_no_redirect_is_followed(
    server: Answering, status: int, permanent: bool
) -> None:
    well(server)
    server.status, server.headers = status, {"Location": f"{server.url}/elsewhere"}
    failed = refused("http_hook", hook(server), context())
    assert str(status) in failed.message
    assert failed.permanent is permanent
    assert [each.path for each in server.asked] == ["/heal?key=hidden-word"]


def test_a_hook_that_hangs_is_a_failed_step(server: Answering) -> None:
    done = threading.Event()
    server.before = lambda: done.wait(60)
    began = time.monotonic()
    try:
        failed = refused("http_hook", hook(server, seconds=0.5), context())
    finally:
        done.set()
    assert time.monotonic() - began < 40
    assert "It took too long" in failed.message
    assert not failed.permanent


def test_a_hook_that_hangs_up_is_asked_once(server: Answering) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        heard: list[bytes] = []

        def hang_up() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                heard.append(peer.recv(65_536))
                peer.close()

        threading.Thread(target=hang_up, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        failed = refused("http_hook", {"url": url, "secret": SECRET}, context())
        listener.shutdown(socket.SHUT_RDWR)
    assert "127.0.0.1" in failed.message
    assert len(heard) == 1


def test_what_nobody_saw_the_end_of_cannot_be_told(server: Answering) -> None:
    found = action_named("http_hook")
    assert found.finished(found.parse(hook(server)), context()) is None
    assert (found.repeatable, found.safe_to_leave, found.undoes_itself) == (False, False, False)


@pytest.mark.parametrize(
    ("name", "given", "option"),
    [
        ("warm_requests", {"urls": []}, "urls"),
        ("warm_requests", {"urls": ["ftp://h/x"]}, "urls"),
        ("warm_requests", {"urls": ["http://u:p@h/x"]}, "urls"),
        ("warm_requests", {"urls": ["http://h/x"], "share": 2}, "share"),
        ("warm_requests", {"urls": ["http://h/x"], "headers": {"Host\n": "a"}}, "headers"),
        ("http_hook", {"url": "http://h/", "secret": "whsec_short"}, "secret"),
        ("http_hook", {"url": "http://h/", "secret": SECRET, "seconds": 0}, "seconds"),
        (
            "http_hook",
            {"url": "http://h/", "secret": SECRET, "headers": {"Webhook-Id": "a"}},
            "headers",
        ),
        ("http_hook", {"url": "http://h/", "secret": SECRET, "data": {"a": "x" * 20_000}}, "data"),
    ],
)
def test_parameters_that_cannot_work_are_refused(
    name: str, given: dict[str, Any], option: str
) -> None:
    with pytest.raises(OptionError) as caught:
        action_named(name).parse(given)
    assert caught.value.option == option
    assert SECRET not in str(caught.value)
