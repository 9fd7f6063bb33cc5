"""Moments to come, which the page counts down to."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from resilience_site.core import formatting

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
