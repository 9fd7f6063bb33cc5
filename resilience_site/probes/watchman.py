"""The watch over this site by its own web process: what is wrong with it is told, and alerts are
evaluated and sent from here while nobody else does it.

Troubles stand in the journal (topic site, key: the part, kinds `site.trouble_began` and
`site.trouble_ended`, payload `part, text, since, what_works`), where the rule `site_trouble` finds
them. A dead worker cannot tell of its own death, hence the second half.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import DatabaseError, InterfaceError, connection, connections, transaction

from alerting import tasks
from alerting.selectors.rules import evaluated_last, rules_exist
from resilience_site.core import background, journal
from resilience_site.core.choices import Topic
from resilience_site.probes import groups
from resilience_site.probes.troubles import Trouble, Watch

log = logging.getLogger(__name__)

NAME: Final = "watch over the site"
EVERY_SECONDS: Final = 10.0
# Of rules that nobody has evaluated for so long, the web process takes care.
TAKE_OVER_AFTER: Final = timedelta(seconds=40)
BEGAN, ENDED = "site.trouble_began", "site.trouble_ended"
_LOCK: Final = 0x7761746368
_TOLD: Final = """
SELECT DISTINCT ON (key) key, kind, at FROM core_journalentry
WHERE topic = %s ORDER BY key, id DESC
"""


@dataclass
class Watchman:
    """What one web process remembers between two looks."""

    watch: Watch | None = None
    # Not written yet, as the database was down.
    untold: list[Trouble] = field(default_factory=list)
    own_turn: datetime | None = None

    def look(self, now: datetime) -> None:
        """Look at the site once, tell what is to be told, and take over what nobody does."""
        found = groups.outcomes(["deep"])
        if self.watch is not None:
            self.untold += self.watch.look(found, now)
        try:
            if not rules_exist():
                # The site is being set up: nothing is expected of it.
                self.watch, self.untold = None, []
                return
            if self.watch is None:
                self.watch = Watch(troubles_told())
                self.untold += self.watch.look(found, now)
            if self.untold:
                troubles_tell(self.untold)
                self.untold = []
            self.stand_in(now)
        except (DatabaseError, InterfaceError) as error:
            log.warning("The watch over the site cannot reach the database: %s", error)

    def stand_in(self, now: datetime, work: Sequence[Callable[[], None]] | None = None) -> bool:
        """Evaluate, route, send and follow, if nobody has evaluated the rules lately but this
        process itself; whether it did."""
        last = evaluated_last()
        lately = last is not None and now - last < TAKE_OVER_AFTER
        if last is None or (lately and (self.own_turn is None or last > self.own_turn)):
            self.own_turn = None
            return False
        if self.own_turn is None:
            log.warning("No worker has evaluated alert rules since %s: this process does it.", last)
        for each in work or WORK:
            try:
                each()
            except (DatabaseError, InterfaceError):
                log.exception("Standing in for the worker failed.")
        self.own_turn = evaluated_last()
        return True


WORK: Final[Sequence[Callable[[], None]]] = (
    tasks.rules_evaluate,
    tasks.alerts_dispatch,
    tasks.incidents_follow,
    tasks.deliveries_send,
)


def start() -> asyncio.Task[None]:
    """Watch on the running loop until it is stopped; a second call changes nothing."""
    return background.supervise(NAME, _run)


async def _run() -> None:
    watchman = Watchman()
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        await asyncio.to_thread(_look, watchman)


def _look(watchman: Watchman) -> None:
    try:
        watchman.look(datetime.now(UTC))
    finally:
        # This thread is one of a pool: it must not sit on a connection.
        connections.close_all()


def troubles_told() -> dict[str, datetime]:
    """The parts whose trouble is told of and not over, since when."""
    with connection.cursor() as cursor:
        cursor.execute(_TOLD, [Topic.SITE])
        return {key: at for key, kind, at in cursor.fetchall() if kind == BEGAN}


def troubles_tell(troubles: Sequence[Trouble]) -> int:
    """Write what another process has not told already; how many."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        told = troubles_told()
        entries = []
        for each in troubles:
            if each.began != (each.part.name in told):
                told = {**told, each.part.name: each.since} if each.began else _without(told, each)
                entries.append(_entry(each))
        journal.append(entries)
    return len(entries)


def _without(told: dict[str, datetime], trouble: Trouble) -> dict[str, datetime]:
    return {name: at for name, at in told.items() if name != trouble.part.name}


def _entry(trouble: Trouble) -> journal.Entry:
    part = trouble.part
    return journal.Entry(
        Topic.SITE,
        BEGAN if trouble.began else ENDED,
        part.name,
        trouble.status,
        "",
        {
            "part": part.name,
            "text": trouble.text or f"the trouble of {part.name} is over",
            "since": trouble.since.isoformat(),
            "what_works": part.what_works if trouble.began else "Everything works.",
        },
    )
