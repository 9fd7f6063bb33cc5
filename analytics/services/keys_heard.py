"""Which keys telemetry comes with: noted for nothing, and told to the journal once a minute.

Topic `ingest`, kind `key.heard`, key: the id of the API key, payload `name, prefix`. What is noted
and not yet told is lost with the process; senders come again.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from resilience_site.core import journal
from resilience_site.core.choices import Topic
from resilience_site.core.models import ApiKey

TELL_EVERY: Final = timedelta(minutes=1)
_lock = threading.Lock()
_noted: set[int] = set()
_told: dict[int, datetime] = {}


def key_note(key_id: int) -> None:
    """Telemetry came with this key, and was taken."""
    with _lock:
        _noted.add(key_id)


def keys_tell(*, now: datetime) -> int:
    """Tell of the keys that were noted and not told of for a minute; how many.

    Raises the database's error when it is down; they stay noted then.
    """
    with _lock:
        due = {each for each in _noted if now - _told.get(each, now - TELL_EVERY) >= TELL_EVERY}
    if not due:
        return 0
    with transaction.atomic():
        keys = ApiKey.objects.filter(pk__in=due).values_list("pk", "name", "prefix")
        journal.append(
            [
                journal.Entry(
                    Topic.INGEST, "key.heard", str(key_id), "", "", {"name": name, "prefix": prefix}
                )
                for key_id, name, prefix in keys
            ]
        )
    with _lock:
        _noted.difference_update(due)
        for each in [each for each in _told if now - _told[each] >= TELL_EVERY]:
            del _told[each]
        _told.update(dict.fromkeys(due, now))
    return len(due)
