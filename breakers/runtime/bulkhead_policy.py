"""What a bulkhead works by, and what the site gives it in place of that."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from breakers.runtime import checks
from breakers.runtime.policy_fields import document_fields
from breakers.runtime.reports import Reports
from breakers.runtime.variables import ConfigError

if TYPE_CHECKING:
    from breakers.runtime.bulkhead import Bulkhead

logger = logging.getLogger(__name__)

MAX_WAIT = 1.0
_ENTRY_FIELDS = ("policy",)


@dataclass(frozen=True, slots=True)
class BulkheadPolicy:
    """Calls at once, calls that wait, and the seconds that they wait for (None: without an end)."""

    max_concurrent_calls: int
    max_queue: int = 0
    max_wait: float | None = MAX_WAIT

    def __post_init__(self) -> None:
        checks.count("max_concurrent_calls", self.max_concurrent_calls)
        checks.count("max_queue", self.max_queue, minimum=0)
        if self.max_wait is not None:
            checks.seconds("max_wait", self.max_wait, zero=True)


BULKHEAD_FIELDS = tuple(BulkheadPolicy.__dataclass_fields__)
BULKHEAD_SIZES = ("max_concurrent_calls", "max_queue")


class SiteTuning:
    """The `bulkheads` of the control document that came last: name → `policy`."""

    def __init__(self) -> None:
        self._entries: Mapping[str, Any] = {}
        self._reports = Reports(logger)

    def take(self, document: Mapping[str, Any]) -> bool:
        """Go by this document from now on; false for one that has nothing to go by."""
        entries = document.get("bulkheads")
        if not isinstance(entries, Mapping):
            self._reports.once("shape", "The control document has no usable bulkheads: %r", entries)
            return False
        self._entries = entries
        return True

    def settle(self, name: str, bulkhead: Bulkhead) -> None:
        """Have the bulkhead work by what the site gives it, or by its own settings again.

        What this library does not know is reported in the log and left out; a policy with a value
        that cannot work has no effect.
        """
        entry = self._entries.get(name)
        if isinstance(entry, Mapping):
            self._reports.unknown("A bulkhead of the control document", entry, _ENTRY_FIELDS)
        try:
            bulkhead.tune(
                document_fields(
                    entry, "bulkhead", name, BULKHEAD_FIELDS, BULKHEAD_SIZES, self._reports
                )
            )
        except ConfigError as error:
            self._reports.once(f"policy {name} {error}", "Policy of bulkhead %r: %s", name, error)
