"""Two shapes of traces that name a bystander to whoever looks for the first red span."""

from __future__ import annotations

from analytics.domain.chains import ChainError, ChainSpan, chain

_MS = 1_000_000


def span(
    name: str, parent: str, begin: int, end: int, *, failed: bool = False, kind: int = 3
) -> ChainSpan:
    return ChainSpan(name, parent, name, f"call {name}", kind, begin * _MS, end * _MS, failed, "t")


def error(service: str, at: int) -> ChainError:
    return ChainError(f"{service} failed", service, service, "Error", at * _MS, "t")


def test_error_timeout_masked() -> None:
    """The only failed span is the proxy that gave up; the culprit answered well, after that."""
    found = chain(
        [
            span("browser", "", 0, 3_020),
            span("proxy", "browser", 5, 3_005, failed=True),
            span("frontend", "proxy", 8, 9_100),
            span("ads", "frontend", 20, 60),
            span("recommend", "frontend", 30, 9_000),
        ],
        [error("proxy", 3_005)],
    )
    assert found.root_cause == "proxy failed"
    assert found.services == ["recommend", "frontend", "proxy", "browser"]


def test_a_slow_consumer_of_a_message_is_nobody_s_timeout() -> None:
    found = chain(
        [span("web", "", 0, 10, failed=True), span("mailer", "web", 5, 90_000, kind=5)],
        [error("web", 9)],
    )
    assert found.services == ["web"]


def test_sibling_errors() -> None:
    """Two siblings fail; the second only because of what the first left undone."""
    found = chain(
        [
            span("checkout", "", 0, 200, failed=True),
            span("quotes", "checkout", 10, 40, failed=True),
            span("address", "checkout", 50, 90, failed=True),
        ],
        [error("address", 89), error("quotes", 39), error("checkout", 199)],
    )
    assert found.root_cause == "quotes failed"
    assert found.services[0] == "quotes"
