"""What a prober has claimed and not reported yet: begun runs, and finished ones until they are stored."""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from django.db import DatabaseError, DataError, IntegrityError, InterfaceError

from health.choices import ResultStatus
from health.services.claims import Claim, release
from health.services.results import Result, results_record

log = logging.getLogger(__name__)

LARGEST_BATCH: Final = 1_000
# SQLSTATE of what is too large or too deeply nested for PostgreSQL.
_LIMIT_EXCEEDED: Final = "54"


class Ledger:
    """Claims are entered by the store, results by the event loop."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._lock = threading.Lock()
        self._claimed: dict[tuple[UUID, int], Claim] = {}
        self._finished: deque[Result] = deque()

    @property
    def running(self) -> int:
        """Claims whose run has not come to an end."""
        with self._lock:
            return len(self._claimed) - len(self._finished)

    def enter(self, claims: Sequence[Claim]) -> None:
        """Claims that are going to be run."""
        with self._lock:
            self._claimed.update({_key(each): each for each in claims})

    def finish(self, result: Result) -> None:
        """A run came to its end."""
        with self._lock:
            self._finished.append(result)

    def write(self) -> bool:
        """Store everything that is finished; whether anything was.

        A result that cannot be stored is replaced by an error of the check, so that it holds up no
        other. Raises what says that the database is away; nothing is lost then.
        """
        wrote = False
        while batch := self._first():
            try:
                self._record(batch)
            except Exception as error:
                if not _is_spoilt(error):
                    raise
                for result in batch:
                    self._record_alone(result)
            with self._lock:
                for result in batch:
                    self._finished.popleft()
                    self._claimed.pop(_key(result.claim), None)
            wrote = True
        return wrote

    def release(self) -> None:
        """Give back every claim whose result is not stored."""
        with self._lock:
            claims = list(self._claimed.values())
        release(claims=claims)

    def _first(self) -> list[Result]:
        with self._lock:
            return [self._finished[n] for n in range(min(LARGEST_BATCH, len(self._finished)))]

    def _record(self, results: Sequence[Result]) -> None:
        results_record(results=results, now=datetime.now(UTC), rng=self._rng)

    def _record_alone(self, result: Result) -> None:
        try:
            self._record([result])
        except Exception as error:
            if not _is_spoilt(error):
                raise
            log.exception("a result of check %s cannot be stored", result.claim.name)
            self._record_error(result, error)

    def _record_error(self, result: Result, error: Exception) -> None:
        words = f"internal error: its result could not be stored: {type(error).__name__}"
        bare = replace(
            result,
            status=ResultStatus.INTERNAL_ERROR,
            output=words,
            latency_ms=None,
            observed={},
            memory=None,
        )
        try:
            self._record([bare])
        except Exception as again:
            if not _is_spoilt(again):
                raise
            # Its claim ends by itself, and the check is run again.
            log.exception("nothing can be stored of check %s", result.claim.name)


def _key(claim: Claim) -> tuple[UUID, int]:
    return claim.check_id, claim.fence


def _is_spoilt(error: Exception) -> bool:
    """Whether trying again would fail again, because of what is to be stored."""
    if isinstance(error, DataError | IntegrityError):
        return True
    if isinstance(error, DatabaseError | InterfaceError):
        return str(getattr(error.__cause__, "sqlstate", "") or "").startswith(_LIMIT_EXCEEDED)
    return True
