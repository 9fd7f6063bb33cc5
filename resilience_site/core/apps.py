from __future__ import annotations

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "resilience_site.core"
    label = "core"
    verbose_name = "Kernel"

    def ready(self) -> None:
        from resilience_site.core import journal, partitions

        partitions.register(journal.TABLE)
