"""Runs checks: continuously in a worker, or one at once for whoever asks."""

from __future__ import annotations

from health.prober.process import keep_probing, run_now, stop_probing

__all__ = ["keep_probing", "run_now", "stop_probing"]
