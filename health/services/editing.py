"""One change of the checks and their graph: under the graph's lock, followed by what it entails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import transaction

from health.services.cycles import cycles_refuse, members_refuse
from health.services.evaluation import graph_evaluate
from health.services.locks import graph_lock
from resilience_site.core.journal import Entry


@dataclass
class GraphEdit:
    """What a change leaves to be done at its end: entries for the journal, composites whose
    members must be there, and whether edges were added, which may have made a cycle."""

    now: datetime
    entries: list[Entry] = field(default_factory=list)
    composites: set[UUID] = field(default_factory=set)
    edges_added: bool = False


@contextmanager
def graph_editing(*, now: datetime) -> Iterator[GraphEdit]:
    """A transaction in which checks and edges change: no two at a time, so that together they
    cannot make a cycle, and with every state brought in line at the end.

    Raises `Invalid` that names the cycle, if the change made one, or the member that is missing.
    """
    with transaction.atomic():
        graph_lock()
        edit = GraphEdit(now)
        yield edit
        if edit.composites:
            members_refuse(edit.composites)
        if edit.edges_added:
            cycles_refuse()
        graph_evaluate(now=now, entries=edit.entries)
