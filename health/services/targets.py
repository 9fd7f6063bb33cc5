"""Targets of checks: read, sealed, and shown without their secrets.

A value may name variables of the worker's environment as `${RESILIENCE_CHECK_…}`; they are put in
when the check runs, so what is stored and shown is the name.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import orjson

from health.checks import kinds
from health.checks.base import KINDS, CheckKind
from health.checks.options import OptionError
from health.services.masks import MASK, mask, secret_texts, unmask
from health.services.ways import weaker
from resilience_site.core.problems import Invalid
from resilience_site.core.sealing import seal, unseal

PREFIX: Final = "RESILIENCE_CHECK_"
_REFERENCE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_MOST_BYTES: Final = 32_768
# As JSON spells it; PostgreSQL stores none.
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
PUSH: Final = "push"


class UnsetVariable(OptionError):
    """An option names a variable that this process's environment does not have."""


@dataclass(frozen=True)
class Target:
    """`whole` is what is sealed, `shown` what people see. `options` is None where a variable that
    the target names is not set in this process, which then cannot judge it."""

    whole: dict[str, Any]
    shown: dict[str, Any]
    options: Any

    @property
    def sealed(self) -> str:
        return seal(orjson.dumps(self.whole).decode())


_load = cache(kinds.load)


def kinds_known() -> dict[str, CheckKind[Any]]:
    """Every kind of check by its name."""
    _load()
    return dict(sorted(KINDS.items()))


def kind_named(name: Any) -> CheckKind[Any]:
    """A kind; raises `Invalid`, which lists the kinds there are."""
    known = kinds_known()
    if not isinstance(name, str) or name not in known:
        raise Invalid.field("kind", f"{name!r} is no kind of check; known are {', '.join(known)}.")
    return known[name]


def target_read(
    kind: CheckKind[Any], given: Any, former: Mapping[str, Any] | None = None
) -> Target:
    """What somebody gave as the target of a check, secrets that came masked taken from `former`.

    Raises `Invalid`, whose field is `target.OPTION`.
    """
    if not isinstance(given, Mapping):
        raise Invalid.field("target", "The target must be an object of options.")
    try:
        text = orjson.dumps(dict(given))
    except (TypeError, ValueError) as error:
        raise Invalid.field("target", f"The target is no JSON: {error}.") from None
    if len(text) > _MOST_BYTES:
        raise Invalid.field("target", f"A target has at most {_MOST_BYTES} bytes.")
    if _NUL.search(text):
        raise Invalid.field("target", "A target holds no NUL character.")
    try:
        whole = unmask(kind, orjson.loads(text), former or {})
        _references_allowed(whole)
        if kind.name == PUSH and not whole.get("token"):
            # Left out, it stays as it is; emptied, it is renewed.
            kept = None if "token" in whole else (former or {}).get("token")
            whole["token"] = kept or secrets.token_urlsafe(24)
        options = _options_at_save(kind, whole)
        kept = masked_options(kind, orjson.loads(text))
        if kept:
            same_host_require(kind, options, former or {}, kept[0])
    except OptionError as error:
        raise invalid(error) from None
    return Target(whole, mask(kind, whole), options)


def invalid(error: OptionError) -> Invalid:
    """The refusal of a wrong option."""
    field = "target" if error.option == "target" else f"target.{error.option}"
    return Invalid.field(field, f"{error.option} {error.message}")


def masked_options(kind: CheckKind[Any], given: Mapping[str, Any]) -> list[str]:
    """The options that hold a mask in place of a secret."""
    names = sorted((kind.secrets | kind.url_secrets) & set(given))
    return [name for name in names if MASK in orjson.dumps(given[name]).decode()]


def same_host_require(
    kind: CheckKind[Any], options: Any, former: Mapping[str, Any], option: str
) -> None:
    """A secret that nobody can read must not be sent elsewhere by whoever may edit checks.

    Raises `OptionError` where a target would call another host or port than the `former` one, or
    the same with less protection.
    """
    moved = True
    with contextlib.suppress(OptionError):
        before = kind.parse(resolved(former))
        moved = (
            options is None or kind.hosts(options) != kind.hosts(before) or weaker(before, options)
        )
    if moved:
        raise OptionError(
            option, "must be entered again, as it would go elsewhere now, or with less protection"
        )


def opened(sealed: str) -> dict[str, Any]:
    """The whole target; raises `UnsealError`."""
    whole: dict[str, Any] = orjson.loads(unseal(sealed))
    return whole


def resolved(whole: Mapping[str, Any]) -> dict[str, Any]:
    """The target with the variables put in that it names; raises `UnsetVariable`."""
    return {name: _put_in(name, value) for name, value in whole.items()}


def parsed(kind: CheckKind[Any], whole: Mapping[str, Any]) -> Any:
    """The options of a target with its variables put in. Raises `OptionError`, which tells the
    value of none of them."""
    try:
        return kind.parse(resolved(whole))
    except UnsetVariable:
        raise
    except OptionError as error:
        names = sorted(_named(whole.get(error.option)))
        if not names:
            raise
        words = f"is not valid with the value that {' and '.join(names)} has here"
        raise OptionError(error.option, words) from None


def secrets_of(kind: CheckKind[Any], whole: Mapping[str, Any]) -> frozenset[str]:
    """Every secret that a run with this target could let slip. Raises `OptionError`."""
    return secret_texts(kind, resolved(whole)) | variable_texts(kind, whole)


def variable_texts(kind: CheckKind[Any], whole: Mapping[str, Any]) -> frozenset[str]:
    """The values of the variables that a target names, which no output may carry; hosts that are
    called are no secrets, and people must read which one is meant."""
    named = (name for value in whole.values() for name in _named(value))
    values = {os.environ.get(name, "") for name in named}
    return frozenset(values - {""} - {host for host, _ in kind.hosts(parsed(kind, whole))})


def _named(value: Any) -> set[str]:
    found = _REFERENCE.findall(orjson.dumps(value).decode())
    return {name for name in found if name.startswith(PREFIX)}


def _put_in(option: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _put_in(option, each) for key, each in value.items()}
    if isinstance(value, list):
        return [_put_in(option, each) for each in value]
    if not isinstance(value, str):
        return value

    def variable(found: re.Match[str]) -> str:
        if not found[1].startswith(PREFIX):
            return found[0]
        if found[1] not in os.environ:
            raise UnsetVariable(option, f"names the variable {found[1]}, which is not set here")
        return os.environ[found[1]]

    return _REFERENCE.sub(variable, value)


def _references_allowed(whole: Mapping[str, Any]) -> None:
    for option, value in whole.items():
        for name in _REFERENCE.findall(orjson.dumps(value).decode()):
            if not name.startswith(PREFIX):
                raise OptionError(
                    option, f"may only name variables that begin with {PREFIX}, not {name}"
                )


def _options_at_save(kind: CheckKind[Any], whole: Mapping[str, Any]) -> Any:
    try:
        return parsed(kind, whole)
    except UnsetVariable as error:
        if kind.name == PUSH:
            raise
        unset = error
    # The worker has the variable; what can be known without it is checked all the same.
    unknown = sorted(set(whole) - set(kind.Options.__dataclass_fields__))
    if unknown:
        raise OptionError(unknown[0], f"is unknown; {unset.option} cannot be read here")
    return None


def push_digest(kind: CheckKind[Any], target: Target) -> str | None:
    """What a pushed heartbeat is found by: its token itself is sealed. None for other kinds."""
    return token_digest(target.options.token) if kind.name == PUSH else None


def token_digest(token: str) -> str:
    """A token's SHA-256, in hexadecimal: tokens are long and random, so that suffices."""
    return hashlib.sha256(token.encode()).hexdigest()
