"""Patterns as they are shown."""

from __future__ import annotations

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from analytics.domain.together import parts

register = template.Library()


@register.filter
def marked(text: str, length: int = 500) -> SafeString:
    """A template whose variables stand out, cut to about `length` characters."""
    found = parts(text[:length])
    shown = format_html_join(
        "",
        "{}",
        (
            (
                format_html(
                    '<mark class="variable" title="{}">{}</mark>', part.words, part.kind or "*"
                )
                if part.kind
                else part.text,
            )
            for part in found
        ),
    )
    return format_html("{}{}", shown, "…" if len(text) > length else "")
