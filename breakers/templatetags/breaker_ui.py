"""What the breaker screens need beside the components of all screens."""

from __future__ import annotations

from django import template
from django.utils.safestring import SafeString

from breakers.views.tiles import badge
from resilience_site.core.badges import badge_for
from resilience_site.core.breaker_reasons import reason_words

register = template.Library()


@register.filter
def breaker_badge(state: str) -> SafeString:
    """The badge of a breaker's state, as the tiles have it."""
    return badge(str(state))


@register.filter
def breaker_word(state: str) -> str:
    """The word of a state within a sentence."""
    return badge_for("breaker", str(state)).word.lower()


@register.filter
def because(reason: str, from_state: str = "") -> str:
    """The reason of a transition in words; those from half-open tell of probes."""
    return reason_words(reason, from_state)
