from __future__ import annotations

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from resilience_site.config import config
from resilience_site.embedded.site import ROOT


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
        # Django has loaded the whole site, which the launcher has no use for: it replaces it.
        state = str(config.resilience_state_dir)
        words = ["-m", "resilience_site.embedded.launcher"]
        words += ["--demo"] * options["demo"] + ["--stop-with-parent"] * options["stop_with_parent"]
        os.chdir(ROOT)
        os.execve(  # noqa: S606
            sys.executable,
            [sys.executable, *words],
            {**os.environ, "RESILIENCE_STATE_DIR": state},
        )
