"""What each channel heard of one alert: what became of the messages that it fires, and is over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet

from alerting.choices import DeliveryState, Purpose
from alerting.models import Alert, Delivery

# An end is told at the next look at its group.
AFTER_THE_END: Final = timedelta(days=1)
_MOST: Final = 1_000
_State = Literal["delivered", "waits", "failed"]
_STATES: Final[Mapping[str, _State]] = {
    DeliveryState.DELIVERED: "delivered",
    DeliveryState.PENDING: "waits",
    DeliveryState.SENDING: "waits",
    DeliveryState.FAILED: "failed",
}


@dataclass(frozen=True)
class Became:
    """What became of a message: `at` when it was delivered or failed, else when it is tried next;
    `stood_in` the channel that it went by in place of this one."""

    delivery: UUID
    state: _State
    made_at: datetime
    at: datetime | None
    error: str
    stood_in: str
    in_place_of: str

    @property
    def shown(self) -> str:
        """The state as those of deliveries are called."""
        return "pending" if self.state == "waits" else self.state


@dataclass(frozen=True)
class Heard:
    """A channel that was to hear of an alert: that it fires, and that it is over."""

    channel: str
    fires: Became | None
    over: Became | None


def heard_of(alert: Alert, groups: Sequence[int]) -> dict[int, list[Heard]]:
    """By group, the channels that were to hear of an alert, by name; one query."""
    if alert.fired_at is None or not groups:
        return {}
    rows = list(_rows(alert, groups))
    names = {row["pk"]: row["channel_name"] for row in rows}
    stood_in = {row["fallback_of_id"]: row["channel_name"] for row in rows}
    said: dict[int, dict[str, dict[bool, list[Became]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for row in rows:
        became = _became(row, stood_in.get(row["pk"], ""), names.get(row["fallback_of_id"], ""))
        said[row["group_id"]][row["channel_name"]][_says_over(row, alert)].append(became)
    return {
        group: [
            Heard(name, _best(each.get(False, ())), _best(each.get(True, ())))
            for name, each in sorted(channels.items())
        ]
        for group, channels in said.items()
    }


def deliveries_since(alert: Alert, groups: Sequence[int]) -> QuerySet[Delivery]:
    """What was sent of the groups of an alert that fired, from then until its end was told."""
    rows = Delivery.objects.filter(group__in=groups, created_at__gte=alert.fired_at)
    if alert.ended_at is not None:
        rows = rows.filter(created_at__lte=alert.ended_at + AFTER_THE_END)
    return rows


def _rows(alert: Alert, groups: Sequence[int]) -> Iterable[dict[str, Any]]:
    def lists(**more: str) -> Q:
        return Q(message__contains={"alerts": [{"id": str(alert.pk), **more}]})

    rows = deliveries_since(alert, groups).filter(
        lists() | Q(message__left_out__gt=0), purpose=Purpose.ALERTS
    )
    said = {
        name: ExpressionWrapper(lists(status=name), output_field=BooleanField())
        for name in ("firing", "resolved")
    }
    columns = (
        "pk", "group_id", "channel_name", "state", "created_at", "ended_at", "next_at",
        "last_error", "fallback_of_id",
    )  # fmt: skip
    return rows.order_by("-created_at", "-id").values(*columns, **said)[:_MOST]


def _says_over(row: Mapping[str, Any], alert: Alert) -> bool:
    """Whether a message says that the alert is over. One that only counts it says what held."""
    if row["firing"] or row["resolved"]:
        return bool(row["resolved"])
    return alert.ended_at is not None and row["created_at"] > alert.ended_at


def _became(row: Mapping[str, Any], stood_in: str, in_place_of: str) -> Became:
    state = _STATES[row["state"]]
    return Became(
        delivery=row["pk"],
        state=state,
        made_at=row["created_at"],
        at=row["next_at"] if state == "waits" else row["ended_at"],
        error=row["last_error"],
        stood_in=stood_in,
        in_place_of=in_place_of,
    )


def _best(newest_first: Sequence[Became]) -> Became | None:
    """What counts of several that say the same: the first that arrived, else the newest."""
    arrived = [each for each in newest_first if each.state == "delivered"]
    return arrived[-1] if arrived else next(iter(newest_first), None)
