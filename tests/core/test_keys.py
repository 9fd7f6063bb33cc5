from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from resilience_site.core import keys
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Scope
from resilience_site.core.keys import KeyCache, KeyInfo, key_check, key_create, key_revoke
from resilience_site.core.models import ApiKey, AuditEntry
from resilience_site.core.problems import Invalid, NotFound

pytestmark = pytest.mark.django_db

OWNER = Actor.system("test")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _fresh_cache() -> None:
    keys.cache_clear()


def make(scope: Scope = Scope.READ) -> tuple[ApiKey, str]:
    return key_create(name="ci", scope=scope, actor=OWNER)


@pytest.mark.parametrize("scope", list(Scope))
def test_a_token_names_its_scope_and_opens_it(scope: Scope) -> None:
    key, token = make(scope)
    assert token.startswith(f"rcp_{scope.value[0]}_")
    assert key_check(token) == KeyInfo(key.pk, "ci", scope, None)


def test_the_token_itself_is_not_kept() -> None:
    key, token = make()
    row = ApiKey.objects.values().get(pk=key.pk)
    assert token not in repr(row)
    assert len(bytes(row["hash"])) == 32
    assert len(row["prefix"]) < len(token) / 3


def test_tokens_differ() -> None:
    assert make()[1] != make()[1]


@pytest.mark.parametrize("wrong", ["", "nonsense", "rcp_r_", "\udcff", "é" * 100, "\0"])
def test_a_wrong_token_is_refused(wrong: str) -> None:
    make()
    assert key_check(wrong) is None


def test_a_revoked_key_is_refused_at_once_where_it_was_revoked() -> None:
    key, token = make()
    assert key_check(token)
    key_revoke(key_id=key.pk, actor=OWNER, reason="leaked")
    assert key_check(token) is None


def test_another_process_refuses_a_revoked_key_within_five_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key, token = make()
    clock = 1000.0
    monkeypatch.setattr("resilience_site.core.keys.time.monotonic", lambda: clock)
    assert key_check(token)
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=NOW)
    assert key_check(token), "a cached answer"
    clock += 5.0
    assert key_check(token) is None


def test_an_expired_key_is_refused_even_while_cached() -> None:
    key, token = key_create(
        name="x", scope="read", actor=OWNER, expires_at=datetime.now(UTC) + timedelta(hours=1)
    )
    assert key_check(token)
    ApiKey.objects.filter(pk=key.pk).update(expires_at=NOW)
    keys.cache_clear()
    assert key_check(token) is None
    expired = KeyInfo(key.pk, "x", Scope.READ, NOW)
    keys._cache.put(keys.token_hash(token), expired, keys.time.monotonic())
    assert key_check(token) is None


@pytest.mark.usefixtures("kept_keys")
def test_checks_are_cached_refusals_too() -> None:
    _, token = make()
    key_check(token)
    key_check("nonsense")
    with CaptureQueriesContext(connection) as queries:
        key_check(token)
        key_check("nonsense")
    assert len(queries) == 0


def test_the_cache_is_bounded_and_wrong_tokens_do_not_push_out_right_ones() -> None:
    cache = KeyCache(seconds=10, size=3)
    known = KeyInfo(1, "n", Scope.READ, None)
    cache.put(b"good", known, 0.0)
    for number in range(100):
        cache.put(str(number).encode(), None, 0.0)
    assert cache.get(b"good", 1.0) == (True, known)
    assert cache.get(b"0", 1.0) == (False, None)
    assert cache.get(b"99", 1.0) == (True, None)
    assert cache.get(b"good", 10.0) == (False, None)


def test_last_use_is_noted_at_most_once_a_minute() -> None:
    key, token = make()
    key_check(token)
    key.refresh_from_db()
    first = key.last_used_at
    assert first is not None
    keys.cache_clear()
    key_check(token)
    key.refresh_from_db()
    assert key.last_used_at == first
    ApiKey.objects.update(last_used_at=first - timedelta(minutes=1, seconds=1))
    keys.cache_clear()
    key_check(token)
    key.refresh_from_db()
    assert key.last_used_at is not None
    assert key.last_used_at >= first


@pytest.mark.usefixtures("kept_keys")
def test_a_dead_database_is_not_mistaken_for_a_wrong_key(monkeypatch: pytest.MonkeyPatch) -> None:
    _, token = make()
    key_check(token)

    def down(*_: object) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(keys, "_look_up", down)
    assert key_check(token), "cached answers go on"
    with pytest.raises(OperationalError):
        key_check("another")


@pytest.mark.usefixtures("kept_keys")
async def test_the_event_loop_is_not_blocked_by_a_cached_check() -> None:
    info = KeyInfo(1, "n", Scope.INGEST, None)
    keys._cache.put(keys.token_hash("cached"), info, keys.time.monotonic())
    coroutine = keys.key_check_async("cached")
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    assert ended.value.value == info


def test_making_and_revoking_is_audited_without_the_token() -> None:
    key, token = make(Scope.OPERATE)
    key_revoke(key_id=key.pk, actor=Actor.system("someone"), reason="leaked")
    key_revoke(key_id=key.pk, actor=Actor.system("someone"), reason="again")
    revoked, created = AuditEntry.objects.filter(object_type="api_key", object_id=str(key.pk))
    assert (created.action, created.after) == ("key.create", {"name": "ci", "scope": "operate"})
    assert (revoked.action, revoked.actor, revoked.reason) == ("key.revoke", "someone", "leaked")
    assert token not in repr(AuditEntry.objects.values())


def test_a_key_without_use_is_refused() -> None:
    with pytest.raises(Invalid):
        key_create(name=" ", scope="read", actor=OWNER)
    with pytest.raises(Invalid):
        key_create(name="x", scope="read", actor=OWNER, expires_at=NOW)
    with pytest.raises(Invalid):
        key_create(name="x", scope="read", actor=OWNER, token="short")
    with pytest.raises(NotFound):
        key_revoke(key_id=0, actor=OWNER)


@pytest.mark.django_db(transaction=True)
def test_a_locked_row_does_not_hold_up_the_check() -> None:
    key, token = make()
    import threading

    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            ApiKey.objects.select_for_update().get(pk=key.pk)
            locked.set()
            done.wait(60)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert locked.wait(60)
    assert key_check(token), "it would time out if it waited for the lock"
    done.set()
    thread.join()
