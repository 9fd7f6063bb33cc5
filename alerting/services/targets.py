"""Targets of channels: read, sealed, and shown without their secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from alerting.channels import Kind, kind_named, kinds_known
from alerting.models import Channel
from health.checks.options import OptionError
from health.services.hosts import HostJudge
from health.services.masks import MASK, mask, unmask
from resilience_site.core.problems import Invalid
from resilience_site.core.sealing import seal, unseal

_MOST_BYTES: Final = 32_768


@dataclass(frozen=True)
class Target:
    """`whole` is what is sealed, `shown` what people see."""

    whole: dict[str, Any]
    shown: dict[str, Any]

    @property
    def sealed(self) -> str:
        return seal(orjson.dumps(self.whole).decode())


def kind_required(name: Any) -> Kind[Any]:
    """A kind that can send here. Raises `Invalid`, which lists those there are."""
    kind = kind_named(name) if isinstance(name, str) else None
    if kind is None:
        known = ", ".join(kinds_known())
        raise Invalid.field("kind", f"{name!r} is no kind of channel; known are {known}.")
    if kind.missing():
        raise Invalid.field("kind", kind.missing())
    return kind


def target_read(kind: Kind[Any], given: Any, former: Mapping[str, Any] | None = None) -> Target:
    """What somebody gave as the target of a channel, secrets that came masked taken from `former`.

    Raises `Invalid`, whose field is `target.OPTION`.
    """
    try:
        whole = unmask(kind, _object(given), former or {})
        whole = kind.completed(whole)
        options = kind.parse(whole)
        kind.verify(options)
        if former is not None and _sent_masked(kind, given):
            _same_place_require(kind, options, former, _sent_masked(kind, given)[0])
    except OptionError as error:
        field = "target" if error.option == "target" else f"target.{error.option}"
        raise Invalid.field(field, f"{error.option} {error.message}.") from None
    HostJudge().require(host for _, host, _ in kind.destinations(options))
    return Target(whole, mask(kind, whole))


def target_masked(kind: Kind[Any], given: Any) -> dict[str, Any]:
    """What somebody gave as a target, as people may see it, whether or not it can be read."""
    return mask(kind, given) if isinstance(given, Mapping) else {}


def target_opened(channel: Channel) -> dict[str, Any]:
    """The whole target of a channel; raises `UnsealError`."""
    whole: dict[str, Any] = orjson.loads(unseal(channel.sealed))
    return whole


def _object(given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise OptionError("target", "must be an object of options")
    try:
        text = orjson.dumps(dict(given))
    except (TypeError, ValueError):
        raise OptionError("target", "must be JSON") from None
    if len(text) > _MOST_BYTES:
        raise OptionError("target", f"must have at most {_MOST_BYTES} bytes")
    if b"\\u0000" in text:
        raise OptionError("target", "may not hold a NUL character")
    read: dict[str, Any] = orjson.loads(text)
    return read


def _sent_masked(kind: Kind[Any], given: Mapping[str, Any]) -> list[str]:
    """The options with a mask in place of a secret that is sent to the receiver."""
    names = (kind.secrets | kind.url_secrets) - kind.kept_here
    return sorted(n for n in names & set(given) if MASK in orjson.dumps(given[n]).decode())


def _same_place_require(
    kind: Kind[Any], options: Any, former: Mapping[str, Any], option: str
) -> None:
    """A secret that nobody can read must not be sent elsewhere by whoever may edit channels."""
    if kind.destinations(options) != kind.destinations(kind.parse(former)):
        raise OptionError(option, "must be entered again, as it would go elsewhere now")
