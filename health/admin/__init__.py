"""The stock admin's view of health: what is known of checks, read only, and what people decide,
changed by the same services as on the screens."""

from __future__ import annotations

from health.admin import checks, history, planned

__all__ = ["checks", "history", "planned"]
