"""What was received already, where the stored rows themselves cannot tell."""

from __future__ import annotations

from django.db import models


class BatchReceipt(models.Model):
    """The digest of a batch whose items carry no identity of their own, kept for an hour.

    A client sends a batch again when its answer was lost; what the batch adds up to must be
    counted once.
    """

    digest = models.UUIDField(primary_key=True)
    received_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return str(self.digest)


class PostedId(models.Model):
    """The error that a client's own id of a posted error stands for."""

    id = models.UUIDField(primary_key=True, help_text="Hash of the service and the client's id.")
    error_id = models.UUIDField()
    received_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return str(self.error_id)
