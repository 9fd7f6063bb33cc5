from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from resilience_site.core.audit import Actor
from resilience_site.core.choices import Scope
from resilience_site.core.keys import key_create, key_revoke
from resilience_site.core.problems import Problem
from resilience_site.core.selectors import api_keys

ACTOR = Actor.system("command line")


class Command(BaseCommand):
    help = "Make, list and revoke API keys."

    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        create = commands.add_parser("create", help="make a key and print its token, once")
        create.add_argument("name")
        create.add_argument("--scope", choices=Scope.values, required=True)
        create.add_argument("--expires-at", type=datetime.fromisoformat, metavar="RFC3339")
        commands.add_parser("list", help="list all keys")
        revoke = commands.add_parser("revoke", help="revoke a key for good")
        revoke.add_argument("id", type=int)
        revoke.add_argument("--reason", default="")

    def handle(self, *args: Any, command: str, **options: Any) -> None:
        try:
            getattr(self, command)(**options)
        except Problem as problem:
            raise CommandError(problem.detail) from problem

    def create(self, *, name: str, scope: str, expires_at: datetime | None, **_: Any) -> None:
        if expires_at is not None and expires_at.tzinfo is None:
            expires_at = expires_at.replace(tzinfo=UTC)
        _key, token = key_create(name=name, scope=scope, actor=ACTOR, expires_at=expires_at)
        self.stdout.write(token)

    def list(self, **_: Any) -> None:
        for key in api_keys():
            state = "revoked" if key.revoked_at else "active"
            if state == "active" and not key.usable(datetime.now(UTC)):
                state = "expired"
            self.stdout.write(f"{key.pk}\t{key.name}\t{key.prefix}…\t{key.scope}\t{state}")

    def revoke(self, *, id: int, reason: str, **_: Any) -> None:
        key = key_revoke(key_id=id, actor=ACTOR, reason=reason)
        self.stdout.write(f"revoked {key.name}")
