"""Writes of the catalogue, the checks and their graph."""

from __future__ import annotations

from health.services.catalogue import Observed, service_observe

__all__ = ["Observed", "service_observe"]
