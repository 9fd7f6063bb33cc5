"""Services that fell silent."""

from __future__ import annotations

from django.db import models


class ServiceSilence(models.Model):
    """That nothing comes of a service any more that was heard all the time until `last_heard`.

    It goes with the next that comes, or once it has lasted for so long that the service counts as
    gone for good.
    """

    service = models.TextField(primary_key=True)
    last_heard = models.DateTimeField()
    told_at = models.DateTimeField()

    class Meta:
        ordering = ["service"]

    def __str__(self) -> str:
        return f"{self.service} since {self.last_heard}"
