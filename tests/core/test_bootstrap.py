from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command

from resilience_site.core import keys
from resilience_site.core.bootstrap import bootstrap
from resilience_site.core.choices import Role, Scope
from resilience_site.core.keys import key_check
from resilience_site.core.models import ApiKey, AuditEntry
from resilience_site.core.permissions import role_of

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"
INGEST = "an-ingest-key-of-mine"


@pytest.fixture(autouse=True)
def _fresh_cache() -> None:
    keys.cache_clear()


def run(password: str = PASSWORD, ingest: str = INGEST, operate: str = "") -> list[str]:
    return bootstrap(admin_password=password, tokens={Scope.INGEST: ingest, Scope.OPERATE: operate})


def admin() -> Any:
    return get_user_model().objects.get(username="admin")


def test_a_fresh_database_becomes_usable() -> None:
    run(operate="an-operator-key-of-mine")
    assert set(Group.objects.values_list("name", flat=True)) >= set(Role.values)
    assert admin().check_password(PASSWORD)
    assert admin().is_staff
    assert role_of(admin()) == Role.ADMIN
    for token, scope in [(INGEST, Scope.INGEST), ("an-operator-key-of-mine", Scope.OPERATE)]:
        info = key_check(token)
        assert info is not None
        assert info.scope == scope


def test_a_second_run_changes_nothing() -> None:
    run()
    before = (admin().password, ApiKey.objects.count(), AuditEntry.objects.count())
    assert run() == []
    assert (admin().password, ApiKey.objects.count(), AuditEntry.objects.count()) == before


def test_a_changed_password_rules() -> None:
    run()
    assert run(password="another long password") == ["changed the password of admin"]
    assert admin().check_password("another long password")


def test_a_changed_key_replaces_the_former_one() -> None:
    run()
    run(ingest="a-younger-ingest-key")
    assert key_check(INGEST) is None
    assert key_check("a-younger-ingest-key")


def test_a_revoked_key_does_not_come_back_by_a_restart() -> None:
    run()
    keys.key_revoke(key_id=ApiKey.objects.get().pk, actor=keys.Actor.system("t"))
    assert run() == ["the configured ingest key stays revoked: configure another one"]
    assert key_check(INGEST) is None


def test_without_a_password_or_key_none_is_made() -> None:
    run(password="", ingest="")
    assert not get_user_model().objects.exists()
    assert not ApiKey.objects.exists()


def test_keys_are_made_listed_and_revoked_on_the_command_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call_command("apikey", "create", "ci", "--scope", "read")
    token = capsys.readouterr().out.strip()
    assert key_check(token)
    key = ApiKey.objects.get()
    call_command("apikey", "list")
    listed = capsys.readouterr().out
    assert f"{key.pk}\tci\t{key.prefix}…\tread\tactive" in listed
    assert token not in listed
    call_command("apikey", "revoke", str(key.pk), "--reason", "done")
    assert key_check(token) is None
    capsys.readouterr()
    call_command("apikey", "list")
    assert "revoked" in capsys.readouterr().out


def test_an_impossible_key_is_refused_in_one_sentence() -> None:
    with pytest.raises(CommandError, match="future"):
        call_command("apikey", "create", "x", "--scope", "read", "--expires-at", "2020-01-01")
    with pytest.raises(CommandError, match="no API key"):
        call_command("apikey", "revoke", "0")
