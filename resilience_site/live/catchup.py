"""What a page missed: the journal from its cursor, or the reason why it must reload."""

from __future__ import annotations

from typing import Final, NamedTuple

from resilience_site.core import journal
from resilience_site.live.protocol import Hint, Subscription

MAX_REPLAYED: Final = 2000


class CatchUp(NamedTuple):
    """`hints` after the page's cursor, complete up to the journal id `upto`; or a reset."""

    upto: int
    hints: list[Hint]
    reset: str | None = None


def catch_up(subscription: Subscription) -> CatchUp:
    """Replay the journal for a page that has been registered for what comes next."""
    since = subscription.since
    # Read first: what commits after it can only make the replay longer.
    latest = journal.latest_cursor()
    if since is None:
        return CatchUp(latest, [])
    if since > latest:
        return CatchUp(latest, [], "unknown_cursor")
    oldest = journal.oldest_cursor()
    if oldest is not None and since < oldest - 1:
        return CatchUp(latest, [], "expired")
    rows = journal.read_hints(since, subscription.topics, MAX_REPLAYED + 1)
    if len(rows) > MAX_REPLAYED:
        return CatchUp(latest, [], "gap")
    hints = [Hint._make(row) for row in rows]
    return CatchUp(max(latest, hints[-1].id if hints else 0), hints)
