"""How far what fails has been looked at."""

from __future__ import annotations

from django.db import models


class DetectorCursor(models.Model):
    """How far the journal has been read for news of failures, and when the present state was last
    compared with what could be healed. Whoever looks holds the row's lock."""

    reader = models.CharField(max_length=40, primary_key=True)
    position = models.BigIntegerField(default=0)
    looked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.reader
