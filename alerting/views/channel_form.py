"""The form of a channel: what it holds, what is read from it, what it shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.http import HttpRequest

from alerting.channels import Kind
from alerting.models import Channel
from alerting.selectors.channels import channel_list
from alerting.views.channel_words import words_of
from health.services.masks import MASK
from health.views.option_fields import PREFIX, Field, Option, options_of, target_of
from resilience_site.core.problems import Invalid, Problem

# What the site itself keeps while a secret changes.
_OF_SITE = frozenset({"previous_secret", "previous_until"})


@dataclass
class ChannelForm:
    """The form of a new channel of `kind`, or of one that is there."""

    request: HttpRequest
    kind: Kind[Any]
    channel: Channel | None = None
    errors: dict[str, str] = field(default_factory=dict)

    @cached_property
    def options(self) -> list[Option]:
        return [each for each in options_of(self.kind, words_of) if each.name not in _OF_SITE]

    def given(self) -> dict[str, Any]:
        """The fields of a channel. Raises `Invalid` for an option that cannot be read."""
        post = self.request.POST
        target, wrong = target_of(self.options, post.dict(), self._former)
        kept = {name: self._former[name] for name in _OF_SITE if name in self._former}
        if wrong:
            self.errors |= {PREFIX + name: f"It {text}." for name, text in wrong.items()}
            raise Invalid("Some fields need another look.")
        return {
            "name": post.get("name", "").strip(),
            "target": {**target, **kept},
            "fallback": post.get("fallback", ""),
            "send_resolved": post.get("send_resolved") == "on",
            "enabled": post.get("enabled") == "on",
            "verify": post.get("verify") == "on",
        }

    def refuse(self, problem: Problem) -> None:
        """Put what a refusal says beside the fields that it names."""
        for each in getattr(problem, "errors", ()):
            self.errors.setdefault(each.field, each.message)

    def shown(self) -> dict[str, Any]:
        """The parts of the page."""
        fields = [self._option(each) for each in self.options]
        needed = [each for each in fields if each.required]
        more = [each for each in fields if not each.required]
        basic = [self._text("name", "Name", "Unique, on one line.", required=True)]
        told = [
            self._fallback(),
            Field("send_resolved", "Tell the end of alerts, too", "flag",
                  self._flag("send_resolved")),
            Field("enabled", "In use", "flag", self._flag("enabled"),
                  help="Off: nothing is sent by it."),
            Field("verify", "Try it before it is saved", "flag",
                  self._tried(),
                  help="By what tells nobody where there is such a way (a login, an empty message), "
                       "else by a test. What is refused for good is not saved."),
        ]  # fmt: skip
        everything = [*basic, *fields, *told]
        return {
            "basic": basic,
            "needed": needed,
            "more": more,
            "more_open": not needed or any(each.error for each in more),
            "told": told,
            "masked": any(MASK in each.value for each in fields),
            "error_list": self._error_list(everything),
        }

    @property
    def _sent(self) -> bool:
        return self.request.method == "POST"

    @property
    def _former(self) -> Mapping[str, Any]:
        return self.channel.target if self.channel else {}

    def _option(self, option: Option) -> Field:
        text = self.request.POST.get(PREFIX + option.name, "") if self._sent else None
        if text is not None and option.secret and MASK not in text:
            # A secret that was typed does not come back; it is typed once more.
            text = ""
        value = self._former.get(option.name, "" if option.required else option.default)
        return option.field(value, text, self.errors.get(PREFIX + option.name, ""))

    def _text(self, name: str, label: str, help: str, *, required: bool = False) -> Field:
        value = getattr(self.channel, name, "")
        if self._sent:
            value = self.request.POST.get(name, "")
        return Field(name, label, "text", value, help, self.errors.get(name, ""), required)

    def _fallback(self) -> Field:
        others = channel_list()
        if self.channel is not None:
            others = others.exclude(pk=self.channel.pk)
        chosen = self.channel.fallback if self.channel else None
        value = self.request.POST.get("fallback", "") if self._sent else str(chosen or "")
        names = tuple((each.name, f"{each.name} ({each.get_kind_display()})") for each in others)
        return Field(
            "fallback", "Fallback", "select", value,
            "Takes what this channel cannot deliver.",
            self.errors.get("fallback", ""), choices=(("", "none"), *names),
        )  # fmt: skip

    def _flag(self, name: str) -> str:
        if self._sent:
            return self.request.POST.get(name, "")
        return "on" if self.channel is None or getattr(self.channel, name) else ""

    def _tried(self) -> str:
        return self.request.POST.get("verify", "") if self._sent else "on"

    def _error_list(self, fields: list[Field]) -> list[tuple[str, str]]:
        ids = {each.name: each.id for each in fields}
        return [(ids.get(name, ""), message) for name, message in self.errors.items()]
