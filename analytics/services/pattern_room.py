"""A bounded number of patterns per service: errors beyond it are counted under one pattern.

Patterns that are there keep their errors whatever else arrives; the errors of those for which there
is no room are stored like any other, as members of the service's pattern `(other patterns)`.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime

from django.db import transaction

from analytics.domain.fingerprints import MOST_PATTERNS, OTHERS, OTHERS_RULE, others
from analytics.domain.name_limits import shown_name
from analytics.domain.telemetry import Rejection
from analytics.services.catalogue import Catalogue
from analytics.services.error_store import PreparedError

_MOST_REMEMBERED = 10_000
_log = logging.getLogger(__name__)
# The day on which this process last said that a service has its fill.
_said: dict[str, date] = {}


def errors_fold(
    errors: list[PreparedError], catalogue: Catalogue, at: datetime
) -> list[PreparedError]:
    """The errors, those without room for a pattern of their own as such of `(other patterns)`.

    Runs inside the caller's transaction, before the errors and their patterns are written.
    """
    keys: dict[str, dict[str, None]] = {}
    for error in errors:
        if error.group is not None:
            keys.setdefault(error.record.resource.service, {})[error.group.key.hex] = None
    admitted: set[str] = set()
    full = []
    # In the order of services, so that two writers never wait for each other in a circle.
    for service, wanted in sorted(keys.items()):
        fit = catalogue.fit(service, wanted, at)
        catalogue.remember(fit.present | fit.made)
        admitted |= fit.admitted
        if len(fit.admitted) < len(wanted):
            full.append(service)
    if not full:
        return errors
    transaction.on_commit(lambda: _say(full, at.date()))
    groups = {service: others(service) for service in full}
    return [
        error
        if error.group is None or error.group.key.hex in admitted
        else error._replace(group=groups[error.record.resource.service])
        for error in errors
    ]


def warnings_of(errors: Iterable[PreparedError]) -> list[Rejection]:
    """What the sender of errors is told of those that were folded; none of them is refused."""
    folded = Counter(
        error.record.resource.service
        for error in errors
        if error.group is not None and error.group.rule == OTHERS_RULE
    )
    return [
        Rejection(
            0,
            f"{count} errors of service {service} are beyond its limit of {MOST_PATTERNS} patterns "
            f'and were counted under "{OTHERS}"; send what varies as attributes, not in exception '
            "types and messages",
        )
        for service, count in sorted(folded.items())
    ]


def _say(services: Iterable[str], today: date) -> None:
    if len(_said) > _MOST_REMEMBERED:
        _said.clear()
    for service in services:
        if _said.get(service) != today:
            _said[service] = today
            _log.warning(
                'Service %s has %d patterns of errors, the most that are kept apart: its errors of '
                'further ones are counted under "%s".',
                shown_name(service), MOST_PATTERNS, OTHERS,
            )  # fmt: skip
