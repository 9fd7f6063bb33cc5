"""Names that senders give: those that are kept apart, and what came beyond."""

from __future__ import annotations

from django.db import models

from analytics.choices import NameKind


class CallName(models.Model):
    """An operation of a service, or an address that it calls, which has figures of its own.

    `id` is made of all that identifies it, so that every process knows it without asking.
    """

    id = models.UUIDField(primary_key=True)
    service = models.TextField()
    kind = models.CharField(max_length=12, choices=NameKind)
    name = models.TextField()
    first_seen = models.DateTimeField()
    last_seen = models.DateField(db_index=True, help_text="The last day on which it was received.")

    class Meta:
        indexes = [models.Index(fields=["service", "kind"], name="callname_service")]

    def __str__(self) -> str:
        return f"{self.service}: {self.name}"


class FoldedName(models.Model):
    """How much of a service came under names for which there was no room, since when."""

    service = models.TextField()
    kind = models.CharField(max_length=12, choices=NameKind)
    items = models.BigIntegerField(help_text="Spans, records or points that were counted together.")
    example = models.TextField(help_text="The name that came last.")
    first_at = models.DateTimeField()
    last_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["service", "kind"], name="foldedname_service_kind")
        ]

    def __str__(self) -> str:
        return f"{self.service}: {self.items} of further {self.get_kind_display()}"
