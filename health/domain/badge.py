"""Badges: small pictures of a label and a value, drawn as SVG without any style sheet or font."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from html import escape
from typing import Final

HEIGHT: Final = 20
_PADDING: Final = 6.0
_ICON: Final = 14.0
_MOST: Final = 60  # characters of a text
# White on each of these has a contrast of at least 4.5.
_FILLS: Final = {
    "ok": "#1a7f37",
    "warn": "#8a5a00",
    "bad": "#c41c26",
    "note": "#7540d1",
    "info": "#0860c4",
    "idle": "#57606a",
}
_LABEL: Final = "#24292f"
# A shape for each tone, in a square of 10, so that the colour is not all there is.
_SHAPES: Final = {
    "ok": "M1.5 5.5 4 8l4.5-6",
    "warn": "M5 1v5M5 8v.5",
    "bad": "M1.5 1.5l7 7M8.5 1.5l-7 7",
    "note": "M1.5 1.5l7 7M5 5v3.5",
    "info": "M5 1v.5M5 4v5",
    "idle": "M1.5 5h7",
}
# Widths of Verdana at 11 pixels; what the reader's font makes of it is stretched to fit.
_NARROW: Final = frozenset("ijl.,:;'|! ()[]ftrI-")
_WIDE: Final = frozenset("mwMW%@&")


@dataclass(frozen=True)
class Badge:
    """`tone` is one of ok, warn, bad, info, note, idle."""

    label: str
    value: str
    tone: str


def text_width(text: str) -> float:
    """About how many pixels a text takes at 11 pixels of a common sans-serif font."""
    return sum(_width(character) for character in text)


def _width(character: str) -> float:
    if unicodedata.combining(character):
        return 0.0
    if unicodedata.east_asian_width(character) in "WF":
        return 11.0
    if character in _NARROW:
        return 4.3
    if character in _WIDE:
        return 10.2
    return 7.7 if character.isupper() else 6.8


def badge_svg(badge: Badge) -> str:
    """The picture; its title says the same to those who do not see it."""
    label, value = _short(badge.label), _short(badge.value)
    label_text, value_text = text_width(label), text_width(value)
    left = round(label_text + 2 * _PADDING, 1)
    right = round(value_text + _ICON + 2 * _PADDING, 1)
    fill = _FILLS.get(badge.tone, _FILLS["idle"])
    shape = _SHAPES.get(badge.tone, _SHAPES["idle"])
    said = escape(f"{label}: {value}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right:.1f}" height="{HEIGHT}"'
        f' viewBox="0 0 {left + right:.1f} {HEIGHT}" role="img" aria-label="{said}">'
        f"<title>{said}</title>"
        f'<clipPath id="r"><rect width="{left + right:.1f}" height="{HEIGHT}" rx="3"/></clipPath>'
        f'<g clip-path="url(#r)"><rect width="{left}" height="{HEIGHT}" fill="{_LABEL}"/>'
        f'<rect x="{left}" width="{right}" height="{HEIGHT}" fill="{fill}"/></g>'
        f'<path d="{shape}" transform="translate({left + _PADDING:.1f} 5)" fill="none"'
        ' stroke="#fff" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11"'
        ' aria-hidden="true">'
        f"{_text(label, _PADDING, label_text)}"
        f"{_text(value, left + _PADDING + _ICON, value_text)}</g></svg>"
    )


def _text(text: str, x: float, width: float) -> str:
    return (
        f'<text x="{x:.1f}" y="14" textLength="{width:.1f}" lengthAdjust="spacingAndGlyphs">'
        f"{escape(text)}</text>"
    )


def _short(text: str) -> str:
    shown = "".join(each if each.isprintable() else " " for each in text)
    return shown if len(shown) <= _MOST else f"{shown[: _MOST - 1]}…"
