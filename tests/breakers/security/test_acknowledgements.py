"""Acknowledgements that are forged, late or sent again: what the rows of instances tell then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from breakers.models import ControlDocument, Instance
from breakers.selectors.applied import applied_by_service
from breakers.services.instances import Poll, polls_note
from resilience_site.core.models import JournalEntry

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
START = NOW.timestamp() - 3_600
PROCESS = ("planner", "planner-1")


@pytest.fixture(autouse=True)
def fleet(emptied: None) -> None:
    """Two services at version 7 with two instances each, all of which work by it."""
    for service in ("planner", "billing"):
        ControlDocument.objects.create(service=service, version=7, changed_at=NOW)
    polls_note(
        [Poll(service, f"{service}-{n}", 7, START) for service in ("planner", "billing") for n in (1, 2)],
        NOW,
    )  # fmt: skip


def rows() -> dict[tuple[str, str], dict[str, Any]]:
    """All that is known of each instance."""
    return {(row["service"], row["instance"]): row for row in Instance.objects.values()}


def noted(*polls: Poll, seconds: float = 1) -> dict[str, Any]:
    """What is known of the planner's first instance after these polls, one after the other."""
    for poll in polls:
        polls_note([poll], NOW + timedelta(seconds=seconds))
    return rows()[PROCESS]


@pytest.mark.parametrize("started", [None, START - 60, START, START + 60, 0.0, NOW.timestamp() * 2])
@pytest.mark.parametrize("applied", [None, 0, 6, 7])
@pytest.mark.parametrize(
    "named", [PROCESS, ("planner", "planner-9"), ("billing", "planner-1"), ("planner", "billing-1")]
)
def test_an_acknowledgement_changes_the_row_that_it_names_alone(
    named: tuple[str, str], applied: int | None, started: float | None
) -> None:
    before = rows()
    polls_note([Poll(*named, applied, started)], NOW + timedelta(seconds=1))
    after = rows()
    after.pop(named)
    before.pop(named, None)
    assert after == before


@pytest.mark.parametrize("version", [0, 3, 6])
def test_an_older_version_of_the_same_process_changes_nothing_but_when_it_was_heard(
    version: int,
) -> None:
    before = rows()[PROCESS]
    told = JournalEntry.objects.count()
    after = noted(Poll(*PROCESS, version, START))
    assert (after["applied_version"], after["applied_at"]) == (7, NOW)
    assert {name for name in after if after[name] != before[name]} == {"polled_at", "last_seen"}
    assert applied_by_service(now=NOW)["planner"].current == 2
    assert JournalEntry.objects.count() == told


@pytest.mark.parametrize("version", [None, 0, 6, 7])
def test_what_an_earlier_process_says_while_its_successor_polls_changes_nothing(
    version: int | None,
) -> None:
    before = rows()[PROCESS]
    assert noted(Poll(*PROCESS, version, START - 60)) == before
    # Nor does the successor then look as if it had begun once more.
    assert noted(Poll(*PROCESS, 7, START))["restarts"] == 0


def test_a_process_on_a_clock_that_was_set_back_is_believed_once_the_other_is_gone() -> None:
    assert noted(Poll(*PROCESS, None, START - 60), seconds=60)["applied_version"] == 7
    after = noted(Poll(*PROCESS, None, START - 60), seconds=91)
    assert after["applied_version"] is None
    assert after["started_at"] == datetime.fromtimestamp(START - 60, UTC)


def test_a_process_that_began_anew_has_applied_nothing_yet() -> None:
    after = noted(Poll(*PROCESS, None, START + 60))
    assert (after["applied_version"], after["restarts"]) == (None, 1)
    # It may have kept an older document from before.
    assert noted(Poll(*PROCESS, 6, START + 60))["applied_version"] == 6
    assert noted(Poll(*PROCESS, 5, START + 120))["applied_version"] == 5


def test_a_version_is_forgotten_where_the_site_itself_went_back() -> None:
    """After a restore from a backup an instance names a version that there is not (any more), which
    acknowledges none; what it then applies counts, though the number is smaller."""
    assert noted(Poll(*PROCESS, None, START))["applied_version"] is None
    assert noted(Poll(*PROCESS, 4, START))["applied_version"] == 4


@pytest.mark.parametrize("forged", [None, 0, 6])
def test_without_a_start_the_next_poll_puts_right_what_was_forged(forged: int | None) -> None:
    assert noted(Poll(*PROCESS, forged, None))["applied_version"] == forged
    after = noted(Poll(*PROCESS, 7, START), seconds=25)
    assert (after["applied_version"], after["restarts"]) == (7, 0)
    assert after["applied_at"] == NOW + timedelta(seconds=25)
    assert applied_by_service(now=NOW)["planner"].current == 2
