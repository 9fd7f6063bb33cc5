"""Who is told of which alerts: routes, inhibitions, silences, groups, and what was sent."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q

from alerting.choices import Origin


class Route(models.Model):
    """Alerts that match go to its channels, grouped by the values of the labels in `group_by`.

    Routes are tried by `position`; the first that matches ends the search unless `goes_on`. The
    last one has no matchers and takes what is left.
    """

    name = models.CharField(max_length=100, unique=True)
    position = models.PositiveIntegerField()
    # `[{"label": …, "op": "=" | "!=" | "=~" | "!~", "value": …}]`, all of which must hold.
    matchers = models.JSONField(default=list, blank=True)
    group_by = models.JSONField(default=list, blank=True)
    group_wait_seconds = models.PositiveIntegerField(default=30)
    group_interval_seconds = models.PositiveIntegerField(default=300)
    repeat_interval_seconds = models.PositiveIntegerField(default=14_400)
    goes_on = models.BooleanField(default=False)
    channels = models.ManyToManyField("alerting.Channel", blank=True, related_name="routes")
    # Tells every channel that is enabled, also those that are made later.
    every_channel = models.BooleanField(default=False)
    enabled = models.BooleanField(default=True)
    origin = models.CharField(max_length=7, choices=Origin, default=Origin.PERSON)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.name


class Inhibition(models.Model):
    """While an alert matches `source`, those that match `target` are not told, where the labels in
    `equal` have the same values. An alert that matches both sides is not held by another such.

    What fired already when the source ended stays held for `holds_after_seconds`, if somebody was
    told of the source: figures over longer windows end later, and tell nothing new meanwhile."""

    name = models.SlugField(max_length=100, unique=True)
    source = models.JSONField()
    target = models.JSONField()
    equal = models.JSONField(default=list, blank=True)
    holds_after_seconds = models.PositiveIntegerField(default=0, db_default=0)
    enabled = models.BooleanField(default=True)
    origin = models.CharField(max_length=7, choices=Origin, default=Origin.PERSON)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Silence(models.Model):
    """Nobody is told of alerts that match, from `starts_at` to `ends_at`.

    Its matchers never change: whoever wants others makes another one. It stays for the record.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    matchers = models.JSONField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.TextField()
    actor = models.TextField()
    created_at = models.DateTimeField()
    # Ended by a person before its time; then `ends_at` is that time.
    ended_by = models.TextField(blank=True, default="")
    # How many alerts it has held, and the last time that it held one.
    held = models.PositiveIntegerField(default=0)
    last_held_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gte=F("starts_at")), name="silence_ends")
        ]
        indexes = [models.Index(fields=["ends_at"], name="silence_until")]

    def __str__(self) -> str:
        return f"until {self.ends_at}: {self.reason}"[:80]


class AlertGroup(models.Model):
    """Alerts of one route with the same values of its `group_by` labels: told together.

    A group outlives its alerts and even its route: whoever was told that an alert fires is told
    when it is over.
    """

    route = models.ForeignKey(Route, null=True, on_delete=models.SET_NULL, related_name="groups")
    route_name = models.CharField(max_length=100, default="")
    # SHA-256 of the sorted group labels, as hex.
    key = models.CharField(max_length=64)
    labels = models.JSONField(default=dict)
    # When its first alert came, or the first after it had come to rest.
    created_at = models.DateTimeField()
    # When it is to be looked at next: `group_wait` after the first alert, then every
    # `group_interval`; null while no alert fires and all that was told is told as over.
    due_at = models.DateTimeField(null=True)
    last_flush_at = models.DateTimeField(null=True)
    alerts = models.ManyToManyField("alerting.Alert", related_name="groups")

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["route", "key"], name="group_of_route_once")]
        indexes = [models.Index(fields=["due_at"], name="group_due")]

    def __str__(self) -> str:
        return f"{self.route_name} {self.labels}"


class Notified(models.Model):
    """The notification log: what a channel was last told of a group."""

    group = models.ForeignKey(AlertGroup, on_delete=models.CASCADE, related_name="notified")
    channel = models.ForeignKey(
        "alerting.Channel", on_delete=models.CASCADE, related_name="notified"
    )
    at = models.DateTimeField()
    # Ids of the alerts that it was told are firing, and of those it was told are resolved.
    firing = models.JSONField(default=list)
    resolved = models.JSONField(default=list)
    # The channel was mended: what never reached it is told now, and not when the group is due.
    mended = models.BooleanField(default=False, db_default=False)

    class Meta:
        verbose_name_plural = "notified"
        constraints = [
            models.UniqueConstraint(fields=["group", "channel"], name="notified_once_a_channel")
        ]
        indexes = [models.Index(fields=["group"], condition=Q(mended=True), name="notified_mended")]

    def __str__(self) -> str:
        return f"group {self.group_id} on channel {self.channel_id}"
