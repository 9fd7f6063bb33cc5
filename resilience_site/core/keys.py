"""API keys: made, revoked, and checked on every request of a machine."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from django.db import transaction
from django.db.models import Q

from resilience_site.core import journal
from resilience_site.core.answering import Line, answered
from resilience_site.core.audit import Actor, audit_record
from resilience_site.core.choices import Scope
from resilience_site.core.models import ApiKey
from resilience_site.core.problems import Invalid, NotFound

# With the lookup's own time it stays below the promised five seconds until a revocation bites.
CACHE_SECONDS: Final = 4.0
CACHE_SIZE: Final = 2048
LAST_USED_STEP: Final = timedelta(minutes=1)
MINIMUM_TOKEN_LENGTH: Final = 16


class KeyInfo(NamedTuple):
    """What a request may know of the key that it came with."""

    id: int
    name: str
    scope: Scope
    expires_at: datetime | None


class KeyCache:
    """Answers of the last few seconds by token hash, refusals included; bounded."""

    def __init__(self, seconds: float = CACHE_SECONDS, size: int = CACHE_SIZE) -> None:
        self._seconds = seconds
        self._size = size
        self._lock = threading.Lock()
        # Apart, so that a flood of wrong tokens cannot push out the right ones.
        self._known: OrderedDict[bytes, tuple[float, KeyInfo | None]] = OrderedDict()
        self._refused: OrderedDict[bytes, tuple[float, KeyInfo | None]] = OrderedDict()

    def get(self, digest: bytes, now: float) -> tuple[bool, KeyInfo | None]:
        """(whether an answer is cached, the answer) at monotonic time `now`."""
        with self._lock:
            for entries in (self._known, self._refused):
                entry = entries.get(digest)
                if entry is not None and now < entry[0]:
                    return True, entry[1]
        return False, None

    def put(self, digest: bytes, info: KeyInfo | None, now: float) -> None:
        entries, others = (
            (self._refused, self._known) if info is None else (self._known, self._refused)
        )
        with self._lock:
            others.pop(digest, None)
            entries[digest] = (now + self._seconds, info)
            entries.move_to_end(digest)
            while len(entries) > self._size:
                entries.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._known.clear()
            self._refused.clear()


_cache = KeyCache()


def token_make(scope: Scope) -> str:
    """A new token of 256 random bits; its start lets secret scanners find it."""
    return f"rcp_{scope.value[0]}_{secrets.token_urlsafe(32)}"


def token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()


def key_create(
    *,
    name: str,
    scope: Scope | str,
    actor: Actor,
    expires_at: datetime | None = None,
    token: str | None = None,
) -> tuple[ApiKey, str]:
    """Make a key; the returned token is not kept and cannot be shown again.

    A `token` given by the operator's configuration is used as it is. Raises `Invalid`.
    """
    scope = Scope(scope)
    if not name.strip():
        raise Invalid.field("body.name", "A key needs a name.")
    key_expiry_check(expires_at)
    if token is not None and len(token) < MINIMUM_TOKEN_LENGTH:
        raise Invalid.field(
            "body.token", f"A token has at least {MINIMUM_TOKEN_LENGTH} characters."
        )
    token = token or token_make(scope)
    with transaction.atomic():
        key = ApiKey.objects.create(
            name=name.strip(),
            # A token that somebody chose has no public start; show less of it.
            prefix=token[:10] if token.startswith("rcp_") else token[:4],
            hash=token_hash(token),
            scope=scope,
            created_by=actor.name,
            expires_at=expires_at,
        )
        audit_record(
            actor=actor,
            action="key.create",
            object_type="api_key",
            object_id=key.pk,
            until=expires_at,
            after={"name": key.name, "scope": key.scope},
        )
    # The same token may have been refused a moment ago.
    _cache.clear()
    return key, token


def key_expiry_check(expires_at: datetime | None) -> None:
    """Raise `Invalid` for an expiry that has passed already."""
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise Invalid.field("body.expires_at", "A key's expiry must lie in the future.")


def key_revoke(*, key_id: int, actor: Actor, reason: str = "") -> ApiKey:
    """Revoke a key for good; all web processes refuse it within five seconds. Raises `NotFound`."""
    with transaction.atomic():
        key = ApiKey.objects.select_for_update().filter(pk=key_id).first()
        if key is None:
            raise NotFound(f"There is no API key {key_id}.")
        if key.revoked_at is None:
            key.revoked_at = datetime.now(UTC)
            key.save(update_fields=["revoked_at"])
            audit_record(
                actor=actor,
                action="key.revoke",
                object_type="api_key",
                object_id=key.pk,
                reason=reason,
                before={"name": key.name, "scope": key.scope},
            )
            told = {"name": key.name, "prefix": key.prefix}
            journal.append([journal.Entry("ingest", "key.retired", str(key.pk), payload=told)])
    _cache.clear()
    return key


def key_check(token: str) -> KeyInfo | None:
    """The usable key that `token` belongs to, or None; an answer may be five seconds old.

    Raises the database's error when it is down and nothing is cached.
    """
    digest = token_hash(token)
    found, info = _cache.get(digest, time.monotonic())
    if not found:
        info = _look_up(digest)
        _cache.put(digest, info, time.monotonic())
    return _unexpired(info)


async def key_check_async(token: str) -> KeyInfo | None:
    """`key_check` for the event loop: only a miss of the cache goes to a thread, and nobody waits
    for a database that hangs."""
    found, info = _cache.get(token_hash(token), time.monotonic())
    if found:
        return _unexpired(info)

    def check(line: Line) -> KeyInfo | None:
        with line:
            return key_check(token)

    return await answered(check)


def cache_clear() -> None:
    """Forget every cached answer of this process."""
    _cache.clear()


def _unexpired(info: KeyInfo | None) -> KeyInfo | None:
    if info is None or (info.expires_at is not None and datetime.now(UTC) >= info.expires_at):
        return None
    return info


def _look_up(digest: bytes) -> KeyInfo | None:
    now = datetime.now(UTC)
    key = ApiKey.objects.filter(hash=digest).first()
    if key is None or not hmac.compare_digest(bytes(key.hash), digest) or not key.usable(now):
        return None
    if key.last_used_at is None or now - key.last_used_at >= LAST_USED_STEP:
        _touch(key.pk, now)
    return KeyInfo(key.pk, key.name, Scope(key.scope), key.expires_at)


def _touch(key_id: int, now: datetime) -> None:
    # Two processes may come here at once, or somebody may be revoking the key: whoever finds the
    # row locked leaves the note to the other instead of waiting.
    unused_since = Q(last_used_at=None) | Q(last_used_at__lte=now - LAST_USED_STEP)
    with transaction.atomic():
        row = (
            ApiKey.objects.select_for_update(skip_locked=True)
            .filter(unused_since, pk=key_id)
            .first()
        )
        if row is not None:
            row.last_used_at = now
            row.save(update_fields=["last_used_at"])
