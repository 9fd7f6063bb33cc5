"""Heartbeats that push checks are sent: found by the token in their address, bounded in rate."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from datetime import datetime
from typing import Final
from uuid import UUID

from breakers.runtime.rate_limit import RateLimit
from health.choices import ResultStatus
from health.models import Check
from health.services.results import push_receive
from health.services.targets import token_digest
from resilience_site.core.problems import Invalid, NotFound, Problem

STATUSES: Final = (ResultStatus.UP, ResultStatus.DEGRADED, ResultStatus.DOWN)
# Of one check and in one process; a burst lets "up" and then "down" pass at once.
RATE: Final = 1.0  # a second
BURST: Final = 10
_MOST_KEPT: Final = 10_000


class TooMany(Problem):
    status = 429

    def __init__(self, seconds: float) -> None:
        super().__init__(f"A check takes {RATE:g} heartbeat a second; this one came too soon.")
        self.headers["Retry-After"] = str(max(1, math.ceil(seconds)))


_limits: OrderedDict[UUID, RateLimit] = OrderedDict()
_lock = threading.Lock()


def heartbeat_receive(*, token: str, status: str, output: str, now: datetime) -> None:
    """Note a heartbeat and have its check judge it at once.

    Raises `NotFound` for a token that no check has, `Invalid` for a status that is none, and
    `TooMany`.
    """
    if status not in STATUSES:
        raise Invalid.field("query.status", f"The status is one of {', '.join(STATUSES)}.")
    # The token is looked up by its digest, so how long that takes tells nothing of any other.
    digest = token_digest(token)
    check_id = Check.objects.filter(push_digest=digest).values_list("id", flat=True).first()
    if check_id is None:
        raise NotFound("No check has this address.")
    wait = _limit(check_id).try_start()
    if wait:
        raise TooMany(wait)
    push_receive(check_id=check_id, status=status, output=output, now=now)


def _limit(check_id: UUID) -> RateLimit:
    with _lock:
        limit = _limits.setdefault(check_id, RateLimit(RATE, BURST))
        _limits.move_to_end(check_id)
        while len(_limits) > _MOST_KEPT:
            _limits.popitem(last=False)
        return limit
