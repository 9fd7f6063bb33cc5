"""What a failure says about itself, told by the real exceptions of real drivers."""

from __future__ import annotations

import smtplib
import socket
import ssl
import time
import urllib.error
from email.message import Message
from email.utils import formatdate

import httpx
import psycopg
import psycopg_pool
import pytest
import redis
import requests
from hypothesis import given
from hypothesis import strategies as st

from breakers.runtime.classification import (
    LONGEST_RETRY_AFTER,
    Verdict,
    classify,
    parse_retry_after,
    register,
)
from breakers.runtime.errors import (
    AuthenticationError,
    BulkheadFull,
    CallNotPermitted,
    DeadlineExceeded,
    HTTPError,
    RateLimitError,
)
from breakers.runtime.failure_codes import Classification

REQUEST = httpx.Request("GET", "http://graph.example/v1.0/me")


def answered(status: int, code: str = "", **headers: str) -> httpx.HTTPStatusError:
    body = {"error": {"code": code, "message": "no"}} if code else {}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx.Response(status, json=body, headers=named, request=REQUEST)
    return httpx.HTTPStatusError("bad", request=REQUEST, response=response)


def of_requests(status: int) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    response.headers["Retry-After"] = "7"
    response._content = b"no json"
    return requests.HTTPError(response=response)


class GrpcError(Exception):
    def __init__(self, name: str) -> None:
        self.name = name

    def code(self) -> object:
        return type("StatusCode", (), {"name": self.name})


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "classification", "not_executed"),
    [
        (ConnectionRefusedError(), "transient", True),
        (ConnectionResetError(), "transient", False),
        (TimeoutError(), "transient", False),
        (socket.gaierror(-2, "unknown"), "transient", True),
        (OSError(113, "no route"), "transient", True),
        (ssl.SSLCertVerificationError("expired"), "permanent", True),
        (FileNotFoundError(), "permanent", False),
        (ValueError(), "permanent", False),
        (KeyError(), "permanent", False),
        (Exception(), "unknown", False),
        (answered(400), "permanent", False),
        (answered(401), "authentication", True),
        (answered(404), "permanent", False),
        (answered(408), "transient", False),
        (answered(429), "rate_limited", True),
        (answered(500), "transient", False),
        (answered(501), "permanent", False),
        (answered(503), "transient", False),
        (answered(522), "transient", False),
        (answered(403, "activityLimitReached"), "rate_limited", True),
        (answered(400, "InvalidAuthenticationToken"), "authentication", True),
        (answered(503, "serviceNotAvailable"), "transient", False),
        (answered(409, "resourceModified"), "permanent", False),
        (of_requests(503), "transient", False),
        (httpx.ConnectError("x"), "transient", True),
        (httpx.ConnectTimeout("x"), "transient", True),
        (httpx.PoolTimeout("x"), "transient", True),
        (httpx.ReadTimeout("x"), "transient", False),
        (httpx.RemoteProtocolError("x"), "transient", False),
        (httpx.UnsupportedProtocol("x"), "permanent", False),
        (requests.ConnectTimeout(), "transient", True),
        (requests.ReadTimeout(), "transient", False),
        (requests.ConnectionError(), "transient", False),
        (requests.exceptions.SSLError(), "permanent", False),
        (urllib.error.URLError("x"), "transient", False),
        (urllib.error.HTTPError("http://x", 429, "no", Message(), None), "rate_limited", True),
        (redis.ConnectionError(), "transient", False),
        (redis.TimeoutError(), "transient", False),
        (redis.BusyLoadingError(), "transient", True),
        (redis.ReadOnlyError(), "transient", True),
        (redis.AuthenticationError(), "authentication", True),
        (redis.ResponseError(), "permanent", False),
        (psycopg.OperationalError("no connection"), "transient", False),
        (psycopg.errors.SerializationFailure(), "transient", True),
        (psycopg.errors.DeadlockDetected(), "transient", True),
        (psycopg.errors.TooManyConnections(), "transient", True),
        (psycopg.errors.AdminShutdown(), "transient", False),
        (psycopg.errors.InvalidPassword(), "authentication", True),
        (psycopg.errors.UniqueViolation(), "permanent", False),
        (psycopg.errors.UndefinedTable(), "permanent", False),
        (psycopg_pool.PoolTimeout(), "transient", True),
        (smtplib.SMTPServerDisconnected(), "transient", False),
        (smtplib.SMTPResponseException(451, b"later"), "transient", False),
        (smtplib.SMTPResponseException(550, b"never"), "permanent", False),
        (smtplib.SMTPAuthenticationError(535, b"no"), "authentication", True),
        (GrpcError("UNAVAILABLE"), "transient", False),
        (GrpcError("ABORTED"), "transient", True),
        (GrpcError("RESOURCE_EXHAUSTED"), "rate_limited", True),
        (GrpcError("INVALID_ARGUMENT"), "permanent", False),
        (HTTPError(502), "transient", False),
        (RateLimitError(), "rate_limited", True),
        (AuthenticationError(), "authentication", True),
        (CallNotPermitted("a", "open", 5.0), "permanent", True),
        (BulkheadFull("a", "queue_full"), "permanent", True),
        (caused(RuntimeError("sync failed"), answered(429)), "rate_limited", True),
        (caused(RuntimeError("sync failed"), RuntimeError("again")), "unknown", False),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_failures_are_known_by_their_shape(
    error: Exception, classification: str, not_executed: bool
) -> None:
    verdict = classify(error)
    assert (verdict.classification.value, verdict.not_executed) == (classification, not_executed)
    assert verdict.reason


def test_the_other_side_says_when_to_come_back() -> None:
    now = 1_700_000_000.0

    def asked(**headers: str) -> float | None:
        return classify(answered(429, **headers), wall=lambda: now).retry_after

    assert asked() is None
    assert asked(retry_after="12") == 12
    assert asked(retry_after=formatdate(now + 90, usegmt=True)) == 90
    assert asked(retry_after=formatdate(now - 90, usegmt=True)) == 0
    assert asked(retry_after="Wed, 01 Jan 9999 00:00:00 GMT") == LONGEST_RETRY_AFTER
    assert asked(retry_after="soon") is None
    assert asked(retry_after="-5") is None
    assert asked(retry_after_ms="1500", retry_after="9") == 1.5
    assert classify(of_requests(503)).retry_after == 7
    assert classify(RateLimitError(retry_after=3)).retry_after == 3
    assert classify(CallNotPermitted("a", "open", 5.0)).retry_after == 5


@given(st.text(max_size=40) | st.integers(0, 10**400).map(str))
def test_no_header_can_break_the_parser(text: str) -> None:
    wait = parse_retry_after(text, 1_700_000_000.0)
    assert wait is None or 0 <= wait <= LONGEST_RETRY_AFTER


def test_a_service_has_rules_of_its_own() -> None:
    class Busy(Exception):
        pass

    def busy(error: BaseException) -> Verdict | None:
        if isinstance(error, Busy):
            return Verdict(Classification.RATE_LIMITED, "busy", 2.0, not_executed=True)
        return None

    remove = register(busy)
    try:
        assert classify(Busy()).reason == "busy"
        assert classify(ValueError()).classification is Classification.PERMANENT
    finally:
        remove()
    assert classify(Busy()).classification is Classification.UNKNOWN


def test_what_was_merely_being_handled_proves_nothing() -> None:
    def inside() -> None:
        try:
            raise ConnectionRefusedError
        except ConnectionRefusedError:
            raise RuntimeError("the write that came after it failed")  # noqa: B904

    with pytest.raises(RuntimeError) as raised:
        inside()
    verdict = classify(raised.value)
    assert (verdict.classification.value, verdict.not_executed) == ("transient", False)
    assert classify(caused(RuntimeError(), ConnectionRefusedError())).not_executed


def test_a_deadline_may_end_a_call_in_its_midst() -> None:
    assert not classify(DeadlineExceeded()).not_executed


def test_the_old_form_of_a_date_means_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert parse_retry_after("Tue Nov 14 22:14:20 2023", 1_700_000_000.0) == 60
    finally:
        monkeypatch.undo()
        time.tzset()


def test_circular_causes_end() -> None:
    one, two = Exception(), Exception()
    one.__cause__, two.__cause__ = two, one
    assert classify(one).classification is Classification.UNKNOWN


def test_an_exception_that_cannot_be_looked_at_is_unknown(caplog: pytest.LogCaptureFixture) -> None:
    class Odd(Exception):
        @property
        def response(self) -> object:
            raise RuntimeError

    assert classify(Odd()).classification is Classification.UNKNOWN
    assert "Odd could not be classified" in caplog.text
