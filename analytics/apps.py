from __future__ import annotations

from django.apps import AppConfig


class AnalyticsConfig(AppConfig):
    name = "analytics"

    def ready(self) -> None:
        # Whoever makes, empties or drops partitions must know these tables, whatever it imports.
        from analytics.models import partitions  # noqa: F401
        from analytics.services import sign_tap

        sign_tap.register()
