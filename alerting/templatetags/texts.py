"""All tags and filters that texts of rules may use."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.template import defaultfilters, defaulttags

from resilience_site.core import formatting

register = template.Library()
register.tag("if", defaulttags.do_if)
for _name in ("default", "join", "lower", "pluralize", "truncatechars", "upper"):
    register.filter(_name, getattr(defaultfilters, _name))


@register.filter
def duration(seconds: Any) -> str:
    """`90` as `1 min 30 s`."""
    return formatting.duration(float(seconds))


@register.filter
def moment(text: Any) -> str:
    """`2026-01-01T00:00:00+00:00` as `2026-01-01 00:00:00 UTC`."""
    return formatting.exact(datetime.fromisoformat(str(text)))


@register.filter
def words(name: Any) -> str:
    """`health_down` as `health down`."""
    return str(name).replace("_", " ")


@register.filter
def percent(share: Any) -> str:
    """`0.052` as `5.2 %`."""
    return f"{float(share) * 100:.3g} %"


@register.filter
def number(value: Any) -> str:
    """`0.05237` as `0.0524`: three digits."""
    return formatting.three_digits(float(value))
