"""Push: a dead man's switch. The watched job calls in; silence is the failure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from health.checks.base import CheckKind, Context, Failed, Finding, Inconclusive, Observed, kind
from health.checks.options import OptionError, require_range
from health.choices import ResultStatus

# It is part of a URL, and hard to guess.
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{20,200}")
_WEEK: Final = 7 * 86_400.0
# How long after the last moment for a push its absence is looked at.
_AFTER_SECONDS: Final = 0.1


@dataclass(frozen=True)
class PushOptions:
    """Options of a push check.

    `token` is the secret part of the address that is called; the site makes one where it is empty.
    `grace_seconds` is how much later than the check's interval a push may come.
    """

    token: str = ""
    grace_seconds: float = 60.0


@kind("push", "Push (heartbeat)")
class PushCheck(CheckKind[PushOptions]):
    Options = PushOptions
    shared = False
    secrets = frozenset({"token"})

    def validate(self, options: PushOptions) -> None:
        if options.token and not _TOKEN.fullmatch(options.token):
            raise OptionError(
                "token", "must be 20 to 200 letters, digits, dashes and underscores, or empty"
            )
        require_range("grace_seconds", options.grace_seconds, 0.0, _WEEK)

    def hosts(self, options: PushOptions) -> tuple[tuple[str, int], ...]:
        return ()

    def due(self, options: PushOptions, context: Context) -> datetime | None:
        if context.last_push is None:
            return None
        missing = context.last_push + timedelta(
            seconds=context.interval + options.grace_seconds + _AFTER_SECONDS
        )
        return missing if missing > context.now else None

    async def run(self, options: PushOptions, context: Context) -> Finding:
        if context.last_push is None:
            raise Inconclusive("No push has come yet")
        # A clock that was set back must not make a push come from the future.
        silent = max(0.0, (context.now - context.last_push).total_seconds())
        observed = {"silent": Observed(silent, "s")}
        allowed = context.interval + options.grace_seconds
        if silent > allowed:
            if context.watching_since is not None:
                watched = (context.now - context.watching_since).total_seconds()
                if watched < allowed:
                    raise Inconclusive(
                        f"This site has been running for {watched:.0f} s: too short to have missed"
                        " a push"
                    )
            raise Failed(
                f"No push for {silent:.0f} s; one must come every {context.interval:g} s,"
                f" {options.grace_seconds:g} s later at most",
                observed,
            )
        said = f": {context.pushed_output}" if context.pushed_output else ""
        words = f"The last push came {silent:.0f} s ago"
        if context.pushed_status == ResultStatus.DOWN:
            raise Failed(f"{words} and said down{said}", observed)
        status = "degraded" if context.pushed_status == ResultStatus.DEGRADED else "up"
        return Finding(status, words + said, observed)
