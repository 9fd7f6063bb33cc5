from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from resilience_site.embedded.static import collect_if_changed


class Command(BaseCommand):
    help = "Bring database and static files up to date; safe to run at every start."
    # They load all that web processes load a moment later, which takes seconds of each start.
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False)
        call_command("bootstrap")
        call_command("ship_alerting")
        call_command("healing_apply")
        self.stdout.write(collect_if_changed())
