from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from resilience_site.embedded.handover import become_launcher


class Command(BaseCommand):
    help = "Run the site and, where no URL names others, its engines on this machine."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--demo", action="store_true", help="also run the planner MCP server and its faults"
        )
        parser.add_argument(
            "--stop-with-parent", action="store_true", help="stop when the calling process ends"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        become_launcher(
            ["--demo"] * options["demo"] + ["--stop-with-parent"] * options["stop_with_parent"]
        )
