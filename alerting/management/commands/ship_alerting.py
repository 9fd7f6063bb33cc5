from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from alerting.services.shipped_routing import routing_ship


class Command(BaseCommand):
    help = "Apply the rules, routes and inhibitions that this site comes with; safe to repeat."

    def handle(self, *args: Any, **options: Any) -> None:
        for change in routing_ship() or ["nothing to do"]:
            self.stdout.write(change)
