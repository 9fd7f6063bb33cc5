from __future__ import annotations

from django.apps import AppConfig


class BreakersConfig(AppConfig):
    name = "breakers"

    def ready(self) -> None:
        # Whoever makes, empties or drops partitions must know these tables, whatever it imports.
        from breakers.models import partitions  # noqa: F401
        from breakers.services import ingest

        ingest.register()
