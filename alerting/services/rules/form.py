"""A rule as somebody writes it: read, and refused with reasons where it could not work."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from django.core.exceptions import ValidationError as NotAUrl
from django.core.validators import URLValidator
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from alerting.choices import Severity
from alerting.domain.rules.checking import OWN_LABELS, condition_check, examples
from alerting.domain.rules.conditions import Condition, LabelName, Wrong, condition_read
from alerting.domain.runbooks import runbook_named
from alerting.selectors.runbooks import runbook_exists
from alerting.services.rules.texts import (
    MOST_TEMPLATE,
    TextFailed,
    names_missing,
    tags_broken,
    text_render,
)

LONGEST: Final = 86_400
MOST_NUMBER: Final = 1e15
# Each entry of the journal is compared with all of it.
MOST_CONDITION: Final = 20_000
_URL: Final = URLValidator(["http", "https"])
Text = Annotated[str, Field(max_length=MOST_TEMPLATE)]


class RuleForm(BaseModel):
    """The fields of a rule that a person can set; see `AlertRule` for what they mean."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,99}$")]
    title: Annotated[str, Field(min_length=1, max_length=200)]
    description: Text = ""
    severity: Severity
    condition: dict[str, Any]
    for_seconds: Annotated[int, Field(ge=0, le=LONGEST)] = 0
    keep_firing_seconds: Annotated[int, Field(ge=0, le=LONGEST)] = 0
    labels: Annotated[dict[LabelName, Text], Field(max_length=20)] = {}
    summary: Annotated[str, Field(min_length=1, max_length=MOST_TEMPLATE)]
    details: Text = ""
    runbook_url: Annotated[str, Field(max_length=500)] = ""
    enabled: bool = True

    def fields(self) -> dict[str, Any]:
        """As columns of the model."""
        return {**self.model_dump(mode="json"), "severity": self.severity.value}


def form_read(data: Any) -> RuleForm:
    """Raises `Wrong` for fields that are missing, unknown or out of bounds."""
    _storable_require(data)
    if len(json.dumps(data.get("condition"), default=str)) > MOST_CONDITION:
        raise Wrong([("condition", f"A condition has at most {MOST_CONDITION:,} characters.")])
    try:
        return RuleForm.model_validate(data)
    except ValidationError as error:
        raise Wrong(
            [(".".join(map(str, each["loc"])), _said(each)) for each in error.errors()[:20]]
        ) from None


def _said(error: Mapping[str, Any]) -> str:
    return "This is needed." if error["type"] == "missing" else str(error["msg"])


def _storable_require(data: Any) -> None:
    """Refuse what the database cannot keep, or gives back as what nobody can read."""
    left = [(str(name), value) for name, value in dict(data).items()]
    while left:
        field, value = left.pop()
        if isinstance(value, dict):
            left += [(field, each) for pair in value.items() for each in pair]
        elif isinstance(value, list):
            left += [(field, each) for each in value]
        elif isinstance(value, str) and "\0" in value:
            raise Wrong([(field, "This holds a NUL character, which cannot be kept.")])
        elif isinstance(value, int | float) and not abs(value) <= MOST_NUMBER:
            raise Wrong([(field, f"Numbers are from -{MOST_NUMBER:g} to {MOST_NUMBER:g}.")])


def form_check(form: RuleForm) -> Condition:
    """The condition of a rule that can be evaluated, and whose texts succeed on examples.

    Raises `Wrong` with a reason for each field.
    """
    condition = condition_read(form.condition)
    condition_check(condition)
    errors = _broken(form)
    if errors:
        raise Wrong(errors)
    for name in form.labels:
        if name in OWN_LABELS:
            errors.append((f"labels.{name}", f"The site itself sets the label {name}."))
    found = examples(condition)
    for labels, facts in found:
        errors += _texts(form, labels, facts)
    errors += _unknown(form, found)
    errors += _runbook(form.runbook_url)
    if errors:
        raise Wrong(list(dict.fromkeys(errors)))
    return condition


def _broken(form: RuleForm) -> list[tuple[str, str]]:
    """Templates with tags that are none."""
    labels = ((f"labels.{name}", template) for name, template in form.labels.items())
    texts = [*labels, ("summary", form.summary), ("details", form.details)]
    return [(field, told) for field, template in texts for told in tags_broken(template)]


def _runbook(link: str) -> list[tuple[str, str]]:
    """What is wrong with the link to a runbook; one of this site is given by its path."""
    if not link or runbook_exists(runbook_named(link)):
        return []
    if link.startswith("/"):
        shown = f"This site has no runbook {link}: /runbooks lists those that there are."
        return [("runbook_url", shown)]
    try:
        _URL(link)
    except NotAUrl:
        wanted = "Give a whole URL that begins with https:// or http://, or /runbooks/NAME."
        return [("runbook_url", wanted)]
    return []


def _unknown(
    form: RuleForm, found: Sequence[tuple[dict[str, str], dict[str, Any]]]
) -> list[tuple[str, str]]:
    """Names in texts that no alert of the rule has, wherever in the text they stand."""
    known = {f"labels.{name}" for name in (*OWN_LABELS, *form.labels)}
    for labels, facts in found:
        known |= {f"labels.{name}" for name in labels} | {f"facts.{name}" for name in facts}
    return [
        (field, f"There is no {name} here.")
        for field, template in (("summary", form.summary), ("details", form.details))
        for name in names_missing(template, known)
    ]


def _texts(form: RuleForm, found: dict[str, str], facts: dict[str, Any]) -> list[tuple[str, str]]:
    errors = []
    labels = dict(found)
    for name, template in form.labels.items():
        try:
            value = text_render(template, found, {})
        except TextFailed as error:
            errors.append((f"labels.{name}", f"{error} Labels are made of labels alone."))
            continue
        if not value:
            errors.append((f"labels.{name}", "This label would have no value."))
        labels[name] = value
    for field, template in (("summary", form.summary), ("details", form.details)):
        try:
            text = text_render(template, labels, facts)
        except TextFailed as error:
            errors.append((field, str(error)))
            continue
        if field == "summary" and not text:
            errors.append((field, "This would say nothing."))
    return errors
