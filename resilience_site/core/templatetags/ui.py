"""The components of every screen. `/dev/components` shows each of them with its usage."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from django import template
from django.http import HttpRequest, QueryDict
from django.template.context import Context
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from heroicons.templatetags.heroicons import heroicon_micro

from resilience_site.core import formatting, sparklines
from resilience_site.core.badges import Badge, badge_for
from resilience_site.core.permissions import role_of
from resilience_site.core.querystrings import PLACE, query_pairs, query_with

register = template.Library()

RANGES: Final = (
    ("5m", "Last 5 minutes"),
    ("15m", "Last 15 minutes"),
    ("1h", "Last hour"),
    ("6h", "Last 6 hours"),
    ("24h", "Last 24 hours"),
    ("7d", "Last 7 days"),
    ("30d", "Last 30 days"),
    ("90d", "Last 90 days"),
)
DEFAULT_RANGE: Final = "1h"

# --- Small things -----------------------------------------------------------------------------


@register.simple_tag
def icon(name: str, css: str = "") -> SafeString:
    """A heroicon (micro set) beside a word; it is hidden from screen readers."""
    return _drawn(name, css)


@lru_cache(maxsize=1024)
def _drawn(name: str, css: str) -> SafeString:
    """Drawn once: every page has dozens, and its tables a few of them in every row."""
    drawn = heroicon_micro(name, size=16, **{"class": f"icon {css}".strip()}, aria_hidden="true")
    return mark_safe(drawn)  # noqa: S308 - drawn by heroicons, which escapes attributes


@register.simple_tag
def state(kind: str, value: object, plain: bool = False) -> SafeString:
    """A state as shape, word and colour. Kinds stand in `core.badges`."""
    return badge(badge_for(kind, value), plain)


@lru_cache(maxsize=1024)
def badge(shown: Badge, plain: bool = False) -> SafeString:
    """A badge, rendered once: tables have a few of them in every row."""
    return render_to_string("components/badge.html", {"badge": shown, "plain": plain})


@register.simple_tag
def state_icon(kind: str, value: object) -> SafeString:
    """The shape of a state alone, for drawings that write its word themselves."""
    return icon(badge_for(kind, value).icon)


@register.filter
def ago(moment: datetime | None) -> SafeString | str:
    """`3 min ago`, kept fresh by the page, the exact time in its title."""
    return _time(moment, "relative")


@register.filter
def exact(moment: datetime | None) -> SafeString | str:
    """`2026-11-24 03:12:07 UTC`; follows the reader's choice of UTC or local time."""
    return _time(moment, "exact")


@register.filter
def clock(moment: datetime | None) -> SafeString | str:
    """`03:12:07`, the exact time in its title."""
    return _time(moment, "clock")


def _time(moment: datetime | None, form: str) -> SafeString | str:
    if moment is None:
        return "never"
    full = formatting.exact(moment)
    if form == "relative":
        text = formatting.relative(moment, timezone.now())
    else:
        text = full[11:19] if form == "clock" else full
    return mark_safe(  # noqa: S308 - digits and words of ours; a table has one in every row
        f'<time datetime="{formatting.machine(moment)}" title="{full}" data-time="{form}"'
        f' class="nowrap">{text}</time>'
    )


@register.filter
def duration(seconds: float | None) -> str:
    """Seconds as `12.4 ms`, `1.24 s`, `2 min 5 s`."""
    return formatting.duration(None if seconds is None else float(seconds))


@register.filter
def milliseconds(value: float | None) -> str:
    """Milliseconds in the same words as `duration`."""
    return formatting.duration(None if value is None else float(value) / 1000)


@register.filter
def compact(value: float | None) -> str:
    """`950`, `12.4k`, `3.1M`."""
    return formatting.compact(None if value is None else float(value))


@register.filter
def window(seconds: float) -> str:
    """`last 60 s`, `last 15 min`."""
    return formatting.window(float(seconds))


@register.simple_tag
def ratio(
    part: float, whole: float, seconds: float, noun: str = "", minimum: int = 1
) -> SafeString:
    """`4.2 % errors (21/500, last 60 s)`; under `minimum` calls `n/a (3 of 10 calls, …)`."""
    share, basis = _share(part, whole, seconds, minimum)
    head = f"{share} {noun}".strip() if share != formatting.ABSENT else share
    return format_html('<span class="ratio">{} <span class="muted">({})</span></span>', head, basis)


def _share(part: float, whole: float, seconds: float, minimum: int) -> tuple[str, str]:
    named = formatting.window(seconds)
    if whole < max(1, minimum):
        return formatting.ABSENT, f"{formatting.compact(whole)} of {minimum} calls, {named}"
    counts = f"{formatting.compact(part)}/{formatting.compact(whole)}"
    return formatting.percent(part, whole), f"{counts}, {named}"


@register.inclusion_tag("components/spark.html")
def spark(values: Sequence[float | None], label: str, tone: str = "") -> dict[str, Any]:
    """A sparkline over evenly spaced values, None for no data; `label` says what it shows."""
    box = {"width": sparklines.WIDTH, "height": sparklines.HEIGHT}
    return {"drawn": sparklines.sparkline(values), "label": label, "tone": tone, **box}


@register.inclusion_tag("components/stat.html")
def stat(
    label: str,
    value: object,
    basis: str,
    unit: str = "",
    tone: str = "",
    href: str = "",
    values: Sequence[float | None] = (),
) -> dict[str, Any]:
    """A number with its `basis` (window and denominator), optionally a sparkline and a link."""
    absent = value is None or value == formatting.ABSENT
    return {
        "label": label,
        "value": formatting.ABSENT if absent else value,
        "absent": absent,
        "basis": basis,
        "unit": unit,
        "tone": tone,
        "href": href,
        "values": values,
    }


@register.inclusion_tag("components/stat.html")
def ratio_stat(
    label: str,
    part: float,
    whole: float,
    seconds: float,
    minimum: int = 1,
    tone: str = "",
    href: str = "",
    values: Sequence[float | None] = (),
) -> dict[str, Any]:
    """A share as a stat: the percentage, and `21/500, last 60 s` below it."""
    share, basis = _share(part, whole, seconds, minimum)
    number, _, unit = share.partition(" ")
    shown: dict[str, Any] = stat(label, number, basis, unit, tone, href, values)
    return shown


@register.simple_tag
def lane(
    offset: float, length: float, status: str = "unset", title: str = "", late: bool = False
) -> SafeString:
    """One bar of a waterfall; `offset` and `length` are shares of the whole, 0 to 1."""
    start = min(max(float(offset), 0.0), 1.0) * 1000
    width = max(min(float(length), 1.0) * 1000, 3.0)
    return format_html(
        '<svg class="lane" viewBox="0 0 1000 20" preserveAspectRatio="none" role="img"'
        ' aria-label="{0}"><title>{0}</title>'
        '<rect class="bar{1}" data-status="{2}" x="{3}" y="4" width="{4}" height="12"/></svg>',
        title,
        " late" if late else "",
        status,
        f"{min(start, 997.0):.1f}",
        f"{min(width, 1000.0 - min(start, 997.0)):.1f}",
    )


# --- Lists, tables, links ---------------------------------------------------------------------


@register.inclusion_tag("components/nav_item.html", takes_context=True)
def nav_item(context: Context, url_name: str, label: str, glyph: str, key: str) -> dict[str, Any]:
    """An entry of the main menu; a screen whose paths are not installed has none."""
    try:
        href = reverse(url_name)
    except NoReverseMatch:
        return {"href": ""}
    request: HttpRequest | None = context.get("request")
    path = request.path if request else ""
    current = path == href or (href != "/" and path.startswith(f"{href.rstrip('/')}/"))
    return {"href": href, "label": label, "glyph": glyph, "key": key, "current": current}


@register.simple_tag(takes_context=True)
def user_role(context: Context) -> str:
    """The role of the person who looks, as a word."""
    user = context.get("user")
    role = role_of(user) if user else None
    return str(role.label) if role else "No role"


@register.simple_tag
def live(topics: str, src: str) -> SafeString:
    """Attributes of an element that follows `topics` and pulls itself anew from `src`.

    Topics are separated by spaces, each `topic` or `topic:key`. The element needs an id.
    """
    return format_html('data-live="{}" data-src="{}"', topics, src)


@register.inclusion_tag("components/sort_header.html", takes_context=True)
def sort_header(
    context: Context, field: str, label: str, numeric: bool = False, default: str = ""
) -> dict[str, Any]:
    """A column head that sorts through `?sort=field` or `?sort=-field`; `default` is the list's
    order without a parameter. Numbers sort downwards at the first click."""
    query = _query(context)
    current = query.get("sort") or default
    first = f"-{field}" if numeric else field
    after = field if current == f"-{field}" else f"-{field}" if current == field else first
    direction = {field: "ascending", f"-{field}": "descending"}.get(current, "")
    href = query_with(query, sort=after)
    return {"label": label, "numeric": numeric, "direction": direction, "href": href}


@register.inclusion_tag("components/chips.html", takes_context=True)
def chips(context: Context, **labels: str) -> dict[str, Any]:
    """The filters that are set, each a link that takes it away: `{% chips service="Service" %}`."""
    query = _query(context)
    found = [
        {"label": label, "value": query[name], "href": query_with(query, **{name: None})}
        for name, label in labels.items()
        if query.get(name)
    ]
    return {"chips": found, "clear": query_with(query, **dict.fromkeys(labels))}


@register.inclusion_tag("components/pager.html", takes_context=True)
def pager(
    context: Context, shown: int, next_cursor: str | None, noun: str, place: str = "cursor"
) -> dict[str, Any]:
    """`50 errors shown`, and links to the first and the next page; `noun` is of many, `place` the
    parameter that says where in the list one is."""
    query = _query(context)
    return {
        "shown": shown,
        "noun": formatting.singular(noun) if shown == 1 else noun,
        "first": query_with(query) if query.get(place) else "",
        "next": query_with(query, **{place: next_cursor}) if next_cursor else "",
    }


@register.inclusion_tag("components/range_picker.html", takes_context=True)
def range_picker(context: Context) -> dict[str, Any]:
    """The time range of the page, held by `?since=` and `?until=`."""
    query = _query(context)
    since, until = query.get("since", ""), query.get("until", "")
    chosen = "" if until else (since or DEFAULT_RANGE)
    names = dict(RANGES)
    if chosen:
        label = names.get(chosen, f"Since {chosen}")
    else:
        label = f"{since or f'{DEFAULT_RANGE} before'} – {until}"
    kept = [pair for pair in query_pairs(query) if pair[0] not in ("since", "until", *PLACE)]
    return {
        "label": label,
        "ranges": [
            {
                "value": value,
                "label": name,
                "href": query_with(query, since=value, until=None),
                "current": value == chosen,
            }
            for value, name in RANGES
        ],
        "kept": kept,
        "since": since,
        "until": until,
    }


@register.simple_tag(takes_context=True)
def same_time(context: Context, url_name: str, **parameters: str) -> str:
    """The address of another screen over the time of this one: `{% same_time "trends" service=x %}`."""
    query = _query(context)
    kept = {name: str(query[name]) for name in ("since", "until") if query.get(name)}
    return f"{reverse(url_name)}{query_with(QueryDict(), **kept, **parameters)}".rstrip("?")


def _query(context: Context) -> QueryDict:
    request: HttpRequest | None = context.get("request")
    return request.GET if request else QueryDict()


@register.simple_tag
def pairs(items: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> SafeString:
    """Keys and values as a definition list."""
    rows = items.items() if isinstance(items, Mapping) else items
    body = format_html_join("", "<dt>{}</dt><dd>{}</dd>", ((key, value) for key, value in rows))
    return format_html('<dl class="pairs">{}</dl>', body)


@register.inclusion_tag("components/stack.html")
def stack(frames: Iterable[Any]) -> dict[str, Any]:
    """Frames with `function`, `file`, `line`, `in_app` and perhaps `module`, `context`; stretches
    of library frames are folded."""
    groups: list[dict[str, Any]] = []
    for frame in frames:
        ours = bool(frame["in_app"] if isinstance(frame, Mapping) else frame.in_app)
        if not groups or groups[-1]["in_app"] != ours:
            groups.append({"in_app": ours, "frames": []})
        groups[-1]["frames"].append(frame)
    return {"groups": groups}


# --- Things with something inside -------------------------------------------------------------


@register.simple_block_tag
def panel(content: str, title: str, note: str = "", id: str = "", level: int = 2) -> str:
    """A framed part of the page. A table or filter bar inside touches its edges."""
    return render_to_string(
        "components/panel.html",
        {"content": content, "title": title, "note": note, "id": id, "level": level},
    )


@register.simple_block_tag
def code(content: str, label: str = "Code") -> str:
    """Text to paste, with a button that copies it; common indentation is taken away."""
    text = mark_safe(textwrap.dedent(content.strip("\n")).strip())  # noqa: S308 - rendered already
    return render_to_string("components/code.html", {"content": text, "label": label})


@register.simple_block_tag
def empty(content: str, title: str, glyph: str = "inbox", waiting: str = "") -> str:
    """Nothing to show: what is missing, inside it what to paste, and what the page waits for."""
    return render_to_string(
        "components/empty.html",
        {"content": content, "title": title, "glyph": glyph, "waiting": waiting},
    )


@register.simple_block_tag
def chart(
    content: str, id: str, title: str, src: str, unit: str = "", topics: str = "", size: str = ""
) -> str:
    """A Plotly chart of the figure at `src`; inside stands its data table, the twin for all who
    do not see it. `size` is short, tall or nothing."""
    return render_to_string(
        "components/chart.html",
        {
            "content": content,
            "id": id,
            "title": title,
            "src": src,
            "unit": unit,
            "topics": topics,
            "size": size,
        },
    )


@register.simple_block_tag
def dialog(content: str, id: str, title: str) -> str:
    """A native dialog; a button with `data-opens="id"` opens it."""
    return render_to_string(
        "components/dialog.html", {"content": content, "id": id, "title": title}
    )


@register.simple_block_tag
def notice(content: str, tone: str = "info") -> str:
    """A remark that stays: info, warn or bad."""
    glyph = {"bad": "x-circle", "warn": "exclamation-triangle"}.get(tone, "information-circle")
    return format_html(
        '<div class="notice" data-tone="{}">{}<div>{}</div></div>',
        tone,
        icon(glyph),
        conditional_escape(content),
    )
