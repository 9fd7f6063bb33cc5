"""Whether a failure passes, what the other side asks for, and whether the call took place at all.

`classify` reads exception types, HTTP statuses, gRPC and SQLSTATE codes and Microsoft Graph's
error codes by their shape, so that it needs no driver. `register` adds rules of a service's own.
"""

from __future__ import annotations

import datetime
import errno
import inspect
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from breakers.runtime.errors import (
    AuthenticationError,
    BulkheadFull,
    CallNotPermitted,
    RateLimitError,
    ResilienceError,
)
from breakers.runtime.failure_codes import (
    Classification,
    Rule,
    driver_rule,
    graph_rule,
    grpc_rule,
    http_rule,
    smtp_rule,
    sqlstate_rule,
)

logger = logging.getLogger(__name__)

LONGEST_RETRY_AFTER = 366 * 86400.0
_MAX_CAUSES = 5


class Verdict(NamedTuple):
    """What is known of a failure. `retry_after` is in seconds, `reason` a few words.

    `not_executed` is true only where the failure proves that the call did not take effect.
    """

    classification: Classification
    reason: str
    retry_after: float | None = None
    not_executed: bool = False


Classifier = Callable[[BaseException], Verdict | None]
_registered: tuple[Classifier, ...] = ()


def register(classifier: Classifier) -> Callable[[], None]:
    """Ask `classifier` first from now on; None leaves a failure to others. Returns the way back."""
    global _registered
    _registered = (classifier, *_registered)

    def remove() -> None:
        global _registered
        _registered = tuple(each for each in _registered if each is not classifier)

    return remove


def classify(error: BaseException, *, wall: Callable[[], float] = time.time) -> Verdict:
    """What kind of failure `error` is; `wall` is the time of day, for dates in Retry-After."""
    try:
        return _classified(error, wall)
    except Exception:
        # A property of someone else's exception, or a registered rule, failed.
        logger.exception("An error of type %s could not be classified", type(error).__name__)
        return Verdict(Classification.UNKNOWN, type(error).__name__)


def _classified(error: BaseException, wall: Callable[[], float]) -> Verdict:
    for classifier in _registered:
        verdict = classifier(error)
        if verdict is not None:
            return verdict
    explicit = _explicit_causes(error)
    for each in _with_causes(error):
        found = _rule(each)
        if found is not None:
            rule, reason = found
            if each is not error:
                reason += f", cause of {type(error).__name__}"
            # What was merely being handled may be another call's failure, so it proves nothing.
            proves = rule.not_executed and (each is error or each in explicit)
            return Verdict(rule.classification, reason, retry_after_of(each, wall), proves)
    return Verdict(Classification.UNKNOWN, type(error).__name__, retry_after_of(error, wall))


def is_answer(error: BaseException) -> bool:
    """Whether the other side understood the call and refused it, as by HTTP 404 or a constraint."""
    try:
        for each in _with_causes(error):
            found = _by_code(each)
            if found is not None:
                return found[0].classification is Classification.PERMANENT
    except Exception:
        logger.exception("An error of type %s could not be classified", type(error).__name__)
    return False


def is_failure(error: Exception) -> bool:
    """Whether the dependency failed: all errors but answers that refuse the call."""
    return not is_answer(error)


def parse_retry_after(text: str, now: float) -> float | None:
    """Seconds to wait by a Retry-After header: a number of them, or a date. `now` is Unix time."""
    text = text.strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return min(float(text), LONGEST_RETRY_AFTER)
    # Imported here, so that `import breakers.runtime` stays fast.
    from email.utils import parsedate_to_datetime

    with suppress(ValueError, TypeError, IndexError, OverflowError):
        date = parsedate_to_datetime(text)
        if date.tzinfo is None:  # the asctime form names no zone and means UTC (RFC 9110)
            date = date.replace(tzinfo=datetime.UTC)
        return min(max(0.0, date.timestamp() - now), LONGEST_RETRY_AFTER)
    return None


def retry_after_of(error: BaseException, wall: Callable[[], float] = time.time) -> float | None:
    """The wait in seconds that the other side asks for."""
    own = getattr(error, "retry_after", None)
    if isinstance(own, int | float) and not isinstance(own, bool) and own >= 0:
        return min(float(own), LONGEST_RETRY_AFTER)
    headers = getattr(getattr(error, "response", None), "headers", None)
    if headers is None:
        headers = getattr(error, "headers", None)
    if not hasattr(headers, "get"):
        return None
    for name, scale in (
        ("retry-after-ms", 0.001),
        ("x-ms-retry-after-ms", 0.001),
        ("retry-after", 1),
    ):
        text = _header(headers, name)
        wait = None if text is None else parse_retry_after(text, wall())
        if wait is not None:
            return wait * scale
    return None


def _header(headers: Any, name: str) -> str | None:
    # A plain dict of headers tells upper case from lower.
    value = headers.get(name)
    if value is None:
        value = headers.get(name.title())
    return None if value is None else str(value)


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    each: BaseException | None = error
    while each is not None and each not in seen and len(seen) <= _MAX_CAUSES:
        seen.append(each)
        yield each
        each = each.__cause__ or (None if each.__suppress_context__ else each.__context__)


def _explicit_causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    each = error.__cause__
    while each is not None and each not in found and len(found) < _MAX_CAUSES:
        found.append(each)
        each = each.__cause__
    return found


def _rule(error: BaseException) -> tuple[Rule, str] | None:
    """What the exception says for itself, without its causes."""
    kind = type(error).__name__
    if isinstance(error, ResilienceError):
        # A deadline may end a call in its midst.
        proves = isinstance(error, CallNotPermitted | BulkheadFull)
        return Rule(Classification.PERMANENT, not_executed=proves), f"{kind} by this library"
    if isinstance(error, RateLimitError):
        return Rule(Classification.RATE_LIMITED, not_executed=True), kind
    if isinstance(error, AuthenticationError):
        return Rule(Classification.AUTHENTICATION, not_executed=True), kind
    return _by_code(error) or _by_type(error)


def _by_code(error: BaseException) -> tuple[Rule, str] | None:
    code = _graph_code(error)
    if code and (rule := graph_rule(code)) is not None:
        return rule, f"Microsoft Graph's {code}"
    status = _http_status(error)
    if status is not None and (rule := http_rule(status)) is not None:
        return rule, f"HTTP status {status}"
    sqlstate = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if isinstance(sqlstate, str) and len(sqlstate) == 5:
        return sqlstate_rule(sqlstate), f"SQLSTATE {sqlstate}"
    smtp = getattr(error, "smtp_code", None)
    if isinstance(smtp, int) and driver_rule(error) is None:
        return smtp_rule(smtp), f"SMTP code {smtp}"
    grpc = getattr(error, "code", None)
    if callable(grpc):
        with suppress(Exception):  # someone else's `code` may need arguments
            name = getattr(grpc(), "name", None)
            if isinstance(name, str):
                return grpc_rule(name), f"gRPC status {name}"
    return None


def _http_status(error: BaseException) -> int | None:
    response = getattr(error, "response", None)
    for holder in (response, error):
        for name in ("status_code", "status", "code"):
            value = getattr(holder, name, None)
            if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599:
                return value
    return None


def _graph_code(error: BaseException) -> str:
    own = getattr(error, "code", None)
    if isinstance(own, str):
        return own
    response = getattr(error, "response", None)
    read = getattr(response, "json", None)
    if not callable(read) or inspect.iscoroutinefunction(read):
        return ""
    with suppress(Exception):  # no JSON, or a stream that nobody has read
        body = read()
        return str(body["error"]["code"])
    return ""


_NOT_CONNECTED = frozenset(
    (errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)
)
_PROGRAMMING = (
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    NameError,
    AssertionError,
    NotImplementedError,
    ArithmeticError,
)
_FILES = (
    FileNotFoundError,
    FileExistsError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
)


def _by_type(error: BaseException) -> tuple[Rule, str] | None:
    kind = type(error).__name__
    if (rule := driver_rule(error)) is not None:
        return rule, kind
    transient = Classification.TRANSIENT
    if isinstance(error, socket.gaierror):
        return Rule(transient, not_executed=True), "the host's name was not found"
    if isinstance(error, ssl.SSLCertVerificationError):
        return Rule(Classification.PERMANENT, not_executed=True), "its certificate is refused"
    if isinstance(error, OSError) and error.errno in _NOT_CONNECTED:
        return Rule(transient, not_executed=True), f"{kind}: no connection was made"
    if isinstance(error, ConnectionRefusedError):
        return Rule(transient, not_executed=True), kind
    if isinstance(error, _FILES):
        return Rule(Classification.PERMANENT), kind
    if isinstance(error, TimeoutError | OSError | EOFError):
        return Rule(transient), kind
    if isinstance(error, _PROGRAMMING):
        return Rule(Classification.PERMANENT), kind
    return None
