"""The figures that conditions can compare."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Figure:
    """A figure that conditions compare, from 0 to `most`: `of_calls` says whether windows with few
    calls can be left out."""

    title: str
    unit: str
    of_calls: bool = False
    most: float = math.inf

    @property
    def measured(self) -> str:
        """What its values are, for whoever writes a threshold."""
        return f"a share from 0 to {self.most:g}" if self.unit == "1" else self.unit


FIGURES: Final[Mapping[str, Figure]] = {
    "error_rate": Figure("Errors per call", "1", of_calls=True, most=1.0),
    "errors": Figure("Stored errors", "errors"),
    "calls": Figure("Calls", "calls"),
    "latency_p95": Figure("95th percentile of latency", "ms", of_calls=True),
    "chains": Figure("Correlation chains", "chains"),
}
