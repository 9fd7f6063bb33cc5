"""What actions share that work through the services of the site: who acts, why, and on what."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final, TypeVar

from breakers.models import ControlDocument, Instance
from breakers.selectors.instances import live_instances
from breakers.selectors.names import breaker_locate
from healing.actions.base import ActionFailed, Context
from healing.choices import TargetKind
from health.checks.options import OptionError
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Role
from resilience_site.core.problems import Conflict, Problem, Unavailable

T = TypeVar("T")

# Who the audit trail says did it. The reason names the run, and the run who asked for it.
HEALER: Final = Actor.system("healing")
# The site decides like an administrator; guardrails hold it back, not roles.
ROLE: Final = Role.ADMIN
# Of what it decides: it lasts no longer, even where a run is lost that would take it back.
SHORTEST, LONGEST = 1.0, 86_400.0
# How often the site's tables are looked at for what somebody else writes there.
POLL: Final = 0.25
# How long instances are given to hear of a decision; services ask for their document all the time.
HEARD: Final = 5.0
_MOST_REASON: Final = 1_000


def reason_of(context: Context) -> str:
    """Why, with what the run says of itself."""
    subject = context.subject
    text = context.reason or f"healing of {subject.name or subject.service}"
    return text[:_MOST_REASON]


def service_of(given: str, context: Context) -> str:
    """The service that is meant: the one given, or the target's."""
    return given or context.subject.service


def breaker_of(given: str, context: Context) -> tuple[str, str]:
    """Service and name of the breaker that is meant: `name`, `service/name`, or the target.

    Raises `ActionFailed` where none is.
    """
    subject = context.subject
    if not given:
        if subject.kind != TargetKind.BREAKER:
            raise ActionFailed("No breaker is named, and the target is none", permanent=True)
        return breaker_locate(subject.name)
    return breaker_locate(given) if "/" in given else (subject.service, given)


def require_seconds(option: str, value: float) -> None:
    """Raises `OptionError` for an end that a decision cannot have."""
    if not SHORTEST <= value <= LONGEST:
        raise OptionError(option, f"must be from {SHORTEST:g} to {LONGEST:g} seconds")


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """What a service of the site refuses in the block is a failed act, for good but for a site
    whose database is away, and for what somebody changed right then: that is looked at anew."""
    try:
        yield
    except Problem as problem:
        permanent = not isinstance(problem, (Unavailable, Conflict))
        raise ActionFailed(problem.detail, permanent=permanent) from problem


def waited(
    holds: Callable[[], T | None], context: Context, seconds: float | None = None
) -> T | None:
    """What `holds` gives once that is something, or None after `seconds` (all that are left)."""
    until = context.deadline
    if seconds is not None:
        until = min(until, context.clock() + seconds)
    while True:
        found = holds()
        if found is not None or context.clock() >= until:
            return found
        context.pause(min(POLL, max(0.01, until - context.clock())))


def heard(service: str, context: Context) -> str:
    """Wait a moment until the instances that live work by the present control document, and tell
    how many do. One that hangs is not waited for longer than that."""
    version = ControlDocument.objects.filter(service=service).values_list("version", flat=True)
    wanted = version.first() or 0

    def standing() -> tuple[int, int]:
        instances = live_instances(context.now(), service)
        applied = instances.filter(applied_version__gte=wanted)
        return applied.count(), instances.count()

    def all_of_them() -> tuple[int, int] | None:
        applied, living = standing()
        return (applied, living) if applied == living else None

    applied, living = waited(all_of_them, context, HEARD) or standing()
    if not living:
        return f"No instance of {service} reports at the moment"
    return f"{applied} of {living} instances work by it"


def living(service: str, context: Context) -> list[Instance]:
    """The instances of a service that report, the one that has run longest first."""
    rows = live_instances(context.now(), service)
    return sorted(rows, key=lambda each: (each.started_at or each.first_seen, each.instance))


def seconds_left(until: datetime | None, now: datetime) -> float | None:
    """How long something still lasts that ends at `until`: None for ever, 0 where it is over."""
    return None if until is None else max(0.0, (until - now) / timedelta(seconds=1))


def lasting(seconds: float) -> str:
    """`for 30 s`, `for 10 min`, `for 2 h`."""
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= size and seconds % size == 0:
            return f"for {seconds / size:g} {unit}"
    return f"for {seconds:g} s"
