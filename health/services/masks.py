"""Secrets in targets of checks: hidden for people, and put back when what was hidden comes back.

Options that are secrets are hidden whole; of URLs and connection strings only the password, and
what stands in their query under the name of a secret.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol
from urllib.parse import unquote

from health.checks.options import OptionError

MASK: Final = "***"


class Secretive(Protocol):
    """What has options with secrets: those that are secret whole, and URLs that hold some."""

    @property
    def secrets(self) -> frozenset[str]: ...

    @property
    def url_secrets(self) -> frozenset[str]: ...


_REFERENCE_ALONE: Final = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_IN_URL: Final = (
    # scheme://user:SECRET@host, also where the secret holds characters that should be escaped.
    re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#:@]*:(?P<secret>[^/?#]*)@"),
    re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#:@]*:(?![0-9]+[/?#])(?P<secret>.*)@"),
    # ?password=SECRET&…
    re.compile(
        r"[?&](?:[A-Za-z0-9_.-]*(?:password|passwd|pwd|token|secret|key|signature|credentials?|auth"
        r"|jwt|session)[0-9]*|sig|sas|code|pass)=(?P<secret>[^&#]*)",
        re.IGNORECASE,
    ),
    # host=… password='SECRET', as libpq reads it.
    re.compile(
        r"(?:^|\s)(?:ssl)?password\s*=\s*(?P<secret>'(?:[^'\\]|\\.)*'|[^\s']+)", re.IGNORECASE
    ),
)


def mask(kind: Secretive, whole: Mapping[str, Any]) -> dict[str, Any]:
    """The target as people see it."""
    shown = {}
    for name, value in whole.items():
        if name in kind.secrets:
            shown[name] = _hidden(value)
        elif name in kind.url_secrets and isinstance(value, str):
            shown[name] = mask_url(value)
        else:
            shown[name] = value
    return shown


def _hidden(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _hidden(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_hidden(each) for each in value]
    if value is None or value == "":
        return value
    if isinstance(value, str) and _REFERENCE_ALONE.fullmatch(value):
        return value
    return MASK


def mask_url(url: str) -> str:
    """A URL or connection string without its password."""
    parts, last = [], 0
    for start, end in _secret_spans(url):
        alone = _REFERENCE_ALONE.fullmatch(url[start:end])
        parts += [url[last:start], url[start:end] if alone else MASK]
        last = end
    return "".join([*parts, url[last:]])


def _secret_spans(url: str) -> list[tuple[int, int]]:
    """Where secrets stand, in order and apart from each other; empty ones are none."""
    found: list[tuple[int, int]] = []
    for pattern in _IN_URL:
        # Those of one pattern are apart by themselves.
        spans = (match.span("secret") for match in pattern.finditer(url))
        found = sorted([*found, *(each for each in spans if _apart(each, found))])
    return found


def _apart(span: tuple[int, int], others: list[tuple[int, int]]) -> bool:
    """Whether a span is not empty and touches none of the others, which are in order."""
    start, end = span
    place = bisect.bisect_left(others, (start, end))
    before = place == 0 or others[place - 1][1] <= start
    return start < end and before and (place == len(others) or others[place][0] >= end)


def unmask(kind: Secretive, given: Mapping[str, Any], former: Mapping[str, Any]) -> dict[str, Any]:
    """The given target with masks replaced by the secrets of the former one.

    Raises `OptionError` for a mask in whose place there was no secret.
    """
    whole = dict(given)
    for name, value in given.items():
        if name in kind.secrets:
            whole[name] = _kept(name, value, former.get(name))
        elif name in kind.url_secrets and isinstance(value, str):
            whole[name] = _kept_url(name, value, former.get(name))
    return whole


def _kept(option: str, value: Any, former: Any) -> Any:
    if isinstance(value, Mapping):
        past = former if isinstance(former, Mapping) else {}
        return {key: _kept(option, each, past.get(key)) for key, each in value.items()}
    if isinstance(value, list):
        listed = former if isinstance(former, list) and len(former) == len(value) else []
        pairs = zip(value, listed or [None] * len(value), strict=True)
        return [_kept(option, each, past) for each, past in pairs]
    if value != MASK:
        return value
    if former in (None, "", MASK):
        raise OptionError(option, f"is {MASK}, but there is no former secret to keep")
    return former


def _kept_url(option: str, value: str, former: Any) -> str:
    spans = [span for span in _secret_spans(value) if value[span[0] : span[1]] == MASK]
    if not spans:
        return value
    past = former if isinstance(former, str) else ""
    if value == mask_url(past):
        return past
    everywhere, kept = _secret_spans(value), _secret_spans(past)
    if len(everywhere) != len(kept):
        raise OptionError(option, f"holds {MASK}, but there is no former secret to keep")
    parts, last = [], 0
    for (start, end), (a, b) in zip(everywhere, kept, strict=True):
        parts += [value[last:start], past[a:b] if (start, end) in spans else value[start:end]]
        last = end
    return "".join([*parts, value[last:]])


def secret_texts(kind: Secretive, resolved: Mapping[str, Any]) -> frozenset[str]:
    """Every secret of a target with its variables put in, as it may turn up in messages."""
    found: set[str] = set()
    for name, value in resolved.items():
        if name in kind.secrets:
            found |= set(_texts(value))
        elif name in kind.url_secrets and isinstance(value, str):
            for start, end in _secret_spans(value):
                found |= {value[start:end], unquote(value[start:end])}
    return frozenset(found - {""})


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str):
        yield value
