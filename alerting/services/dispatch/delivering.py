"""The last stage of the pipeline: what a channel is told goes into the outbox, and into the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from alerting.choices import Purpose
from alerting.domain.dedup import Decision, News
from alerting.domain.messages import Message
from alerting.models import Alert, AlertGroup, Channel, Notified
from alerting.services.dispatch.composing import message_compose
from alerting.services.outbox import delivery_enqueue


@dataclass(frozen=True)
class Deliverer:
    """The stage that tells the channels of a group what was decided; it runs within the caller's
    transaction, which holds the group's row."""

    group: AlertGroup
    channels: Mapping[UUID, Channel]
    log: Mapping[UUID, Notified]
    now: datetime
    # Most channels of a group are told the same: it is made once.
    _made: dict[tuple[Decision, frozenset[UUID]], Message] = field(default_factory=dict, init=False)

    def __call__(self, news: Sequence[News]) -> list[News]:
        told = [replace(each, delivery=self._delivery(each)) for each in news]
        self._log([each for each in told if each.delivery])
        self._mark({alert for each in told if each.delivery for alert in _new(each)})
        return told

    def _mark(self, alerts: set[UUID]) -> None:
        """Say of alerts that somebody was told of them, the first time."""
        if not alerts:
            return
        # In the order in which all lock alerts that lock several.
        rows = Alert.objects.select_for_update(no_key=True).filter(pk__in=alerts, told_at=None)
        untold = list(rows.order_by("fingerprint").values_list("pk", flat=True))
        Alert.objects.filter(pk__in=untold).update(told_at=self.now)

    def _delivery(self, news: News) -> UUID | None:
        decision, channel = news.decision, self.channels[news.channel]
        if decision is None:
            raise ValueError("nothing was decided: deduplicate comes before deliver")
        if decision.occasion is None:
            self._correct(news.channel, decision)
            return None
        delivery = delivery_enqueue(
            channel=channel,
            message=replace(self._message(decision, news.standing.firing), note=news.note),
            purpose=Purpose.ALERTS,
            group=self.group,
            now=self.now,
        )
        return delivery.pk

    def _message(self, decision: Decision, firing: Set[UUID]) -> Message:
        same = (decision, frozenset(firing))
        if same not in self._made:
            self._made[same] = message_compose(self.group, *same)
        return self._made[same]

    def _log(self, told: Sequence[News]) -> None:
        """Write down what each channel knows from now on."""
        rows = [
            Notified(
                group=self.group,
                channel_id=each.channel,
                at=self.now,
                firing=sorted(map(str, each.decision.firing)),
                resolved=sorted(map(str, each.decision.ended)),
            )
            for each in told
            if each.decision
        ]
        Notified.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["group", "channel"],
            update_fields=["at", "firing", "resolved"],
        )

    def _correct(self, channel: UUID, decision: Decision) -> None:
        """Take ends that nobody wants to hear of out of the log, and a time that a wrong clock left
        in the future."""
        log, firing = self.log.get(channel), sorted(map(str, decision.firing))
        if log is None or (log.firing == firing and log.at <= self.now):
            return
        log.firing, log.at = firing, min(log.at, self.now)
        log.save(update_fields=["firing", "at"])


def _new(news: News) -> frozenset[UUID]:
    return news.decision.new if news.decision else frozenset()
