"""The client library of the resilience control plane: plain Python, for any service."""

from __future__ import annotations
