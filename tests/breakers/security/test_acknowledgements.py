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


@pytest.mark.parametrize("started", [None, NOW.timestamp() + 3_600, NOW.timestamp() * 2])
@pytest.mark.parametrize("forged", [None, 0, 6, 7, 8])
def test_without_a_start_or_with_one_in_the_future_nothing_is_forged(
    forged: int | None, started: float | None
) -> None:
    before = rows()[PROCESS]
    assert noted(Poll(*PROCESS, forged, started)) == before
    assert noted(Poll(*PROCESS, forged, started), seconds=89) == before


@pytest.fixture
def behind() -> None:
    """The document has moved on to a version that the instances cannot apply."""
    ControlDocument.objects.update(version=8)


@pytest.mark.parametrize("started", [START, START + 60, NOW.timestamp()])
def test_a_newer_version_that_is_forged_is_put_right_after_90_seconds(
    behind: None, started: float
) -> None:
    """Under the start of the process itself, or under that of a made up successor."""
    assert noted(Poll(*PROCESS, 8, started))["applied_version"] == 8
    assert noted(Poll(*PROCESS, 7, START), seconds=60)["applied_version"] == 8
    after = noted(Poll(*PROCESS, 7, START), seconds=92)
    assert (after["applied_version"], after["started_at"].timestamp()) == (7, START)
    assert after["applied_at"] == NOW + timedelta(seconds=92)
    assert applied_by_service(now=NOW)["planner"].current == 0


@pytest.mark.parametrize("forged", [None, 0, 8])
def test_of_an_instance_that_names_no_start_the_next_poll_puts_right_what_was_forged(
    behind: None, forged: int | None
) -> None:
    named = ("planner", "planner-9")
    for second, applied in ((1, 7), (2, forged), (25, 7)):
        polls_note([Poll(*named, applied, None)], NOW + timedelta(seconds=second))
        assert rows()[named]["applied_version"] == applied


def test_of_an_instance_that_names_no_start_a_forged_one_stands_for_90_seconds(
    behind: None,
) -> None:
    named = ("planner", "planner-9")
    polls_note([Poll(*named, 7, None)], NOW)
    polls_note([Poll(*named, 8, START)], NOW + timedelta(seconds=1))
    # Once it is believed, it is so at each poll.
    for second, applied in ((60, 8), (92, 7), (93, 7)):
        polls_note([Poll(*named, 7, None)], NOW + timedelta(seconds=second))
        assert rows()[named]["applied_version"] == applied
    assert rows()[named]["polled_at"] == NOW + timedelta(seconds=93)


def test_a_process_whose_clock_is_a_little_ahead_is_believed() -> None:
    ahead = NOW.timestamp() + 120
    after = noted(Poll(*PROCESS, None, ahead), Poll(*PROCESS, 7, ahead))
    assert (after["applied_version"], after["restarts"]) == (7, 1)
    # As the same process, however often it polls.
    assert noted(Poll(*PROCESS, 7, ahead), seconds=25)["restarts"] == 1
