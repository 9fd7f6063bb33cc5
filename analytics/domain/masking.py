"""Messages without what varies in them, so that the same failure always reads the same.

    mask("Task 4711 of ada@example.org timed out after 12.5s")
    -> "Task <num> of <email> timed out after <num>"

What stands for what: `<num>` numbers with their units, `<hex>` and `<id>` machine-made ids,
`<uuid>`, `<time>` dates and times of day, `<ip>` with its port, `<mac>`, `<email>`, `<path>`,
`<token>` keys and other long random text, `<str>` quoted values. Of a URL the scheme and a host
that is a plain name stay, because they tell one dependency from another. Quoted names from code
("TooManyRequests", 'user_id') stay as well: they say what went wrong, not for whom.
"""

from __future__ import annotations

import re

MAX_LENGTH = 2_048

_UNITS = (
    r"(?:ns|[uµμ]s|ms|secs?|seconds?|s|mins?|minutes?|m|hours?|hrs?|h|days?|d"
    r"|[kKMGTP]i?[bB]|[bB]|bytes?|[kKMGT]|[kMG]?[hH]z|px|x{1,2}|st|nd|rd|th)"
)
_HEX = r"[0-9a-fA-F]"
_GROUP6 = rf"{_HEX}{{1,4}}"
_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_SEGMENT = r"[\w.+%=~@{}$#&!-]"

# Every repetition is over a class that the text after it cannot begin with, is possessive or is
# bounded, and every alternative that scans far starts only at the left edge of what it scans:
# the time taken grows linearly with the text, whatever the text. A possessive group fails, if at
# all, before it has read anything: Python before 3.11.5 keeps what a failed last round had read
# (python/cpython#106052).
_VARYING = re.compile(
    rf"""
    (?P<double>"[^"\n]*")
  | (?<!\w)(?:
        (?P<single>(?<!>)'[^'\n]*'(?![\w<]))
      | (?P<path>
            (?<![.~/<>\\-])(?:~|\.\.?)?/(?=[\w.{{%~@$]){_SEGMENT}*+(?:/{_SEGMENT}*+)*
          | (?<!\\)[A-Za-z]:[\\/](?![\\/])[^\s"'<>|:*?,;()]*+
          | (?<!\\)\\\\[\w.$-]++\\[^\s"'<>|:*?,;()]*+
        )
      | (?P<mac>(?<![:-])(?=[a-fA-F:-]*+\d){_HEX}{{2}}(?:[:-]{_HEX}{{2}}){{5}}(?![\w:-]))
      | (?P<ip6>
            (?<![:.])\[?(?=[a-fA-F:]*+\d)
            (?:
                (?:{_GROUP6}:){{7}}{_GROUP6}
              | (?:{_GROUP6}(?::{_GROUP6}){{0,6}})?::(?:{_GROUP6}(?::{_GROUP6}){{0,6}})?
            )
            (?:%\w++)?(?:\](?::\d++)?)?
        )
    )
  | (?<![A-Za-z0-9])(?:
        (?<![\w.+-])(?=[\w.+-]++[:/@])(?:
            (?P<url>[A-Za-z][A-Za-z0-9+.-]{{1,20}}+://[^\s"'<>`]++)
          | (?P<email>[\w.+-]{{1,64}}+@[A-Za-z][\w-]*+(?:\.[\w-]++)*)
          | (?P<relative>(?<![/<>])(?!\d{{1,4}}/\d)[\w.+-]++(?:/[\w.+%=~@-]++){{2,}}/?)
        )
      | (?P<date>
            (?:{_DAY}[a-z]{{0,6}},?\ )?
            (?:{_MONTH}[a-z]{{0,6}}\ {{1,2}}\d\d?|\d\d?[\ -]{_MONTH}[\ -]\d{{4}})(?!\w)
            (?:,?\ \d\d?:\d\d:\d\d)?(?:\ \d{{4}}(?!\w))?(?:\ (?:GMT|UTC))?
        )
      | (?=[+A-Za-z_-]{{0,40}}+[0-9])(?:
            (?P<time>
                \d{{4}}[-/]\d\d?[-/]\d\d?
                (?:[T\ _]\d\d:\d\d(?::\d\d(?:[.,]\d++)?)?(?:\ ?(?:Z|UTC|[+-]\d\d:?\d\d))?)?
                (?![A-Za-z0-9])
              | \d\d?/(?:\d\d?|[A-Z][a-z][a-z])/\d{{4}}(?::\d\d:\d\d:\d\d(?:\ [+-]\d{{4}})?)?
                (?![A-Za-z0-9])
              | \d\d?:\d\d:\d\d(?:[.,]\d++)?(?![A-Za-z0-9:])
            )
          | (?P<uuid>{_HEX}{{8}}-(?:{_HEX}{{4}}-){{3}}{_HEX}{{12}}(?![A-Za-z0-9]))
          | (?P<ip>\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?!\w|\.\d)(?:/\d{{1,2}}(?!\w)|:\d{{1,5}}(?!\w))?)
          | (?P<hex>0[xX]{_HEX}++)
          | (?P<num>
                (?:(?<![A-Za-z0-9)\]>.-])[-+]|[vV])?
                \d++(?:(?=[.,]\d)[.,]\d++)*+(?:[eE][+-]?\d++)?(?:{_UNITS}|%)?(?![A-Za-z0-9])
            )
          | (?P<token>
                (?<![\w-])(?=[\w-]{{20}})(?=[A-Za-z_-]*+\d[A-Za-z_-]*+\d)
                (?=[0-9a-z_-]*+[A-Z])(?=[0-9A-Z_-]*+[a-z])[A-Za-z0-9_-]++
                (?:[.][A-Za-z0-9_-]++)*={{0,2}}
            )
          | (?P<word>[A-Za-z]*+[0-9][A-Za-z0-9]*+)
        )
    )
  | (?P<digits>\d++)
    """,
    re.VERBOSE | re.ASCII,
)

_FIXED = {
    "path": "<path>",
    "relative": "<path>",
    "email": "<email>",
    "time": "<time>",
    "date": "<time>",
    "uuid": "<uuid>",
    "ip": "<ip>",
    "ip6": "<ip>",
    "mac": "<mac>",
    "hex": "<hex>",
    "num": "<num>",
    "token": "<token>",
    "digits": "<num>",
}
_MIN_HEX = 6

_IS_HEX = re.compile(rf"{_HEX}+", re.ASCII).fullmatch
_IS_NUMBERED = re.compile(r"[A-Za-z]*\d+", re.ASCII).fullmatch
# Written like a name in code: with an inner capital, an underscore or a dot, and no digit.
_NAME = r"(?:[A-Za-z]*[a-z][A-Z][A-Za-z]*|_*[A-Za-z]+(?:[_.]+[A-Za-z]+)+_*)"
_IS_NAME = re.compile(_NAME, re.ASCII).fullmatch
# Quoted text that says more than which value it was: a status line, a request line, a URL.
_TELLING = re.compile(
    r"(?P<status>(?:\d{3}|<num>)(?P<phrase> [A-Z][A-Za-z' -]{1,40}))"
    r"|(?P<method>[A-Z]{3,7}) (?:/\S*|<path>|[a-z]+://\S*)(?: HTTP/\S*)?"
    r"|(?P<url>[A-Za-z][A-Za-z0-9+.-]{1,20}://\S+)",
    re.ASCII,
).fullmatch
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{1,20})://([^/?#]*)(.*)", re.ASCII | re.DOTALL).fullmatch
_IP_HOST = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}|\[.*", re.ASCII).fullmatch
_WITH_DIGITS = re.compile(r"[A-Za-z]*+[0-9][A-Za-z0-9]*+", re.ASCII)

# A replacement can leave text that only now stands alone or in a pair; without any of these, and
# without digits, nothing can match again.
_KEPT = rf"(?:{_NAME}|[A-Z]{{3,7}} <path>)"
_UNSETTLED = re.compile(
    rf"(?<![\w>])'(?!{_KEPT}'|<num> )[^'\n]*'(?![\w<])"
    rf'|"(?!{_KEPT}"|<num> )[^"\n]*"'
    r"|[/@\\]",
    re.ASCII,
).search
_PASSES = 4
_PAIRING = str.maketrans("", "", "\"'/@\\")


def mask(text: str) -> str:
    """Replace what varies in a message by names of what it was; reads `MAX_LENGTH` characters.

    Masking a masked message changes nothing.
    """
    masked = _VARYING.sub(_replace, text[:MAX_LENGTH])[:MAX_LENGTH]
    if masked == text or not _UNSETTLED(masked):
        return masked
    for _ in range(_PASSES):
        text, masked = masked, _VARYING.sub(_replace, masked)[:MAX_LENGTH]
        if masked == text:
            return masked
    # Only text made for it takes so many passes; what could pair up any further goes.
    return masked.translate(_PAIRING)


def varying(text: str) -> list[tuple[str, str]]:
    """What `mask` takes out of a message at first sight: each value, and what comes in its place."""
    pairs = [(match.group(), _replace(match)) for match in _VARYING.finditer(text[:MAX_LENGTH])]
    return [(value, place) for value, place in pairs if value != place]


def _replace(match: re.Match[str]) -> str:
    kind, found = match.lastgroup, match.group()
    assert kind is not None
    fixed = _FIXED.get(kind)
    if fixed is not None:
        return fixed
    if kind == "word":
        return _word(found)
    if kind == "url":
        return _url(found)
    return _quoted(found)


def _word(word: str) -> str:
    if len(word) >= _MIN_HEX and _IS_HEX(word):
        return "<hex>"
    if _IS_NUMBERED(word):
        return word.rstrip("0123456789") + "<num>"
    return "<id>"


def _url(url: str) -> str:
    parts = _URL(url)
    if parts is None:
        return "<path>"
    scheme, host, rest = parts.groups()
    # Neither credentials nor the port tell one dependency from another.
    host = host.rpartition("@")[2]
    if _IP_HOST(host.partition(":")[0]):
        host = "<ip>"
    else:
        host = _WITH_DIGITS.sub(lambda match: _word(match.group()), host.partition(":")[0])
    return f"{scheme}://{host}{'/<path>' if rest not in ('', '/') else rest}"


def _quoted(quoted: str) -> str:
    quote, value = quoted[0], quoted[1:-1]
    if _IS_NAME(value):
        return quoted
    telling = _TELLING(value)
    if telling is None:
        return "<str>"
    if telling["url"]:
        return f"{quote}{_url(value)}{quote}"
    if telling["method"]:
        return f"{quote}{telling['method']} <path>{quote}"
    return f"{quote}<num>{telling['phrase']}{quote}"
