from __future__ import annotations

from django.apps import AppConfig


class HealingConfig(AppConfig):
    name = "healing"

    def ready(self) -> None:
        from healing.selectors import report, trend
        from healing.services.retention import RUNS_KEPT

        trend.register()
        report.register(RUNS_KEPT)
