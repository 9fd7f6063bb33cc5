"""What a fresh database needs before anybody can use the site; safe to run at every start."""

from __future__ import annotations

from datetime import UTC, datetime

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import transaction

from resilience_site.core import partitions
from resilience_site.core.audit import Actor, audit_record
from resilience_site.core.choices import Role, Scope
from resilience_site.core.keys import key_create, key_revoke, token_hash
from resilience_site.core.models import ApiKey

ADMIN_NAME = "admin"
ACTOR = Actor.system("bootstrap")


def bootstrap(*, admin_password: str, tokens: dict[Scope, str]) -> list[str]:
    """Make roles, the admin, the configured keys and the first partitions; says what it changed."""
    partitions.ensure_ahead(datetime.now(UTC))
    changes = _make_groups()
    if admin_password:
        changes += _set_admin(admin_password)
    for scope, token in tokens.items():
        if token:
            changes += _set_key(scope, token)
    return changes


def _make_groups() -> list[str]:
    return [
        f"made group {role}" for role in Role.values if Group.objects.get_or_create(name=role)[1]
    ]


def _set_admin(password: str) -> list[str]:
    """The variable rules: a changed value changes the password, an unchanged one keeps sessions."""
    users = get_user_model().objects
    with transaction.atomic():
        user = users.select_for_update().filter(username=ADMIN_NAME).first()
        if user is None:
            user = users.create_superuser(ADMIN_NAME, password=password)
            change, action = f"made user {ADMIN_NAME}", "user.create"
        elif not user.check_password(password):
            user.set_password(password)
            user.save(update_fields=["password"])
            change, action = f"changed the password of {ADMIN_NAME}", "user.password"
        else:
            return []
        audit_record(actor=ACTOR, action=action, object_type="user", object_id=user.pk)
    return [change]


def _set_key(scope: Scope, token: str) -> list[str]:
    """The configured key of a scope is the one that works; a former one is revoked."""
    name = f"configured {scope} key"
    key = ApiKey.objects.filter(hash=token_hash(token)).first()
    former = ApiKey.objects.filter(name=name, created_by=ACTOR.name, revoked_at=None)
    if key is not None:
        former = former.exclude(pk=key.pk)
    changes = []
    for old in former:
        key_revoke(key_id=old.pk, actor=ACTOR, reason="the configured key has changed")
        changes.append(f"revoked the former {name}")
    if key is not None and key.revoked_at is not None:
        changes.append(f"the {name} stays revoked: configure another one")
    if key is None:
        key_create(name=name, scope=scope, actor=ACTOR, token=token)
        changes.append(f"made the {name}")
    return changes
