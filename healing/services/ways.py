"""The ways of a target, as somebody gives them: read, judged, and fit to be sealed and shown."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from healing.actions.base import Action
from healing.actions.registry import actions_known
from healing.domain.ways import WAY_NAME
from healing.services.parameters import Names, parameters_judge, parameters_parse
from health.checks.options import OptionError
from health.services.hosts import HostJudge
from health.services.masks import MASK, mask, unmask
from health.services.ways import weaker
from resilience_site.core.problems import FieldError, Invalid
from resilience_site.core.sealing import seal, unseal

_MOST_WAYS: Final = 50
_MOST_BYTES: Final = 32_768
# As JSON spells it; PostgreSQL stores none.
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
# Options that may name a socket of this machine, and how: as a URL, or as PostgreSQL does.
_SOCKETS: Final = ("server", "bus", "dsn", "broker_url")
_SOCKET: Final = re.compile(r"^unix:|\bhost(?:addr)?\s*=\s*'?(?:/|%2F)|@?%2F", re.IGNORECASE)
_FIELDS: Final = ("action", "with", "safe_to_leave")


@dataclass(frozen=True)
class Ways:
    """`whole` is what is sealed, `shown` what people see."""

    whole: dict[str, Any]
    shown: dict[str, Any]

    @property
    def sealed(self) -> str:
        return seal(orjson.dumps(self.whole).decode())


def ways_opened(sealed: str) -> dict[str, Any]:
    """The whole ways; raises `UnsealError`."""
    whole: dict[str, Any] = orjson.loads(unseal(sealed))
    return whole


def ways_read(given: Any, *, former: Mapping[str, Any], service: str) -> Ways:
    """Ways with secrets that came masked taken from the `former` ones.

    Raises `Invalid` with every fault and its field. May ask name servers.
    """
    if not isinstance(given, Mapping) or not all(isinstance(each, str) for each in given):
        raise Invalid.field("ways", "Ways are an object: for each name an action with parameters.")
    if len(given) > _MOST_WAYS:
        raise Invalid.field("ways", f"A target has at most {_MOST_WAYS} ways.")
    names = {"service": service, "target": service, "instance": f"{service}-1"}
    whole, shown = {}, {}
    faults: list[FieldError] = []
    judge = HostJudge()
    for way, entry in given.items():
        try:
            whole[way] = _way(way, entry, former.get(way) or {}, names, judge)
        except OptionError as error:
            field = f"ways.{way}" + (f".{error.option}" if error.option else "")
            faults.append(FieldError(field, f"{error.option or way} {error.message}."))
        except Invalid as problem:
            faults.append(FieldError(f"ways.{way}.with", problem.detail))
        else:
            action = actions_known()[whole[way]["action"]]
            shown[way] = {**whole[way], "with": mask(action, whole[way]["with"])}
    if faults:
        raise Invalid("; ".join(each.message for each in faults[:3]), faults)
    return Ways(whole, shown)


def _way(
    way: str, entry: Any, former: Mapping[str, Any], names: Names, judge: HostJudge
) -> dict[str, Any]:
    _named_require(way)
    if not isinstance(entry, Mapping):
        raise OptionError("", "must be an object with an action and its parameters")
    unknown = sorted(str(key) for key in entry if key not in _FIELDS)
    if unknown:
        raise OptionError(unknown[0], f"is unknown; known are {', '.join(_FIELDS)}")
    action = _action(entry.get("action"))
    safe = entry.get("safe_to_leave", False)
    if not isinstance(safe, bool):
        raise OptionError("safe_to_leave", "must be true or false")
    if not (safe or action.safe_to_leave or action.undoes_itself):
        words = (
            f"leads to {action.name}, which cannot undo itself: say safe_to_leave: true where "
            "nothing has to be undone, or name the action in a step with a compensate"
        )
        raise OptionError("action", words)
    parameters = _parameters(action, entry.get("with"), former, names, judge)
    return {
        "action": action.name,
        "with": parameters,
        **({"safe_to_leave": True} if safe else {}),
    }


def _named_require(way: str) -> None:
    if not WAY_NAME.fullmatch(way):
        raise OptionError("", "is no name: lower case letters, digits and _, a letter first")
    if way in actions_known():
        raise OptionError("", "is the name of an action, which steps would take it for")


def _action(name: Any) -> Action[Any]:
    known = actions_known()
    if not isinstance(name, str) or name not in known:
        raise OptionError("action", f"{name!r} is unknown; known are {', '.join(known)}")
    return known[name]


def _parameters(
    action: Action[Any],
    given: Any,
    former: Mapping[str, Any],
    names: Names,
    judge: HostJudge,
) -> dict[str, Any]:
    if not isinstance(given, Mapping | None):
        raise OptionError("with", "must be an object of parameters")
    plain = _plain(given or {})
    past = former.get("with", {}) if former.get("action") == action.name else {}
    try:
        whole = unmask(action, plain, past)
        parameters = parameters_judge(action, whole, names)
        if parameters is not None and whole != past:
            judge.require(host for host, _ in action.hosts(parameters))
        for option in sorted((action.secrets | action.url_secrets) & set(plain)):
            if MASK in orjson.dumps(plain[option]).decode():
                _same_way_require(action, option, parameters, past, names)
    except OptionError as error:
        raise OptionError(f"with.{error.option}", error.message) from None
    return whole


def _plain(given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as JSON keeps them; raises `OptionError`."""
    try:
        text = orjson.dumps(dict(given))
    except (TypeError, ValueError) as error:
        raise OptionError("with", f"is no JSON: {error}") from None
    if len(text) > _MOST_BYTES:
        raise OptionError("with", f"has more than {_MOST_BYTES} bytes")
    if _NUL.search(text):
        raise OptionError("with", "holds a NUL character")
    plain: dict[str, Any] = orjson.loads(text)
    return plain


def led_elsewhere(action: Action[Any], before: Any, after: Any) -> bool:
    """Whether parameters call other hosts than those before, another socket of this machine, or
    protect less what they send."""
    hosts = action.hosts(before)
    if hosts != action.hosts(after) or weaker(before, after):
        return True
    # Sockets count as this machine's: which one it is, the text alone tells.
    return any(
        getattr(before, name, "") != getattr(after, name, "")
        for name in _SOCKETS
        if _SOCKET.search(str(getattr(after, name, "")))
    )


def _same_way_require(
    action: Action[Any], option: str, after: Any, past: Mapping[str, Any], names: Names
) -> None:
    """A secret that nobody can read must not be sent elsewhere by whoever may edit targets."""
    moved = True
    with contextlib.suppress(OptionError):
        before = parameters_parse(action, past, names)
        moved = after is None or led_elsewhere(action, before, after)
    if moved:
        words = "must be entered again, as it would go elsewhere now, or with less protection"
        raise OptionError(option, words)
