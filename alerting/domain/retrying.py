"""When a delivery is tried again, when it is given up, and when its channel is paused."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

# Seconds before the second, third … attempt; the last one goes on.
PAUSES: Final = (5.0, 15.0, 60.0, 180.0, 600.0)
# A receiver may ask for a longer pause, but not for ever.
LONGEST_ASKED: Final = 3600.0
# Each pause is longer by up to this part, so that what failed together does not return together.
_JITTER: Final = 0.3
LONGEST_PAUSE: Final = LONGEST_ASKED * (1 + _JITTER)
# Until when a receiver may have asked to be left alone; whatever is later was left by a wrong clock.
# Those of two senders may differ a little.
ASKED_AHEAD: Final = timedelta(seconds=LONGEST_ASKED + 60)
# An alert that is older than this is news to nobody; a report may come a day late, and so may the
# end of what somebody was told, who would wait for it for ever.
EXPIRY: Final = timedelta(hours=2)
LONG_EXPIRY: Final = timedelta(days=1)

FAILURES_TO_PAUSE: Final = 5
FAILING_TO_PAUSE: Final = timedelta(minutes=10)

# A page does not wait as long for its channel: another one is told, too, after so many failures in a
# row, or so long. The pauses make three of them 20 to 30 s, longer than most restarts of a receiver;
# one that hangs, or asks to be left alone, costs a minute, of the five in which somebody should look.
FAILURES_TO_STAND_IN: Final = 3
WAIT_TO_STAND_IN: Final = timedelta(minutes=1)


def pause_seconds(attempt: int, *, asked: float | None, rng: random.Random) -> float:
    """Seconds after the `attempt`-th attempt failed; `asked` is the receiver's `Retry-After`,
    which makes the pause longer, up to `LONGEST_ASKED`, never shorter."""
    usual = PAUSES[min(max(attempt, 1), len(PAUSES)) - 1]
    usual = max(usual, min(asked or 0.0, LONGEST_ASKED))
    return usual * (1 + _JITTER * rng.random())


def left_alone_until(
    asked: float | None, *, before: datetime | None, now: datetime
) -> datetime | None:
    """Until when a receiver is left alone that asks for `asked` seconds now, and has asked for the
    time `before`: what it asked once stands until that is past, whatever it says meanwhile."""
    until = before if before is not None and now < before <= now + ASKED_AHEAD else None
    if not asked:
        return until
    new = now + timedelta(seconds=min(asked, LONGEST_ASKED))
    return max(new, until or new)


def expiry_of(purpose: str, message: Mapping[str, Any]) -> timedelta:
    """How long after it was made a delivery for `purpose` of a message, as the outbox keeps it, is
    tried."""
    occasion = (message.get("why") or {}).get("occasion")
    ends = message["status"] == "resolved" or occasion == "shrunk"
    return LONG_EXPIRY if purpose == "report" or ends else EXPIRY


def must_be_seen(purpose: str, message: Mapping[str, Any]) -> bool:
    """Whether a message, as the outbox keeps it, calls somebody: a page that fires. That a part of
    what it told is over calls nobody."""
    occasion = (message.get("why") or {}).get("occasion")
    fires = message["status"] == "firing" and occasion != "shrunk"
    return purpose == "alerts" and fires and message["severity"] == "page"


def is_to_be_paused(*, failures: int, failing_since: datetime, gone: bool, now: datetime) -> bool:
    """Whether a channel has failed for so long and so often that nothing more is tried on it; one
    whose receiver is gone (410) at once."""
    lasting = failures >= FAILURES_TO_PAUSE and now - failing_since >= FAILING_TO_PAUSE
    return gone or lasting
