"""Silences: made for a time, ended before it; they cannot be endless."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from alerting.domain.matchers import (
    Matcher,
    MatcherError,
    matchers_json,
    matchers_read,
    matchers_text,
    matches_everything,
)
from alerting.models import Silence
from resilience_site.core import journal
from resilience_site.core.audit import Actor, audit_record, refusals_audited
from resilience_site.core.choices import Topic
from resilience_site.core.problems import Invalid, NotFound

LONGEST: Final = timedelta(days=30)
SHORTEST: Final = timedelta(seconds=60)
MOST_REASON: Final = 1_000
# Each alert that fires is held against all of them.
MOST_OPEN: Final = 500
_OBJECT: Final = "silence"
_SUCH_AS: Final = "2026-01-31T08:00Z"


def silence_create(
    *,
    matchers: Any,
    reason: Any,
    ends_at: Any = None,
    ends_in: Any = None,
    starts_at: Any = None,
    actor: Actor,
    now: datetime,
) -> Silence:
    """Silence the alerts that match from `starts_at` (now where None) to `ends_at`, or for
    `ends_in` seconds. Raises `Invalid` that names the field."""
    with (
        refusals_audited(actor=actor, action="silence.create", object_type=_OBJECT, object_id=""),
        transaction.atomic(),
    ):
        read = silence_matchers(matchers)
        begins, ends = silence_times(starts_at, ends_at, ends_in, now)
        if Silence.objects.filter(ends_at__gt=now).count() >= MOST_OPEN:
            raise Invalid(
                f"There are {MOST_OPEN} silences that are not over, the most there may be: end "
                "some, or silence more with one."
            )
        silence = Silence.objects.create(
            matchers=matchers_json(read),
            starts_at=begins,
            ends_at=ends,
            reason=_reason(reason),
            actor=actor.name,
            created_at=now,
        )
        audit_record(
            actor=actor,
            action="silence.create",
            object_type=_OBJECT,
            object_id=silence.id,
            reason=silence.reason,
            until=ends,
            after={"matchers": matchers_text(read), "starts_at": begins.isoformat()},
        )
        journal.append([_entry(silence, "silence.created")])
    return silence


def silence_end(*, silence_id: UUID, reason: Any = "", actor: Actor, now: datetime) -> Silence:
    """End a silence now; one that has not begun never does. What it holds is told again.

    Raises `NotFound`, and `Invalid` for one that is over.
    """
    with (
        refusals_audited(
            actor=actor, action="silence.end", object_type=_OBJECT, object_id=silence_id
        ),
        transaction.atomic(),
    ):
        silence = Silence.objects.select_for_update().filter(pk=silence_id).first()
        if silence is None:
            raise NotFound(f"There is no silence {silence_id}.")
        if silence.ends_at <= now:
            raise Invalid("The silence is over already.")
        before = {"ends_at": silence.ends_at.isoformat()}
        silence.starts_at = min(silence.starts_at, now)
        silence.ends_at = now
        silence.ended_by = actor.name
        silence.save(update_fields=["starts_at", "ends_at", "ended_by"])
        audit_record(
            actor=actor,
            action="silence.end",
            object_type=_OBJECT,
            object_id=silence.id,
            reason=_text(reason),
            before=before,
            after={"ends_at": now.isoformat()},
        )
        journal.append([_entry(silence, "silence.ended")])
    return silence


def silence_matchers(given: Any) -> tuple[Matcher, ...]:
    """The matchers of a silence. Raises `Invalid`: also for some that would silence everything."""
    try:
        read = matchers_read(given)
    except MatcherError as error:
        raise Invalid.field("matchers", str(error)) from None
    if not read or matches_everything(read):
        raise Invalid.field(
            "matchers", "Name a label that an alert must have: this would silence every alert."
        )
    return read


def silence_times(
    starts_at: Any, ends_at: Any, ends_in: Any, now: datetime
) -> tuple[datetime, datetime]:
    """From when to when; a beginning in the past is now. Raises `Invalid`."""
    begins = max(_moment("starts_at", starts_at) or now, now)
    if ends_in is not None:
        if ends_at is not None:
            raise Invalid.field("ends_in", "Give either ends_in or ends_at.")
        ends = begins + _length(ends_in)
    else:
        given = _moment("ends_at", ends_at)
        if given is None:
            raise Invalid.field("ends_in", "A silence needs an end: ends_in (seconds) or ends_at.")
        ends = given
    name = "ends_at" if ends_in is None else "ends_in"
    if ends < now:
        raise Invalid.field(name, "A silence must end in the future.")
    if ends - begins < SHORTEST:
        since = "its beginning" if begins > now else "now"
        raise Invalid.field(
            name, f"A silence lasts at least {SHORTEST.seconds} seconds from {since}."
        )
    if ends - now > LONGEST:
        raise Invalid.field(name, f"A silence ends at most {LONGEST.days} days from now.")
    return begins, ends


def _length(value: Any) -> timedelta:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Invalid.field("ends_in", "ends_in must be a number of seconds.")
    if value < 0:
        raise Invalid.field(
            "ends_in",
            "A silence must end in the future: ends_in are seconds from its beginning on.",
        )
    if not value <= LONGEST.total_seconds():
        raise Invalid.field("ends_in", f"A silence ends at most {LONGEST.days} days from now.")
    return timedelta(seconds=value)


def _moment(field: str, value: Any) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise Invalid.field(field, f"{field} must be a time with its zone, such as {_SUCH_AS}.")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise Invalid.field(field, f"{field} lies beyond all calendars.") from None


def _reason(value: Any) -> str:
    reason = _text(value)
    if not reason:
        raise Invalid.field("reason", "Say why: a reason is needed, for whoever looks later.")
    return reason


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Invalid.field("reason", "reason must be a text.")
    if len(value) > MOST_REASON:
        raise Invalid.field("reason", f"reason has at most {MOST_REASON} characters.")
    if "\0" in value or any("\ud800" <= each <= "\udfff" for each in value):
        raise Invalid.field("reason", "reason holds a character that cannot be stored.")
    return value.strip()


def _entry(silence: Silence, kind: str) -> journal.Entry:
    payload = {
        "matchers": silence.matchers,
        "starts_at": silence.starts_at.isoformat(),
        "ends_at": silence.ends_at.isoformat(),
        "reason": silence.reason,
        "actor": silence.ended_by or silence.actor,
    }
    service = next(
        (each["value"] for each in silence.matchers if each["label"] == "service"
         and each["op"] == "="),
        "",
    )  # fmt: skip
    return journal.Entry(Topic.ALERTS, kind, str(silence.id), "", service, payload)
