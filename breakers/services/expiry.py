"""The end of everything that was decided for a time.

Each thing due is ended in a transaction of its own (the commands of a service in one) that looks
again whether it still is, so any number of processes may do this at once, late or twice, and it
happens once.
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q

from breakers.choices import Level
from breakers.models import Command, DegradedMode, Override, Toggle
from breakers.services.commands import commands_finish
from breakers.services.degraded import degraded_expire
from breakers.services.overrides import override_expire
from breakers.services.toggles import toggle_expire


def expire_due(*, now: datetime) -> int:
    """End what is due at `now`; how many this call ended."""
    due = Q(expires_at__lte=now)
    ended = 0
    for pk in Override.objects.filter(due, ended_at=None).values_list("pk", flat=True):
        ended += override_expire(override_id=pk, now=now)
    for key in Toggle.objects.filter(due, is_set=True).values_list("key", flat=True):
        ended += toggle_expire(key=key, now=now)
    levels = DegradedMode.objects.filter(due).exclude(level=Level.NORMAL)
    for service in levels.values_list("service", flat=True):
        ended += degraded_expire(service=service, now=now)
    commands = Command.objects.filter(due, ended_at=None).values_list("pk", flat=True)
    return ended + commands_finish(command_ids=list(commands), now=now)
