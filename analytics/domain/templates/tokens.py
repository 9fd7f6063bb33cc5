"""A message as a shape: a tuple of words and marks in which `<*>` stands for what varies.

Two steps, because one of them meets every message and the other only what is new:
`mask` takes out runs with digits in one pass of one expression; `shape` reads the masked text
word by word, takes out what varies without digits, and folds what is optional or repeated.
"""

from __future__ import annotations

import re

Shape = tuple[str, ...]

VARIABLE = "<*>"
# What of a message is read: longer ones differ before that or not at all.
MAX_LENGTH = 2_048
_MAX_WORDS = 256

_UNIT = r"[kKMGTP]i?[bB]|B|[bB]ytes?|[munµ]s|secs?|min|[kMG]?Hz"
# Runs with a digit in them, from there on: numbers with their unit, times, addresses with port,
# versions, ids. Letters before the first digit stay ("node-7" is `node-<*>`), unless all is hex.
# Nothing that must match follows a repetition, so a failed attempt never starts over.
_DIGITS = re.compile(
    rf"""
    (?: (?<![\w:-])[0-9a-fA-F]{{2}}(?: :[0-9a-fA-F]{{2}} ){{5}}(?![\w:])
      | (?<![A-Za-z0-9])(?=[a-fA-F]{{1,7}}[0-9])[0-9a-fA-F]{{6,}}(?![g-zG-Z])
      | (?<![\w.@/-])[A-Za-z][A-Za-z-]{{0,40}}[0-9][\w-]*\.(?=[\w-]+\.[A-Za-z])
      | (?:(?<![\w.)\]>-])[-+] | (?<=_)-)?[0-9] )
    \w*(?: [.~+-]\w+ | [:/@,][0-9]\w* )*
    %?(?: [ ]?(?:{_UNIT})\b )?
    """,
    re.VERBOSE | re.ASCII,
)
_PART = r"(?:[\w.$%~+@#&=*{}-]|<\*>)"
# What goes over marks, so looked for before the text is cut into words: addresses written with
# colons, hosts with their port, addresses with what follows the question mark.
_WHOLE = re.compile(
    r"(?<![\w:>])(?=[0-9a-fA-F:]*<\*>)[0-9a-fA-F]{0,4}(?:<\*>)?"
    r"(?:::?[0-9a-fA-F]{0,4}(?:<\*>)?){2,}(?!\w)"
    r"|(?<![\w.@/\\-])[A-Za-z][\w-]*(?:\.[\w-]+)+:<\*>(?!\w)"
    r"|\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s\"'`,;)\]}]+"
    r"|(?<=/)[\w.<*>-]*\?[^\s\"'`]+"
    r"|\b[A-Za-z]:[\\/][^\s\"'`<>|:*?,;()]*"
)
_WORD = re.compile(r"<\*>|\.{2,}|(?:[\w\-/\\$@%+~*]|\.(?!\.)|<\*>)+|\S")
_PATH = re.compile(
    rf"(?:[A-Za-z]:)?(?:[\\/]{_PART}+){{2,}}[\\/]?"
    rf"|{_PART}+(?:[\\/]{_PART}+){{2,}}[\\/]?"
    r"|/[\w.-]+/"
)
# Names of hosts, packages and classes.
_DOTTED = re.compile(r"(?:(?:[\w$-]|<\*>)+\.){2,}(?:[\w$-]|<\*>)+(?:@(?:[\w.-]|<\*>)+)?")
_FILE_ENDS = re.compile(
    r"log|txt|conf|cfg|ini|properties|xml|json|ya?ml|html?|md|csv|tsv|sql|db|dat|bin|tmp|bak|out"
    r"|gz|zip|tar|tgz|bz2|xz|jar|war|so|dll|exe|sys|o|a|class|java|py|js|ts|css|php|rb|go|rs|c|cc"
    r"|cpp|h|hpp|sh|bat|pl|pid|sock|key|pem|crt|png|jpe?g|gif|svg|ico|pdf|docx?|xlsx?|pptx?"
)
_EMAIL = re.compile(r"(?:[\w.+-]|<\*>)+@(?:[\w-]|<\*>)+(?:\.(?:[\w-]|<\*>)+)+")
# Of those, hosts. The others are from code: there are few, and they tell messages apart.
_HOST_ENDS = re.compile(
    r"com|net|org|edu|gov|mil|int|info|biz|local|lan|internal|localdomain|arpa"
    r"|(?!id|is|in|to|do|at|so|no|my|me|js|py|rs|sh|cc|pl|ps|md)[a-z]{2}"
)
# "node-7", "blk_12"; a single letter before a number is part of the number.
_NUMBERED = re.compile(r"(?!.*_[A-Za-z]<)[^\W\d]{2,}[_#@-]?<\*>|[^\W\d][_#@-]<\*>")
_CALENDAR = re.compile(
    r"(?:Mon|Tue|Tues|Wed|Wednes|Thu|Thurs|Fri|Sat|Satur|Sun)(?:day)?"
    r"|Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    r"|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?|AM|PM|am|pm|UTC|GMT"
)
_LITERALS = frozenset(("true", "false", "null", "none", "nil", "nan", "undefined", "yes", "no"))
_MASKS = re.compile(r"<(?:num|hex|id|uuid|token|time|ip|mac|email|path|str)>")
_ASSIGNS = frozenset("=:")
_BETWEEN = frozenset(",;|&+/\\:-.=#")
# Marks between two parts of a list.
_MAX_BETWEEN = 3
_CLOSING = {")": "(", "]": "[", "}": "{", ">": "<"}
# A repeated part of a list has at most so many words and marks.
_MAX_PERIOD = 8


def mask(message: str) -> str:
    """The message with `<*>` for every run that has a digit in it."""
    if len(message) > MAX_LENGTH:
        message = message[:MAX_LENGTH].rpartition(" ")[0] or message[:MAX_LENGTH]
    return _DIGITS.sub(VARIABLE, message)


def shape(masked: str, *, looks: bool = True) -> Shape:
    """The shape of a masked message; () for one without any word or mark.

    Without `looks`, paths and names of hosts and the like count as any other word.
    """
    text = _WHOLE.sub(VARIABLE, masked) if looks else masked
    words = _WORD.findall(text)[:_MAX_WORDS]
    read: list[str] = []
    for position, word in enumerate(words):
        if len(word) > 1 and word[-1] in ".!?":
            # Whether a sentence ends here does not tell one word from another.
            word = word.rstrip(".!?") or "."
        if (
            (_varies(word) if looks else word == VARIABLE)
            or (read and read[-1] in _ASSIGNS and _is_value(word, read[-1]))
            or (_CALENDAR.fullmatch(word) and _beside_variable(words, position, read))
        ):
            word = VARIABLE
            if read and read[-1] == "<" and words[position + 1 : position + 2] != [">"]:
                # "lasted <1 s" is a measure like any other.
                read.pop()
        read.append(word)
    return fold(read)


def shape_of_pattern(template: str) -> Shape:
    """The shape of what ingest made of a message: all that varies by its looks is named in it, and
    what it left in place, such as the host of a URL, tells one failure from another."""
    return shape(_MASKS.sub(VARIABLE, template), looks=False)


def _varies(word: str) -> bool:
    if word == VARIABLE:
        return True
    if VARIABLE in word and not _NUMBERED.fullmatch(word):
        return True
    if ("/" in word or "\\" in word) and _PATH.fullmatch(word):
        return True
    if "." not in word:
        return False
    if _EMAIL.fullmatch(word):
        return True
    names = [part for part in word.split("/") if _DOTTED.fullmatch(part)]
    return bool(names) and (names[0] != word or _is_host(word))


def _is_host(name: str) -> bool:
    return bool(VARIABLE in name or _HOST_ENDS.fullmatch(name.rpartition(".")[2].lower()))


def _is_value(word: str, assigns: str) -> bool:
    return word.lower() in _LITERALS or (assigns == "=" and bool(_DOTTED.fullmatch(word)))


def _beside_variable(words: list[str], position: int, read: list[str]) -> bool:
    after = words[position + 1 : position + 3]
    return bool(read and read[-1] == VARIABLE) or any(VARIABLE in word for word in after)


def fold(words: list[str]) -> Shape:
    """Lists of any length read as one variable, and what stands in brackets after a variable and
    is empty or varies, goes: it is optional wherever it is seen."""
    folded: list[str] = []
    for word in words:
        if VARIABLE in word:
            end = len(folded)
            while end and len(folded) - end < _MAX_BETWEEN and folded[end - 1] in _BETWEEN:
                end -= 1
            if end and folded[end - 1] == word:
                del folded[end:]
                continue
        folded.append(word)
        opening = _CLOSING.get(word)
        if opening is not None:
            _drop_optional(folded, opening)
    return tuple(_without_repeats(folded))


def _drop_optional(folded: list[str], opening: str) -> None:
    for size in (2, 3):
        if (
            len(folded) > size
            and folded[-size] == opening
            and (size == 2 or VARIABLE in folded[-2])
            and folded[-size - 1] == VARIABLE
        ):
            del folded[-size:]
            return


def _without_repeats(words: list[str]) -> list[str]:
    """What is written over and over, with a variable in it, once."""
    if len({word for word in words if VARIABLE in word}) == sum(VARIABLE in w for w in words):
        return words
    for period in range(2, min(_MAX_PERIOD, len(words) // 2) + 1):
        position = 0
        while position + 2 * period <= len(words):
            part = words[position : position + period]
            if (
                words[position + period] == part[0]
                and words[position + period : position + 2 * period] == part
                and any(VARIABLE in word for word in part)
            ):
                del words[position + period : position + 2 * period]
            else:
                position += 1
    return words


def is_word(token: str) -> bool:
    """Whether a part of a shape is a word rather than a mark between words."""
    return len(token) > 1 or token.isalnum()


def looks_given(word: str) -> bool:
    """Whether a word looks like what somebody named: a file, a host, an address; `VARIABLE` does."""
    if word == VARIABLE or "@" in word or "\\" in word or "/" in word:
        return True
    if "." not in word[1:-1]:
        return False
    return _is_host(word) or bool(_FILE_ENDS.fullmatch(word.rpartition(".")[2].lower()))
