from __future__ import annotations

from django.apps import AppConfig


class HealingConfig(AppConfig):
    name = "healing"

    def ready(self) -> None:
        from healing.selectors import trend

        trend.register()
