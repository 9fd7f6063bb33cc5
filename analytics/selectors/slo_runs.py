"""Runs of checks that were too slow, and all that answered, of objectives of latency.

A run that failed has no latency worth the name: it counts for neither, and is what objectives of
availability are about. The same goes for what ran in maintenance.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import numpy as np

from analytics.models import Slo
from analytics.selectors.slo_sums import Sums
from health.domain.latency import bucket, upper_ms
from health.selectors.runs import AskedRuns, run_bands


def of_runs(slos: Sequence[Slo], bounds: Sequence[datetime]) -> dict[UUID, Sums]:
    """For each objective the sums up to each of the ascending `bounds`, which are whole minutes, of
    the critical checks that its service has now. At most three queries."""
    if not slos:
        return {}
    asked = [AskedRuns(each.service, bucket(each.threshold_ms or 0.0) + 1) for each in slos]
    found = {}
    for slo, bands in zip(slos, run_bands(asked, bounds), strict=True):
        counts = np.zeros((2, len(bounds)), dtype=np.int64)
        for each in bands:
            # What lies between a bound and the next is within all from the next one on.
            counts[:, each.band + 1] = each.slow, each.runs
        summed = np.cumsum(counts, axis=1)
        found[slo.id] = Sums(summed[0], summed[1])
    return found


def run_slow_from_ms(threshold_ms: float) -> float:
    """From how long on a run counts as too slow, in milliseconds.

    Latencies are counted in buckets whose bounds grow by a tenth. As with calls, all in the bucket
    that the threshold lies in count as quick enough: its bound is at most a tenth above.
    """
    return upper_ms(bucket(threshold_ms))
