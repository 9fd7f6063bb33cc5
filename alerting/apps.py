from __future__ import annotations

from django.apps import AppConfig


class AlertingConfig(AppConfig):
    name = "alerting"

    def ready(self) -> None:
        from alerting.selectors import incident_trend

        incident_trend.register()
