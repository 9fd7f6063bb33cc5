from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client

from resilience_site.core import journal, keys
from resilience_site.core.audit import Actor, audit_record
from resilience_site.core.keys import key_check, key_create
from resilience_site.core.models import ApiKey, AuditEntry

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> Client:
    keys.cache_clear()
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("owner"))
    return client


def test_every_list_can_be_opened_and_searched(owner: Client) -> None:
    audit_record(actor=Actor.system("t"), action="a.b", object_type="x", object_id="findme")
    key_create(name="findme", scope="read", actor=Actor.system("t"))
    with transaction.atomic():
        journal.append([journal.Entry("errors", "test.changed", "findme")])
    for model in ("journalentry", "auditentry", "apikey"):
        page = owner.get(f"/admin/core/{model}/?q=findme")
        assert page.status_code == 200
        assert "findme" in page.content.decode()
        row = re.search(rf'href="(/admin/core/{model}/[0-9]+/change/[^"]*)"', page.content.decode())
        assert row is not None
        assert owner.get(row[1].replace("&amp;", "&")).status_code == 200


def test_the_journal_and_the_audit_trail_cannot_be_written(owner: Client) -> None:
    entry = audit_record(actor=Actor.system("t"), action="a.b", object_type="x", object_id=1)
    for path in ("journalentry/add/", "auditentry/add/", f"auditentry/{entry.pk}/delete/"):
        assert owner.get(f"/admin/core/{path}").status_code == 403
    assert owner.post(f"/admin/core/auditentry/{entry.pk}/change/", {}).status_code == 403


def test_a_new_key_is_shown_once(owner: Client) -> None:
    form: dict[str, Any] = {"name": "ci", "scope": "operate"}
    page = owner.post("/admin/core/apikey/add/", form, follow=True).content.decode()
    shown = re.search(r"rcp_o_[\w-]+", page)
    assert shown is not None
    info = key_check(shown[0])
    assert info is not None
    assert info.name == "ci"
    assert ApiKey.objects.get().created_by == "owner"
    assert shown[0] not in owner.get("/admin/core/apikey/").content.decode()


def test_an_expiry_in_the_past_is_refused_beside_its_field(owner: Client) -> None:
    form = {"name": "ci", "scope": "read", "expires_at_0": "2020-01-01", "expires_at_1": "00:00:00"}
    page = owner.post("/admin/core/apikey/add/", form)
    assert page.status_code == 200
    assert "must lie in the future" in page.content.decode()
    assert not ApiKey.objects.exists()


def test_keys_are_revoked_in_the_list_and_never_altered(owner: Client) -> None:
    key, token = key_create(name="ci", scope="read", actor=Actor.system("t"))
    path = "/admin/core/apikey/"
    assert owner.post(f"{path}{key.pk}/change/", {"name": "x", "scope": "admin"}).status_code == 403
    assert owner.post(f"{path}{key.pk}/delete/").status_code == 403
    owner.post(path, {"action": "revoke", "_selected_action": [key.pk]}, follow=True)
    assert key_check(token) is None
    assert AuditEntry.objects.get(action="key.revoke").actor == "owner"
