"""Versions of services, by when they were first seen."""

from __future__ import annotations

from django.db import models


class Release(models.Model):
    """That a service was seen running a version (`service.version`) in an environment."""

    service = models.TextField()
    environment = models.TextField()
    version = models.TextField()
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["service", "environment", "version"], name="release_version"
            )
        ]
        indexes = [models.Index(fields=["-first_seen"], name="release_newest")]

    def __str__(self) -> str:
        return f"{self.service} {self.version}"
