"""How notifications leave: channels, the outbox, and every attempt."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from alerting.choices import AttemptOutcome, ChannelKind, DeliveryState, Purpose


class Channel(models.Model):
    """Where notifications go.

    `target` holds what its kind asks for, without secrets; those are in `sealed`
    (`resilience_site.core.sealing`), as JSON. Both are read by `alerting.channels`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=9, choices=ChannelKind)
    name = models.CharField(max_length=100, unique=True)
    target = models.JSONField(default=dict)
    sealed = models.TextField(blank=True, default="")
    send_resolved = models.BooleanField(default=True)
    # Whether it gets the weekly report; of e-mail alone.
    send_reports = models.BooleanField(default=False)
    enabled = models.BooleanField(default=True)
    # Failures in a row, since the first of them; a channel that keeps failing is paused, an alert
    # tells of it, and `fallback` or another channel stands in for it.
    failures = models.PositiveIntegerField(default=0)
    failing_since = models.DateTimeField(null=True, blank=True)
    # Until when its receiver asked to be left alone (`Retry-After`).
    not_before = models.DateTimeField(null=True, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_why = models.TextField(blank=True, default="")
    fallback = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    changed_by = models.TextField(blank=True, default="")
    version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Delivery(models.Model):
    """One message to one channel: the outbox. Its id is what receivers know it by.

    `message` is an `alerting.domain.messages.Message` as JSON and never changes once it was tried,
    so that each attempt says the same. A sender claims it until `lease_until`; whoever has the
    highest `fence` holds the claim.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    channel = models.ForeignKey(
        Channel, null=True, on_delete=models.SET_NULL, related_name="deliveries"
    )
    channel_name = models.CharField(max_length=100)
    purpose = models.CharField(max_length=6, choices=Purpose)
    group = models.ForeignKey(
        "alerting.AlertGroup", null=True, on_delete=models.SET_NULL, related_name="deliveries"
    )
    message = models.JSONField()
    # The delivery by another channel in whose place this one goes, as that could not be made.
    fallback_of = models.ForeignKey(
        "self", null=True, on_delete=models.SET_NULL, related_name="fallbacks"
    )
    state = models.CharField(max_length=9, choices=DeliveryState, default=DeliveryState.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)
    fence = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True, default="")
    # When another channel is to have it too, if its own has not taken it; null for what calls nobody,
    # and where somebody else has it.
    stand_in_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="delivery_newest"),
            models.Index(fields=["channel", "-created_at"], name="delivery_of_channel"),
            # What senders claim.
            models.Index(
                fields=["next_at"],
                condition=Q(state__in=["pending", "sending"]),
                name="delivery_due",
            ),
            models.Index(
                fields=["stand_in_at"],
                condition=Q(state="pending", stand_in_at__isnull=False),
                name="delivery_stand_in",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel_name} {self.state}"


class DeliveryAttempt(models.Model):
    """One attempt: what was sent, without secrets, and what came back, both up to a bound."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="tries")
    n = models.PositiveIntegerField()
    at = models.DateTimeField()
    milliseconds = models.PositiveIntegerField()
    # `{"method", "url", "headers", "body"}` for HTTP, `{"from", "to", "subject", "body"}` for mail.
    request = models.JSONField(default=dict)
    status = models.IntegerField(null=True)
    answer = models.TextField(blank=True, default="")
    outcome = models.CharField(max_length=9, choices=AttemptOutcome)
    error = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["delivery", "n", "id"]

    def __str__(self) -> str:
        return f"{self.delivery_id} attempt {self.n}"
