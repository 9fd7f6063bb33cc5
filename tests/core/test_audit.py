from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from resilience_site.core.audit import Actor, audit_record
from resilience_site.core.choices import ActorKind
from resilience_site.core.models import AuditEntry

ACTOR = Actor(ActorKind.USER, "ana", "192.0.2.7")


@pytest.mark.django_db
def test_an_entry_says_who_what_and_why() -> None:
    made = audit_record(
        actor=ACTOR,
        action="breaker.override",
        object_type="breaker",
        object_id="planner/graph",
        reason="drill",
        before={"state": "closed"},
        after={"state": "forced_open"},
    )
    entry = AuditEntry.objects.get(pk=made.pk)
    assert (entry.actor, entry.actor_kind, entry.remote_address) == ("ana", "user", "192.0.2.7")
    assert (entry.reason, entry.before, entry.after) == (
        "drill",
        {"state": "closed"},
        {"state": "forced_open"},
    )


@pytest.mark.django_db(transaction=True)
def test_an_entry_belongs_into_the_transaction_of_its_action() -> None:
    with pytest.raises(transaction.TransactionManagementError):
        audit_record(actor=ACTOR, action="a.b", object_type="x", object_id=1)


@pytest.mark.django_db
def test_the_database_refuses_to_change_or_delete_an_entry() -> None:
    entry = audit_record(actor=ACTOR, action="a.b", object_type="x", object_id=1)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        AuditEntry.objects.filter(pk=entry.pk).update(reason="nothing happened")
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        entry.delete()
    assert AuditEntry.objects.filter(pk=entry.pk).exists()
