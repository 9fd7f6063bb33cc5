"""Routes that tell nobody, and those that would without one of their channels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from alerting.models import Channel, Route
from alerting.selectors.routing import route_list


@dataclass(frozen=True)
class Alone:
    """The routes that tell nobody without a channel, and whether any other channel is enabled, by
    which their pages go then."""

    routes: tuple[str, ...] = ()
    others: bool = True

    @property
    def text(self) -> str:
        """What it means to do without the channel; empty where every route has another."""
        if not self.routes:
            return ""
        several = len(self.routes) > 1
        names = ", ".join(self.routes)
        first = f"The route{'s' if several else ''} {names} then {'tell' if several else 'tells'} nobody"
        if not self.others:
            return f"{first}, as no other channel is enabled: nobody hears of any alert."
        return (
            f"{first}: pages go by any other channel that works, and nobody hears of the rest, until "
            f"{'they have' if several else 'it has'} another channel."
        )


def channels_alone() -> dict[UUID, Alone]:
    """By channel, the enabled routes that have no other enabled channel; three queries."""
    enabled = set(Channel.objects.filter(enabled=True).values_list("pk", flat=True))
    found: dict[UUID, list[str]] = defaultdict(list)
    for route in route_list().filter(enabled=True):
        named = enabled if route.every_channel else {each.pk for each in route.channels.all()}
        for channel in named if len(named & enabled) < 2 else ():
            if not (named & enabled) - {channel}:
                found[channel].append(route.name)
    return {
        channel: Alone(tuple(routes), bool(enabled - {channel}))
        for channel, routes in found.items()
    }


def channel_alone(channel_id: UUID) -> Alone:
    """The routes that tell nobody without a channel."""
    return channels_alone().get(channel_id, Alone())


def routes_to_nobody(routes: Collection[Route]) -> set[str]:
    """The names of those of `routes`, which come with their channels, that tell nobody."""
    anybody = Channel.objects.filter(enabled=True).exists()
    return {
        each.name
        for each in routes
        if not (anybody if each.every_channel else any(c.enabled for c in each.channels.all()))
    }
