"""A site with a channel, a route and alerts, whose clock the test moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from alerting.choices import ChannelKind
from alerting.domain.alerts import AlertChange
from alerting.domain.messages import Message
from alerting.models import Alert, Channel, Delivery, Route, Silence
from alerting.services.alerts import alerts_apply
from alerting.services.dispatch import alerts_dispatch

NOON: Final = datetime(2026, 11, 26, 12, tzinfo=UTC)
WAIT, INTERVAL, REPEAT = 30, 300, 14_400


def channel_made(name: str = "ops", **fields: Any) -> Channel:
    return Channel.objects.create(
        kind=ChannelKind.WEBHOOK, name=name, created_at=NOON, changed_at=NOON, **fields
    )


def route_made(name: str = "all", *channels: Channel, **fields: Any) -> Route:
    given = {"position": 100, "group_by": ["service"], **fields}
    route = Route.objects.create(name=name, **given)
    route.channels.set(channels)
    return route


def change(
    happening: Any, name: str, at: datetime, *, severity: str = "page", **labels: str
) -> AlertChange:
    return AlertChange(
        happening=happening,
        at=at,
        labels={"alertname": name, "severity": severity, **labels},
        rule_name=name,
        severity=severity,
        started_at=at,
        annotations={"summary": f"{name} of {labels.get('service', 'nothing')}"},
        service=labels.get("service", ""),
    )


@dataclass
class Scene:
    """Time goes on by `wait`; what is told at each turn is kept in `told`."""

    now: datetime = NOON
    told: list[tuple[str, Message]] = field(default_factory=list)

    def fire(self, *names: str, service: str = "planner", **more: str) -> list[Alert]:
        return self._apply("fire", names, service, more)

    def resolve(self, *names: str, service: str = "planner", **more: str) -> list[Alert]:
        return self._apply("resolve", names, service, more)

    def wait(self, seconds: float) -> list[tuple[str, Message]]:
        """Let time go by, in one leap, and run the pipeline; gives what was told by it."""
        self.now += timedelta(seconds=seconds)
        return self.turn()

    def turn(self) -> list[tuple[str, Message]]:
        known = set(Delivery.objects.values_list("pk", flat=True))
        alerts_dispatch(now=self.now)
        new = Delivery.objects.exclude(pk__in=known).order_by("channel_name", "created_at")
        made = [(each.channel_name, Message.from_json(each.message)) for each in new]
        self.told += made
        return made

    def occasions(self, seconds: float) -> list[str]:
        """Why what was told after so much time was told."""
        return [why_of(message) for _, message in self.wait(seconds)]

    def _apply(
        self, happening: str, names: tuple[str, ...], service: str, more: Mapping[str, str]
    ) -> list[Alert]:
        changes = [change(happening, name, self.now, service=service, **more) for name in names]
        return alerts_apply(changes, now=self.now)


def why_of(message: Message) -> str:
    assert message.why is not None
    return message.why.occasion


def names_of(message: Message, status: str) -> set[str]:
    return {each.rule for each in message.alerts if each.status == status}


def silence_made(scene: Scene, hours: int = 24, **labels: str) -> Silence:
    matchers = [{"label": key, "op": "=", "value": value} for key, value in labels.items()]
    return Silence.objects.create(
        matchers=matchers, starts_at=scene.now, ends_at=scene.now + timedelta(hours=hours),
        reason="deploy", actor="anna", created_at=scene.now,
    )  # fmt: skip
