from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand

from alerting.services.rules.shipped import rules_ship
from alerting.services.shipped_routing import routing_ship


class Command(BaseCommand):
    help = "Apply the rules, routes and inhibitions that this site comes with; safe to repeat."

    def handle(self, *args: Any, **options: Any) -> None:
        changes = [*rules_ship(now=datetime.now(UTC)), *routing_ship()]
        for change in changes or ["nothing to do"]:
            self.stdout.write(change)
