"""Texts of rules: templates over the labels and facts of an alert, with very little allowed.

No template is loaded, no tag but `if` and no filter but a few exist, so that what a person types
can neither read files nor run for ever. What a template names must be there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from copy import deepcopy
from functools import lru_cache
from typing import Any, Final

from django.template import Context, Engine, Template

MOST_TEMPLATE: Final = 2_000
MOST_TEXT: Final = 4_000


class TextFailed(ValueError):
    """A template that cannot be read, or names what is not there; its message says which."""


class _Missing(str):
    """Stands for a variable that is not there: Django asks it for its own text."""

    __slots__ = ()

    def __contains__(self, text: object) -> bool:
        return True

    def __mod__(self, variable: object) -> str:
        raise TextFailed(f"There is no {str(variable)[:100]} here.")


_TAG: Final = re.compile(r"\{[{%].*?[%}]\}", re.DOTALL)
# As Django finds them: a tag stands on one line. What it does not find is literal text.
_FOUND: Final = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}")
_BEGINS: Final = {"{{": "}}", "{%": "%}", "{#": "#}"}
_ENDS: Final = {end: begin for begin, end in _BEGINS.items()}
_MARKS: Final = re.compile("|".join(map(re.escape, (*_BEGINS, *_ENDS))))
_SHOWN: Final = 30
_QUOTED: Final = re.compile(r"\"[^\"]*\"|'[^']*'")
_NAME: Final = re.compile(r"(?<![\w.])(?:facts|labels)\.\w+")
_ENGINE: Final = Engine(
    dirs=[],
    loaders=[],
    libraries={},
    autoescape=False,
    string_if_invalid=_Missing("missing"),
)
_ENGINE.template_builtins = _ENGINE.get_template_builtins(["alerting.templatetags.texts"])


def names_missing(template: str, known: Set[str]) -> list[str]:
    """What a template names, such as `facts.reason`, that is not among `known`.

    Rendering does not find all of it: a part that does not hold says nothing of what it names.
    """
    named = (name for tag in _TAG.findall(template) for name in _NAME.findall(_QUOTED.sub("", tag)))
    return sorted(set(named) - known)


def tags_broken(template: str) -> list[str]:
    """What begins or ends a tag and is none, with its place: it would be said as it stands there,
    or swallow what follows up to the end of another tag."""
    found = []
    left = template
    for tag in _FOUND.finditer(template):
        begin, inner = tag[0][:2], _QUOTED.sub(lambda text: " " * len(text[0]), tag[0][2:-2])
        # The place of a tag is not looked at again as one of literal text.
        left = left[: tag.start()] + " " * len(tag[0]) + left[tag.end() :]
        if begin != "{#" and (inside := _MARKS.search(inner)) and inside[0] in _BEGINS:
            found.append((tag.start(), _unclosed(begin)))
    for mark in _MARKS.finditer(left):
        sign = mark[0]
        told = (
            _unclosed(sign)
            if sign in _BEGINS
            else f"{sign} ends what no {_ENDS[sign]} begins. Put a blank between the two characters"
        )
        found.append((mark.start(), told))
    return [f"{told}{_place(template, at)}." for at, told in sorted(found)]


def _unclosed(begin: str) -> str:
    return f"{begin} is not closed by {_BEGINS[begin]} on its line"


def _place(template: str, at: int) -> str:
    line, start = template.count("\n", 0, at) + 1, template.rfind("\n", 0, at) + 1
    shown = template[max(start, at - _SHOWN // 2) : at + _SHOWN].partition("\n")[0]
    of_line = f"line {line}, " if "\n" in template else ""
    return f" ({of_line}character {at - start + 1}: {shown})"


def text_render(template: str, labels: Mapping[str, str], facts: Mapping[str, Any]) -> str:
    """The text of an alert; raises `TextFailed`."""
    try:
        # A copy through and through: a template can call what empties a list.
        values = {"labels": dict(labels), "facts": deepcopy(dict(facts))}
        context = Context(values, autoescape=False)
        return _parsed(template).render(context).strip()[:MOST_TEXT]
    except Exception as error:
        # Whatever a text comes to (filters raise AttributeError, OverflowError and others): the
        # alert goes out in a plain form, and no other rule waits for it.
        raise TextFailed(str(error)[:300] or type(error).__name__) from None


@lru_cache(maxsize=500)
def _parsed(template: str) -> Template:
    if len(template) > MOST_TEMPLATE:
        raise TextFailed(f"A text has at most {MOST_TEMPLATE} characters.")
    return Template(template, engine=_ENGINE)
