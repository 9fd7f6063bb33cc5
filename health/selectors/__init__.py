"""Reads of the catalogue, the checks and their graph."""

from __future__ import annotations

from health.selectors.catalogue import service_get, service_list

__all__ = ["service_get", "service_list"]
