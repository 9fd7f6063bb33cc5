"""Which pattern an error belongs to, remembered per process so that a flood costs little."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Generic, NamedTuple, TypeVar

from analytics.domain.errors import ErrorRecord
from analytics.domain.fingerprints import Fingerprint, fingerprint, stack_signature
from analytics.domain.stacktraces import DEFAULT_LIBRARIES, Library, ParsedStack, parse
from resilience_site.config import config

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


class Recent(Generic[_K, _V]):
    """The results of a function for its most recent keys. One per thread: it takes no lock."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[_K, _V] = OrderedDict()

    def get(self, key: _K, make: Callable[[], _V]) -> _V:
        try:
            self._values.move_to_end(key)
            return self._values[key]
        except KeyError:
            value = make()
            self._values[key] = value
            if len(self._values) > self._size:
                self._values.popitem(last=False)
            return value


class Stack(NamedTuple):
    """A distinct stack trace: `hash` is 32 hex digits of its raw text and language."""

    hash: str
    signature: str
    language: str
    parsed: ParsedStack


class Grouper:
    """Finds the stack and the fingerprint of errors; pure, with bounded memory."""

    def __init__(self, size: int = 2_048) -> None:
        self._stacks: Recent[tuple[str, str], Stack] = Recent(size)
        self._framed: Recent[tuple[str, str, str], Fingerprint] = Recent(size)
        self._unframed: Recent[tuple[str, str, str], Fingerprint] = Recent(size)

    def stack(self, raw: str, language: str) -> Stack | None:
        """The parsed stack trace of an error; None when it carries none."""
        if not raw:
            return None
        return self._stacks.get((raw, language), lambda: _parse(raw, language))

    def fingerprint(self, error: ErrorRecord, stack: Stack | None) -> Fingerprint:
        """The group that an error belongs to."""
        service, signature = error.resource.service, stack.signature if stack else ""
        if signature:
            # With frames the message does not matter, so neither may it split the memory.
            return self._framed.get(
                (service, error.type, signature),
                lambda: fingerprint(service, error.type, error.message, signature),
            )
        return self._unframed.get(
            (service, error.type, error.message),
            lambda: fingerprint(service, error.type, error.message, ""),
        )


@lru_cache(maxsize=8)
def _libraries(own: tuple[str, ...], foreign: tuple[str, ...]) -> Mapping[str, Library]:
    return {
        language: library._replace(own=own, foreign=foreign)
        for language, library in DEFAULT_LIBRARIES.items()
    }


def _parse(raw: str, language: str) -> Stack:
    own, foreign = config.resilience_in_app_include, config.resilience_in_app_exclude
    parsed = parse(raw, language, _libraries(tuple(own), tuple(foreign)))
    digest = blake2b(f"{language}\0{raw}".encode("utf-8", "replace"), digest_size=16)
    return Stack(digest.hexdigest(), stack_signature(parsed), parsed.language, parsed)


def frames_document(parsed: ParsedStack) -> list[dict[str, Any]]:
    """The parsed exceptions as stored: outermost exception first, each with its frames."""
    return [
        {
            "type": exception.type,
            "message": exception.message,
            "relation": exception.relation,
            "frames": [frame._asdict() for frame in exception.frames],
        }
        for exception in parsed.exceptions
    ]
