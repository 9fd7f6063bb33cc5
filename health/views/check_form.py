"""What the form of a check holds, and what is read from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from django.http import HttpRequest

from health.checks.base import CheckKind
from health.checks.options import OptionError
from health.models import Check
from health.services.check_fields import FIELDS
from health.services.masks import mask, unmask
from health.services.targets import (
    invalid,
    masked_options,
    opened,
    same_host_require,
    target_read,
)
from health.views.drafts import Draft, draft_open, draft_seal
from health.views.option_fields import PREFIX, Field, Option, number_of, options_of, target_of
from resilience_site.config import config
from resilience_site.core.problems import Invalid, Problem
from resilience_site.core.sealing import UnsealError

NUMBERS: Final = {
    "interval_seconds": ("Every (seconds)", "1 to 86,400. A push check: how often one must come."),
    "timeout_seconds": ("Give up after (seconds)", "At most the interval."),
    "failures_to_down": ("Failures in a row until it is down", ""),
    "successes_to_up": ("Successes in a row until it is up again", ""),
    "degraded_above_ms": ("Degraded above (milliseconds)", "Empty: however slow it is."),
    "settle_seconds": (
        "Hold its alert for (seconds)",
        "So that the checks it needs are looked at first, and the culprit is told of alone.",
    ),
}
_LABELS: Final = {
    "name": "Name", "service": "Service", "runbook_url": "Runbook", "description": "Description",
    **{name: label.partition(" (")[0] for name, (label, _) in NUMBERS.items()},
}  # fmt: skip
_USUAL: Final = {"failures_to_down": "3", "successes_to_up": "2", "settle_seconds": "15"}


@dataclass
class CheckForm:
    """The form of a new check of a kind, or of one that is there."""

    request: HttpRequest
    kind: CheckKind[Any]
    check: Check | None = None
    errors: dict[str, str] = field(default_factory=dict)

    @cached_property
    def options(self) -> list[Option]:
        return options_of(self.kind)

    @cached_property
    def draft(self) -> Draft | None:
        """What the form before this one was sent with."""
        return draft_open(self.request, self.kind.name)

    @cached_property
    def former(self) -> Mapping[str, Any]:
        """The target before, with its secrets: that of the form sent last, else the stored one."""
        return self._stored if self.draft is None else self.draft.target

    @cached_property
    def _stored(self) -> Mapping[str, Any]:
        try:
            return opened(self.check.sealed_target) if self.check else {}
        except UnsealError:
            # Sealed under another key: its secrets must be entered again.
            return {}

    @cached_property
    def _origin(self) -> Mapping[str, Any] | None:
        """The stored target that the masks of this form stand for, if they do."""
        if not masked_options(self.kind, self.target):
            return None
        return (self._stored or None) if self.draft is None else self.draft.origin

    @cached_property
    def target(self) -> dict[str, Any]:
        """The target that is asked for, as far as it can be read; secrets may be masked."""
        sent = {name: self.request.POST.get(name, "") for name in self._option_names()}
        target, wrong = target_of(self.options, sent, self.former)
        labels = {each.name: each.words.label for each in self.options}
        self.errors |= {PREFIX + name: f"{labels[name]} {words}." for name, words in wrong.items()}
        return target

    def judged(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The other fields, and the target as of `whole`: all of them are judged, so that all that
        is wrong is told at once. Raises `Invalid`."""
        fields = self.fields()
        for name, value in fields.items():
            if self.check is None and value is None:
                # The site's own.
                continue
            try:
                FIELDS[name](name, value)
            except Invalid as problem:
                self.refuse(problem)
        return fields, self.whole()

    def whole(self) -> dict[str, Any]:
        """The target with its secrets, judged. Raises `Invalid`."""
        whole: dict[str, Any] = {}
        try:
            whole = self._whole(self.target)
        except Invalid as problem:
            self.refuse(problem)
            if len(self.errors) == 1:
                raise
        self.stop()
        return whole

    def _whole(self, target: dict[str, Any]) -> dict[str, Any]:
        read = target_read(self.kind, target, self.former)
        if self._origin is not None:
            option = masked_options(self.kind, target)[0]
            try:
                same_host_require(self.kind, read.options, self._origin, option)
            except OptionError as error:
                raise invalid(error) from None
        return read.whole

    def fields(self) -> dict[str, Any]:
        """The other fields; texts that are no numbers are left for the service to refuse."""
        post = self.request.POST
        numbers = {name: _number(post.get(name, "")) for name in NUMBERS}
        return {
            "name": post.get("name", "").strip(),
            "service": post.get("service", "").strip(),
            "critical": bool(post.get("critical")),
            "description": post.get("description", ""),
            "runbook_url": post.get("runbook_url", "").strip(),
            **numbers,
        }

    def paces(self) -> dict[str, Any]:
        """What a trial needs of them."""
        fields = self.fields()
        return {
            name: fields[name]
            for name in ("interval_seconds", "timeout_seconds", "degraded_above_ms")
        }

    def needs(self) -> list[str]:
        """The names of what a new check depends on."""
        lines = self.request.POST.get("depends_on", "").splitlines()
        return [line.strip() for line in lines if line.strip()]

    def stop(self) -> None:
        """Raise `Invalid` if anything is wrong so far."""
        if self.errors:
            raise Invalid("Some fields need another look.")

    def refuse(self, problem: Problem) -> None:
        """Put what a refusal says beside the fields that it names."""
        labels = {PREFIX + each.name: each.words.label for each in self.options} | _LABELS
        for each in getattr(problem, "errors", ()):
            name = each.field.removeprefix(PREFIX)
            rest = each.message.removeprefix(f"{name} ")
            named = rest != each.message and each.field in labels
            message = f"{labels[each.field]} {rest}" if named else each.message
            self.errors.setdefault(each.field, message)

    # --- What the page shows

    def shown(self, services: list[str]) -> dict[str, Any]:
        """The parts of the page: basic fields, options that are needed, others, paces."""
        shown = self._masked()
        fields = [self._option(each, shown) for each in self.options]
        needed = [each for each in fields if each.required]
        more = [each for each in fields if not each.required]
        return {
            "basic": [
                self._text("name", "Name", "Unique, without a slash.", required=True),
                self._text("service", "Service", "New ones come into the catalogue.", required=True,
                           suggestions="services"),
            ],
            "needed": needed,
            "more": more,
            "more_open": not needed or any(each.error for each in more),
            "paces": [self._text(name, *words, widget="number") for name, words in NUMBERS.items()],
            "told": [
                Field("critical", "Critical", "flag", value=self._flag("critical"),
                      help="Its failure is the failure of its service; otherwise only degrades it."),
                self._text("description", "Description", widget="area"),
                self._text("runbook_url", "Runbook", "Where to read what to do: an http address."),
            ],
            "needs": self._text("depends_on", "Needs", "Names of checks, or service:NAME, one a "
                                "line. While one of them fails, this check is not blamed.",
                                widget="area"),
            "hard": self._flag("hard"),
            "service_names": services,
            "draft": self._sealed(),
            "masked": self._has_mask(shown),
            "error_list": self._error_list([*needed, *more]),
        }  # fmt: skip

    def _option_names(self) -> list[str]:
        return [PREFIX + each.name for each in self.options]

    def _option(self, option: Option, shown: Mapping[str, Any]) -> Field:
        error = self.errors.get(PREFIX + option.name, "")
        unread = self.request.method == "POST" and option.name not in shown
        # What could not be read is shown as it was sent, unless it holds a secret.
        text = self.request.POST.get(PREFIX + option.name) if unread and not option.secret else None
        value = shown.get(option.name, "" if option.required else option.default)
        return option.field(value, text, error)

    def _masked(self) -> dict[str, Any]:
        if self.request.method != "POST":
            return mask(self.kind, self.former)
        return mask(self.kind, self._unmasked())

    def _unmasked(self) -> dict[str, Any]:
        """What was sent, with secrets where they are known; masks without one are left out."""
        kept: dict[str, Any] = {}
        for name, value in self.target.items():
            try:
                kept |= unmask(self.kind, {name: value}, self.former)
            except OptionError as error:
                self.errors.setdefault(PREFIX + name, f"It {error.message}.")
        return kept

    def _sealed(self) -> str:
        """Sealed only where something was typed."""
        if self.request.method != "POST":
            return ""
        return draft_seal(self.request, self.kind.name, Draft(self._unmasked(), self._origin))

    def _has_mask(self, shown: Mapping[str, Any]) -> bool:
        secret = self.kind.secrets | self.kind.url_secrets
        return any("***" in str(value) for name, value in shown.items() if name in secret)

    def _text(
        self,
        name: str,
        label: str,
        help: str = "",
        *,
        widget: str = "text",
        required: bool = False,
        suggestions: str = "",
    ) -> Field:
        return Field(
            name, label, widget, self._value(name), help, self.errors.get(name, ""), required,
            suggestions=suggestions,
        )  # fmt: skip

    def _value(self, name: str) -> str:
        if self.request.method == "POST":
            return self.request.POST.get(name, "")
        if self.check is None:
            asked = self.request.GET.get(name, "") if name in ("name", "service") else ""
            return asked or self._usual(name)
        value = self.check.service_id if name == "service" else getattr(self.check, name, "")
        if value is None:
            return ""
        return f"{value:.15g}" if isinstance(value, float) else str(value)

    def _usual(self, name: str) -> str:
        if name == "interval_seconds":
            return f"{config.health_check_interval_seconds:g}"
        if name == "timeout_seconds":
            return f"{config.health_check_timeout_seconds:g}"
        return _USUAL.get(name, "")

    def _flag(self, name: str) -> str:
        if self.request.method == "POST":
            return "on" if self.request.POST.get(name) else ""
        return "on" if self.check is None or getattr(self.check, name, True) else ""

    def _error_list(self, options: list[Field]) -> list[tuple[str, str]]:
        """Every error with the id of its field, for the head of the form; what belongs to no field
        has no id."""
        known = {each.name: each.id for each in options}
        return [
            (known.get(name, f"f-{name.replace('_', '-')}" if "." not in name else ""), message)
            for name, message in self.errors.items()
            if name != "target"
        ]


def _number(text: str) -> Any:
    if not text.strip():
        return None
    try:
        return number_of(text)
    except ValueError:
        return text.strip()
