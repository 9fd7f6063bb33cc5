"""The kernel's three tables: journal, audit trail, API keys."""

from __future__ import annotations

from datetime import datetime

from django.db import models

from resilience_site.core.choices import ActorKind, Scope


class JournalEntry(models.Model):
    """One committed change, in the order of commit: `id` is the cursor that pages resume from.

    Partitioned by day on `at` and written only by `journal.append`, hence unmanaged.
    """

    id = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    topic = models.TextField()
    kind = models.TextField()
    key = models.TextField()
    state = models.TextField()
    service = models.TextField()
    payload = models.JSONField()

    class Meta:
        managed = False
        db_table = "core_journalentry"
        ordering = ["-id"]
        verbose_name_plural = "journal entries"

    def __str__(self) -> str:
        return f"{self.id} {self.topic} {self.kind} {self.key}"


class AuditEntry(models.Model):
    """Who did what to which object, why, and until when. The database refuses to change a row."""

    at = models.DateTimeField(auto_now_add=True)
    actor = models.TextField()
    actor_kind = models.CharField(max_length=8, choices=ActorKind)
    action = models.CharField(max_length=100)
    object_type = models.CharField(max_length=100)
    object_id = models.TextField()
    reason = models.TextField(blank=True)
    until = models.DateTimeField(null=True, blank=True)
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)
    remote_address = models.GenericIPAddressField(null=True, blank=True)

    class Meta:
        ordering = ["-at", "-id"]
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["-at", "-id"], name="core_audit_newest"),
            models.Index(fields=["object_type", "object_id", "-at"], name="core_audit_object"),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.object_type} {self.object_id}"


class ApiKey(models.Model):
    """A bearer key of a machine. Only its hash is kept, so the token is shown once, at creation.

    The hash is plain SHA-256: a token carries 256 random bits, so there is nothing to guess that
    a slow hash would protect, and every request pays for the check.
    """

    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16, editable=False)
    hash = models.BinaryField(max_length=32, unique=True, editable=False)
    scope = models.CharField(max_length=8, choices=Scope)
    created_by = models.TextField(editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = "API key"
        verbose_name_plural = "API keys"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def usable(self, now: datetime) -> bool:
        """Whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)
