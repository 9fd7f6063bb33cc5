"""Moments to come, which the page counts down to."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils.safestring import SafeString, mark_safe

from resilience_site.core import formatting

register = template.Library()


@register.filter
def countdown(moment: datetime | None) -> SafeString | str:
    """`at 03:12:37 UTC`, which the page turns into `in 12 s` and counts down."""
    if moment is None:
        return "at no known time"
    full = formatting.exact(moment)
    return mark_safe(  # noqa: S308 - digits and words of ours
        f'<time datetime="{formatting.machine(moment)}" title="{full}" data-countdown'
        f' class="nowrap">at {full[11:19]} UTC</time>'
    )
