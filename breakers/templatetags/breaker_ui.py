"""What the breaker screens need beside the components of all screens."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from breakers.domain.rules import reason_words
from breakers.views.tiles import badge
from resilience_site.core import formatting
from resilience_site.core.badges import badge_for

register = template.Library()


@register.filter
def countdown(moment: datetime | None) -> SafeString | str:
    """`at 03:12:37 UTC`, which the page turns into `in 12 s` and counts down."""
    if moment is None:
        return "at no known time"
    full = formatting.exact(moment)
    return format_html(
        '<time datetime="{}" title="{}" data-countdown class="nowrap">at {} UTC</time>',
        formatting.machine(moment),
        full,
        full[11:19],
    )


@register.filter
def breaker_badge(state: str) -> SafeString:
    """The badge of a breaker's state, rendered once for all."""
    return badge(str(state))


@register.filter
def breaker_word(state: str) -> str:
    """The word of a state within a sentence."""
    return badge_for("breaker", str(state)).word.lower()


@register.filter
def because(reason: str, from_state: str = "") -> str:
    """The reason of a transition in words; those from half-open tell of probes."""
    return reason_words(reason, from_state)
