"""The stock admin's view of the control plane: what services tell, read only, and what people
decide, changed by the same services as on the screens."""

from __future__ import annotations

from breakers.admin import forcing, steering, telemetry

__all__ = ["forcing", "steering", "telemetry"]
