"""Parameters of actions, whose texts may name variables and what is healed.

`${RESILIENCE_HEALING_…}` and `${RESILIENCE_CHECK_…}` are variables of the worker's environment, put
in when the action runs, so that what is stored and shown is the name. `{service}`, `{target}` and
`{instance}` are names of the run's subject.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from healing.actions.base import Action, Subject
from health.checks.options import OptionError
from health.services.masks import secret_texts
from health.services.targets import UnsetVariable

PREFIXES: Final = ("RESILIENCE_HEALING_", "RESILIENCE_CHECK_")
Names = Mapping[str, str]
# Stand in for names while parameters are judged without a subject.
SAMPLES: Final[Names] = {"service": "service", "target": "target", "instance": "instance-1"}
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NAME: Final = re.compile(r"(?<!\$)\{(service|target|instance)\}")
# Senders choose some of these names: none may become an option, a path upwards or another host.
_HARMLESS: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,399}")
# What stands before a name that is part of a host: of a URL, or of a connection string.
_BEFORE_HOST: Final = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*|(?:^|[\s?&])host(?:addr)?\s*=\s*[^\s&]*)\Z",
    re.IGNORECASE,
)
# There one label of a host's name: whoever reports as an instance must not lead secrets elsewhere.
_LABEL: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")


def names_of(subject: Subject) -> dict[str, str]:
    """What stands for `{service}`, `{target}` and, where the trigger tells it, `{instance}`."""
    names = {"service": subject.service, "target": subject.name}
    evidence = subject.trigger.get("evidence")
    for told in (subject.trigger, evidence if isinstance(evidence, Mapping) else {}):
        if isinstance(told.get("instance"), str) and told["instance"]:
            names.setdefault("instance", told["instance"])
    return names


def put_in(given: Mapping[str, Any], names: Names, *, variables: bool = True) -> dict[str, Any]:
    """Parameters with the subject's names put in, and unless told otherwise the variables.

    Raises `OptionError` for a name that is not known or could mean something else where it stands,
    and `UnsetVariable` for a variable that is not set here.
    """
    found = {option: _each_text(value, _named(option, names)) for option, value in given.items()}
    if not variables:
        return found
    return {option: _each_text(value, _valued(option)) for option, value in found.items()}


def _named(option: str, names: Names) -> Callable[[str], str]:
    def name(found: re.Match[str]) -> str:
        value = names.get(found[1])
        if value is None:
            raise OptionError(option, f"asks for {{{found[1]}}}, which the trigger does not tell")
        if not _HARMLESS.fullmatch(value) or ".." in value:
            words = f"asks for {{{found[1]}}}, but {value[:80]!r} cannot safely stand there"
            raise OptionError(option, words)
        if _BEFORE_HOST.search(found.string[: found.start()]) and not _LABEL.fullmatch(value):
            words = f"asks for {{{found[1]}}} in a host, where {value[:80]!r} may not stand"
            raise OptionError(option, words)
        return value

    return lambda text: _NAME.sub(name, text)


def _valued(option: str) -> Callable[[str], str]:
    def variable(found: re.Match[str]) -> str:
        if not found[1].startswith(PREFIXES):
            return found[0]
        if found[1] not in os.environ:
            raise UnsetVariable(option, f"names the variable {found[1]}, which is not set here")
        return os.environ[found[1]]

    return lambda text: _VARIABLE.sub(variable, text)


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _each_text(each, change) for key, each in value.items()}
    if isinstance(value, list):
        return [_each_text(each, change) for each in value]
    return change(value) if isinstance(value, str) else value


def variables_named(value: Any) -> list[str]:
    """The variables of any name that parameters, or a part of them, refer to."""
    return sorted(set(_VARIABLE.findall(orjson.dumps(value).decode())))


def parameters_parse(action: Action[Any], given: Mapping[str, Any], names: Names) -> Any:
    """Typed parameters of an action. Raises `OptionError`, which tells no variable's value."""
    for option in sorted(action.public & set(given)):
        if variables_named(put_in({option: given[option]}, names, variables=False)):
            raise OptionError(option, "may name no variables: everybody can read what it holds")
    whole = put_in(given, names)
    try:
        return action.parse(whole)
    except OptionError as error:
        variables = variables_named(given.get(error.option))
        if not variables:
            raise
        words = f"is not valid with the value that {' and '.join(variables)} has here"
        raise OptionError(error.option, words) from None


def parameters_judge(action: Action[Any], given: Mapping[str, Any], names: Names) -> Any:
    """As `parameters_parse`, for parameters that are to be kept: None where a variable is not set
    in this process, which then cannot tell more than that their names are known.

    Raises `OptionError`.
    """
    for option, value in given.items():
        for name in variables_named(value):
            if not name.startswith(PREFIXES):
                begin = " or ".join(PREFIXES)
                words = f"may only name variables that begin with {begin}, not {name}"
                raise OptionError(option, words)
    try:
        return parameters_parse(action, given, names)
    except UnsetVariable as error:
        unset = error.option
    unknown = sorted(set(given) - set(action.Parameters.__dataclass_fields__))
    if unknown:
        raise OptionError(unknown[0], f"is unknown; {unset} cannot be read here")
    return None


def secrets_in(action: Action[Any], given: Mapping[str, Any], names: Names) -> frozenset[str]:
    """Every text that no output may carry: secrets, and values of variables. Hosts are none:
    people must read which one is meant. Raises `OptionError`."""
    whole = put_in(given, names)
    # Names may be part of a variable's.
    named = variables_named(put_in(given, names, variables=False))
    variables = {os.environ.get(name, "") for name in named if name.startswith(PREFIXES)}
    hosts = {host for host, _ in action.hosts(action.parse(whole))}
    found = secret_texts(action, whole) | (variables - hosts - {""})
    return frozenset(each for text in found for each in _spellings(text))


def _spellings(text: str) -> set[str]:
    """A text as it may stand in what actions say: also in JSON, and on one line."""
    spelled = {text, json.dumps(text)[1:-1], orjson.dumps(text).decode()[1:-1]}
    return {each for one in spelled for each in (one, " ".join(one.split())) if each}
