"""Opportunities follow what fails: one for each workflow, target and failure, as long as it lasts."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from pydantic import ValidationError

from healing.actions.registry import actions_known
from healing.choices import OpportunityState
from healing.domain.definition import Definition, definition_of
from healing.domain.matching import Failing, able, answers
from healing.domain.opportunities import LastRun, opens_again
from healing.models import HealingRun, HealingTarget, Opportunity, Workflow
from resilience_site.core.choices import Topic
from resilience_site.core.journal import Entry

logger = logging.getLogger(__name__)

OPENED, ENDED = "opportunity.opened", "opportunity.ended"
# So that a site that is down as a whole does not fill the table at once.
_MOST_NEW: Final = 500
_LASTING: Final = (
    OpportunityState.OPEN,
    OpportunityState.TAKEN,
    OpportunityState.DISMISSED,
)


class Key(NamedTuple):
    """What there is one open opportunity of."""

    workflow: UUID
    target_kind: str
    target: str
    trigger_key: str


@dataclass(frozen=True)
class Answer:
    """A workflow that answers to a failure; `unable` says why it can do nothing there."""

    workflow: Workflow
    definition: Definition
    failing: Failing
    unable: str = ""

    @property
    def key(self) -> Key:
        kind = self.definition.target
        return Key(self.workflow.pk, kind, self.failing.target(kind), self.failing.key)


def answers_to(failures: Sequence[Failing], now: datetime) -> list[Answer]:
    """Every workflow that is switched on with each failure that it answers to, the workflow that
    goes first first."""
    workflows = [
        (row, definition)
        for row in Workflow.objects.filter(enabled=True).order_by("priority", "name")
        if (definition := _definition(row)) is not None
    ]
    ways: Mapping[str, Iterable[str]] = dict(HealingTarget.objects.values_list("service", "ways"))
    actions = frozenset(actions_known())
    return [
        Answer(row, definition, each, able(definition, ways.get(each.service, ()), actions))
        for row, definition in workflows
        for each in failures
        if answers(definition, each, now) is not None
    ]


def _definition(row: Workflow) -> Definition | None:
    try:
        return definition_of(row.definition)
    except ValidationError:
        # One that an older version of the site stored must not keep the others from healing.
        logger.exception("The definition of workflow %s cannot be read; it heals nothing", row.name)
        return None


def opportunities_follow(
    failures: Sequence[Failing], *, looked_at: datetime | None, now: datetime
) -> list[Entry]:
    """Open, keep and end opportunities by what fails now; returns what is to be told of it.

    `looked_at` is when this was done last: what was seen then has lasted since. The caller sees to
    it that one does this at a time.
    """
    wanted: dict[Key, Answer] = {}
    for answer in answers_to(failures, now):
        if not answer.unable:
            wanted.setdefault(answer.key, answer)
    rows = _lasting(looked_at)
    runs = _last_runs([each.pk for each in rows.values()])
    entries = []
    for key, row in rows.items():
        found = wanted.get(key)
        if found is None:
            entries += _end(row, now)
        else:
            entries += _keep(row, found, runs.get(row.pk), now)
    fresh = [each for key, each in wanted.items() if key not in rows and each.failing.begins]
    opened = [_new(each, now) for each in fresh[:_MOST_NEW]]
    Opportunity.objects.bulk_create(opened)
    names = {each.workflow.pk: each.workflow for each in wanted.values()}
    return [*entries, *(_told(OPENED, each, names[each.workflow_id]) for each in opened)]


def _lasting(looked_at: datetime | None) -> dict[Key, Opportunity]:
    """Those whose failure lasted at the last look, by what there is one of: of several, the one
    that is open, else the newest."""
    rows = Opportunity.objects.filter(state=OpportunityState.OPEN)
    if looked_at is not None:
        rows |= Opportunity.objects.filter(state__in=_LASTING, last_seen__gte=looked_at)
    found: dict[Key, Opportunity] = {}
    for row in rows.select_related("workflow").select_for_update(of=("self",)).order_by("id"):
        key = Key(row.workflow_id, row.target_kind, row.target, row.trigger_key)
        other = found.get(key)
        if other is None or _rank(row) > _rank(other):
            found[key] = row
    return found


def _rank(row: Opportunity) -> tuple[bool, datetime]:
    return row.state == OpportunityState.OPEN, row.last_seen


def _last_runs(opportunity_ids: Iterable[UUID]) -> Mapping[UUID | None, LastRun]:
    rows = HealingRun.objects.filter(
        opportunity__in=list(opportunity_ids), dry_run=False, refused_by=""
    ).order_by("created_at", "id")
    return {
        each.opportunity_id: LastRun(each.state, each.ended_at, each.cancel_asked_by)
        for each in rows.only("opportunity", "state", "ended_at", "cancel_asked_by")
    }


def _new(answer: Answer, now: datetime) -> Opportunity:
    failing, key = answer.failing, answer.key
    return Opportunity(
        workflow=answer.workflow,
        target_kind=key.target_kind,
        target=key.target,
        service=failing.service,
        trigger_kind=failing.kind,
        trigger_key=failing.key,
        trigger=failing.trigger(),
        check_id=failing.check_id,
        first_seen=now,
        last_seen=now,
        next_look_at=now,
    )


def _keep(row: Opportunity, answer: Answer, run: LastRun | None, now: datetime) -> list[Entry]:
    """It lasts. One that a run was tried of and that a further run may be tried of is open again."""
    row.last_seen, row.trigger = now, answer.failing.trigger()
    row.count += 1
    fields = ["last_seen", "trigger", "count"]
    again = row.state == OpportunityState.TAKEN and opens_again(answer.failing, run)
    if again:
        row.state, row.ended_at, row.next_look_at = OpportunityState.OPEN, None, now
        fields += ["state", "ended_at", "next_look_at"]
    row.save(update_fields=fields)
    return [_told(OPENED, row, answer.workflow, "It still fails after a run")] if again else []


def _end(row: Opportunity, now: datetime) -> list[Entry]:
    """Its failure is over, or nothing answers to it any more."""
    if row.state != OpportunityState.OPEN:
        return []
    row.state, row.ended_at, row.next_look_at = OpportunityState.ENDED, now, None
    row.save(update_fields=["state", "ended_at", "next_look_at"])
    return [_told(ENDED, row, row.workflow)]


def _told(kind: str, row: Opportunity, workflow: Workflow, reason: str = "") -> Entry:
    return opportunity_told(kind, row, workflow, reason=reason)


def opportunity_told(
    kind: str, row: Opportunity, workflow: Workflow, *, reason: str = "", actor: str = ""
) -> Entry:
    """The journal's entry of what became of an opportunity."""
    what = {OPENED: "could heal", ENDED: "need not heal"}.get(kind, "was told not to heal")
    word = " any more" if kind == ENDED else ""
    payload: dict[str, Any] = {
        "workflow": workflow.name,
        "target": row.target,
        "service": row.service,
        "mode": workflow.mode,
        "trigger": row.trigger.get("text", ""),
        "text": f"{workflow.title} {what} {row.target}{word}",
        "link": "/healing",
        "reason": reason,
        "state": row.state,
    }
    if actor:
        payload["actor"] = actor
    return Entry(Topic.HEALING, kind, str(row.pk), row.state, row.service, payload)
