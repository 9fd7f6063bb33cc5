"""Which channel stands in for one that cannot be used."""

from __future__ import annotations

from collections.abc import Set
from typing import Final
from uuid import UUID

from alerting.models import Channel

# A fallback may have a fallback; a ring of them ends here.
MOST_STEPS: Final = 5


def fallback_of(channel: Channel, tried: Set[UUID]) -> Channel | None:
    """The first channel along the fallbacks that can be used and was not tried."""
    each: Channel | None = channel
    for _ in range(MOST_STEPS):
        each = each.fallback if each is not None else None
        if each is None:
            return None
        if each.enabled and each.paused_at is None and each.pk not in tried:
            return each
    return None


def any_other(tried: Set[UUID]) -> Channel | None:
    """The channel that works best, apart from those that were tried."""
    working = Channel.objects.filter(enabled=True, paused_at=None).exclude(pk__in=tried)
    return working.order_by("failures", "name").first()


def meanwhile(channel: Channel) -> str:
    """What becomes of the messages of a channel that is paused as it keeps failing."""
    other = fallback_of(channel, {channel.pk})
    if other is not None:
        return f"Its messages go by its fallback {other.name}."
    other = any_other({channel.pk})
    if other is None:
        return "No other channel works: nobody is told of anything until one does."
    return (
        f"Its alerts go by {other.name}, as it has no fallback that works, where no other channel "
        "has them anyway; its reports wait."
    )
