"""States of checks, each rendered once: a page shows them by the hundred."""

from __future__ import annotations

from functools import lru_cache

from django import template
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from resilience_site.core.badges import badge_for
from resilience_site.core.templatetags.ui import icon

register = template.Library()


@register.filter
def health_badge(state: str) -> SafeString:
    """The badge of a state."""
    return _badge(str(state), False)


@register.filter
def health_word(state: str) -> SafeString:
    """The same without a frame, for lines of text."""
    return _badge(str(state), True)


@lru_cache(maxsize=64)
def _badge(state: str, plain: bool) -> SafeString:
    context = {"badge": badge_for("health", state), "plain": plain}
    return render_to_string("components/badge.html", context)


@register.filter
@lru_cache(maxsize=64)
def drawn(glyph: str) -> SafeString:
    """The shape of a state alone, for drawings that write its word themselves."""
    return icon(glyph)
