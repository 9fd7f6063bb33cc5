"""Runs checks: continuously in a worker, or one at once for whoever asks."""

from __future__ import annotations

from health.prober.process import end_probing, keep_probing, run_now, stop_probing
from health.prober.trial import try_once

__all__ = ["end_probing", "keep_probing", "run_now", "stop_probing", "try_once"]
