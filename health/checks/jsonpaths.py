"""JSON paths (RFC 9535) over answers of servers that are not trusted, in time linear to their size.

The RFC lets a path visit a document many times over: `..` twice, several selectors in a bracket,
the root within a filter, regular expressions. A check needs none of those.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any

import jsonpath_rfc9535
import orjson
from jsonpath_rfc9535.lex import tokenize
from jsonpath_rfc9535.tokens import TokenType

LONGEST = 500
# A path may find more; nobody reads them.
MOST = 1000


class NoJson(Exception):
    """The text is not JSON, or nested too deeply; the message says which."""


@functools.lru_cache(maxsize=4096)
def compiled(path: str) -> jsonpath_rfc9535.JSONPathQuery:
    """Raises `ValueError` with what is wrong, in words."""
    if len(path) > LONGEST:
        raise ValueError(f"must not be longer than {LONGEST} characters")
    try:
        query = jsonpath_rfc9535.compile(path)
    except jsonpath_rfc9535.JSONPathError as error:
        raise ValueError(f"is not a JSON path of RFC 9535: {error.args[0]}") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    _refuse_costly(path)
    return query


def _refuse_costly(path: str) -> None:
    tokens = tokenize(path)
    kinds = [token.type_ for token in tokens]
    if kinds.count(TokenType.DOUBLE_DOT) > 1:
        raise ValueError("may have `..` once")
    if kinds.count(TokenType.ROOT) > 1:
        raise ValueError("may have `$` only at its beginning")
    # The commas of functions go with them.
    if TokenType.COMMA in kinds or any(
        token.type_ is TokenType.FUNCTION and token.value in ("match", "search") for token in tokens
    ):
        raise ValueError("may have one selector in each bracket, and neither match() nor search()")


def found_in(text: bytes, path: str) -> list[Any]:
    """The values that `path` finds in a JSON text, at most `MOST`. Raises `NoJson`."""
    query = compiled(path)
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise NoJson(f"is not JSON: {error.msg}") from None
    try:
        return [node.value for node in itertools.islice(query.finditer(document), MOST)]
    except (jsonpath_rfc9535.JSONPathRecursionError, RecursionError):
        raise NoJson("is nested too deeply for a path with `..`") from None


def same(found: Any, expected: Any) -> bool:
    """Equality of JSON values: true is not 1, and 1 is 1.0."""
    if isinstance(found, bool) or isinstance(expected, bool):
        return found is expected
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(found, dict) and isinstance(expected, dict):
        return found.keys() == expected.keys() and all(
            same(found[key], expected[key]) for key in found
        )
    return bool(found == expected)
