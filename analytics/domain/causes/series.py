"""Series that left what is normal for them: of resources, by the field's names for these."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping

from analytics.domain.causes.incident import Evidence, Finding, Points
from analytics.domain.causes.statistics import middle, share_below, spread

RESOURCE = "resource"
# Names of metrics, as a regular expression without regard to case.
RESOURCE_NAMES = (
    "cpu|mem(ory)?|heap|disk|filesystem|swap|gc|threads?|pool|queue|connections?|utili[sz]ation"
    "|saturation|throttl|descriptors?|inodes?"
)
_RESOURCE = re.compile(RESOURCE_NAMES, re.IGNORECASE)
# Of the node that many services share, or the limit itself, and not of the service.
_SHARED = re.compile(r"node|host|limit|quota", re.IGNORECASE)
_POINTS = 5
_SLACK = 0.05
_COMMON = 0.1


def resources(
    window: Mapping[tuple[str, str], Points], normal: Mapping[tuple[str, str], Points]
) -> list[Finding]:
    """Series of resources above all that is normal; strength is by how many normal spreads."""
    usual = {
        key: values
        for key in window
        if _RESOURCE.search(key[1])
        and not _SHARED.search(key[1])
        and len(values := [value for _, value in normal.get(key, ())]) >= _POINTS
    }
    most = {key: share_below(values, 0.99) for key, values in usual.items()}
    common: dict[str, list[float]] = defaultdict(list)
    for (_, metric), value in most.items():
        common[metric].append(abs(value))
    findings = []
    for key, values in usual.items():
        service, metric = key
        high = max((value for _, value in window[key]), default=-math.inf)
        centre, limit = middle(values), most[key]
        # What is little for other services is little for one that is idle otherwise.
        scale = spread(values) + _SLACK * abs(centre) + _COMMON * middle(common[metric])
        if high <= limit or scale <= 0:
            continue
        text = f"{metric} reached {high:.4g}, normally {centre:.4g} and in 99 % below {limit:.4g}"
        evidence = Evidence(RESOURCE, text, round(high, 6), round(centre, 6))
        findings.append(Finding(service, (high - limit) / scale, evidence))
    return findings
