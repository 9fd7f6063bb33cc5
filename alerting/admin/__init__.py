"""The stock admin's view of alerting, read only: what people decide is changed on the screens."""

from __future__ import annotations

from alerting.admin import alerts, delivery, incidents

__all__ = ["alerts", "delivery", "incidents"]
