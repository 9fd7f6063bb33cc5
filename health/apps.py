from __future__ import annotations

from django.apps import AppConfig


class HealthConfig(AppConfig):
    name = "health"

    def ready(self) -> None:
        # Whoever makes, empties or drops partitions must know these tables, whatever it imports.
        from health.models import partitions  # noqa: F401
