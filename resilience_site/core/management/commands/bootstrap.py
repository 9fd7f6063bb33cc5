from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from resilience_site.config import config
from resilience_site.core.bootstrap import bootstrap
from resilience_site.core.choices import Scope


class Command(BaseCommand):
    help = "Make roles, the admin, the configured API keys and the first partitions."

    def handle(self, *args: Any, **options: Any) -> None:
        changes = bootstrap(
            admin_password=config.resilience_admin_password,
            tokens={
                Scope.INGEST: config.resilience_ingest_key,
                Scope.OPERATE: config.resilience_operator_key,
            },
        )
        for change in changes or ["nothing to do"]:
            self.stdout.write(change)
