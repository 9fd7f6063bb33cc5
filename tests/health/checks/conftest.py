"""Fixtures for the kinds of checks."""

from __future__ import annotations

from tests.health.checks.leaks import nothing_left_behind

__all__ = ["nothing_left_behind"]
