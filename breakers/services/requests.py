"""What people ask for, checked before anything is written."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from resilience_site.config import config
from resilience_site.core.choices import Role
from resilience_site.core.problems import Forbidden, Invalid

LONGEST_SECONDS = 86_400
MAX_TEXT = 1_000


def operator_needed(role: Role | None) -> None:
    """Raise `Forbidden` for whoever may only look."""
    if role not in (Role.OPERATOR, Role.ADMIN):
        raise Forbidden("This needs the role operator; a viewer may only look.")


def reason_checked(reason: Any, *, needed: bool = True) -> str:
    """The reason without what stands around it. Raises `Invalid`."""
    text = reason if isinstance(reason, str) else ""
    text = text.replace("\0", "").strip()
    if reason is not None and not isinstance(reason, str):
        raise Invalid.field("body.reason", "The reason must be a text.")
    if needed and not text:
        raise Invalid.field("body.reason", "Say why: a reason is needed, for whoever looks later.")
    if len(text) > MAX_TEXT:
        raise Invalid.field("body.reason", f"A reason has at most {MAX_TEXT} characters.")
    return text


def text_checked(value: Any, field: str, most: int = MAX_TEXT) -> str:
    """A text of at most `most` characters, empty where it is None. Raises `Invalid`."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Invalid.field(f"body.{field}", f"{field} must be a text.")
    text = value.replace("\0", "").strip()
    if len(text) > most:
        raise Invalid.field(f"body.{field}", f"{field} has at most {most} characters.")
    return text


def longest_seconds(role: Role | None) -> int:
    """How long a decision of this role may hold, in seconds."""
    return LONGEST_SECONDS if role is Role.ADMIN else config.resilience_operator_override_seconds


def expiry_checked(
    expires_in: Any, role: Role | None, now: datetime, *, needed: bool = True
) -> datetime | None:
    """When a decision ends; None where it need not. Raises `Invalid`."""
    if expires_in is None and not needed:
        return None
    longest = longest_seconds(role)
    if expires_in is None:
        raise Invalid.field(
            "body.expires_in", f"An expiry is needed: 1 to {longest} seconds from now."
        )
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float):
        raise Invalid.field("body.expires_in", "expires_in must be a number of seconds.")
    if not expires_in >= 1:
        raise Invalid.field(
            "body.expires_in", "The expiry must lie in the future: 1 second or more."
        )
    if expires_in > longest:
        who = str(role) if role else "key"
        raise Invalid.field(
            "body.expires_in",
            f"An expiry lies at most {longest} seconds ahead for the role {who}.",
        )
    return now + timedelta(seconds=expires_in)


def choice_checked(value: Any, allowed: list[str], field: str, what: str) -> str:
    """`value`, if it is one of `allowed`. Raises `Invalid` that lists them."""
    if not isinstance(value, str) or value not in allowed:
        raise Invalid.field(
            f"body.{field}", f"{value!r} is no {what}; allowed are {', '.join(allowed)}."
        )
    return value
