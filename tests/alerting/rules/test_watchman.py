"""The watch over the site itself: troubles that last are told once, and a dead worker is replaced."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from alerting.models import Alert, RuleProgress
from alerting.services.rules.evaluate import rules_evaluate
from alerting.services.rules.shipped import rules_ship
from resilience_site.core import journal
from resilience_site.probes import groups
from resilience_site.probes.checks import FAIL, PASS, WARN, Outcome
from resilience_site.probes.troubles import Trouble, Watch
from resilience_site.probes.watchman import Watchman, troubles_tell, troubles_told
from tests.alerting.rules.history import write

NOW = datetime.now(UTC)


def outcome(status: str, name: str = "ingest:lag", text: str = "90 s late") -> Outcome:
    return Outcome(name, status, "" if status == PASS else text)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def seen(watch: Watch, *looks: tuple[float, str]) -> list[tuple[float, bool]]:
    found = []
    for seconds, status in looks:
        found += [(seconds, each.began) for each in watch.look([outcome(status)], after(seconds))]
    return found


def test_what_lasts_a_minute_is_told_once_and_its_end_once() -> None:
    looks = [(0, WARN), (30, WARN), (60, FAIL), (90, FAIL), (100, PASS), (150, PASS), (160, PASS)]
    assert seen(Watch(), *looks, (300, PASS)) == [(60, True), (160, False)]


def test_what_comes_and_goes_is_not_told() -> None:
    looks = [(0, WARN), (50, PASS), (55, WARN), (110, WARN), (114, PASS), (500, PASS)]
    assert seen(Watch(), *looks) == []


def test_what_was_told_before_a_restart_is_ended_after_it() -> None:
    watch = Watch({"ingest": after(-500)})
    assert seen(watch, (0, WARN), (70, WARN), (80, PASS), (140, PASS)) == [(140, False)]


def test_what_cannot_be_judged_and_what_is_no_part_stays_as_it_is() -> None:
    watch = Watch()
    for seconds in (0, 61, 122):
        unknown = outcome(WARN, text="unknown while redis is down")
        other = outcome(WARN, name="ingest:patterns")
        assert watch.look([unknown, other], after(seconds)) == []


@pytest.mark.django_db
def test_two_processes_tell_of_a_trouble_once_and_a_rule_pages() -> None:
    rules_ship(now=NOW)
    watch = Watch()
    watch.look([outcome(WARN)], after(-70))
    troubles = watch.look([outcome(WARN)], after(-5))
    assert troubles_tell(troubles) == 1
    assert troubles_tell(troubles) == 0
    assert list(troubles_told()) == ["ingest"]
    rules_evaluate(now=after(10))
    alert = Alert.objects.get(rule_name="site_trouble")
    assert (alert.state, alert.severity, alert.labels["part"]) == ("firing", "page", "ingest")
    assert alert.annotations["summary"] == "This site: 90 s late"
    over = [Trouble(each.part, False, each.since) for each in troubles]
    assert troubles_tell(over) == 1
    rules_evaluate(now=after(20))
    alert.refresh_from_db()
    assert alert.state == "resolved"
    assert [each.kind for each in journal.read(0, ["site"])] == [
        "site.trouble_began", "site.trouble_ended",
    ]  # fmt: skip


@pytest.mark.django_db
def test_the_web_process_stands_in_while_no_worker_evaluates() -> None:
    rules_ship(now=NOW)
    done: list[str] = []

    def turn(seconds: float) -> None:
        done.append("turn")
        rules_evaluate(now=after(seconds))

    watchman = Watchman()
    # Nobody has evaluated anything yet.
    assert not watchman.stand_in(after(0), [lambda: turn(0)])
    # A worker is at it.
    rules_evaluate(now=after(0))
    assert not watchman.stand_in(after(20), [lambda: turn(20)])
    # It is dead, and the web process goes on alone.
    assert watchman.stand_in(after(60), [lambda: turn(60)])
    assert watchman.stand_in(after(70), [lambda: turn(70)])
    # It is back.
    rules_evaluate(now=after(75))
    assert not watchman.stand_in(after(80), [lambda: turn(80)])
    assert len(done) == 2


@pytest.mark.django_db
def test_a_look_tells_and_evaluates_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [outcome(FAIL, "worker:heartbeat", "no background worker answered")]
    monkeypatch.setattr(groups, "outcomes", lambda names: found)
    watchman = Watchman()
    watchman.look(after(-200))
    assert journal.read(0, ["site"]) == []
    rules_ship(now=NOW)
    rules_evaluate(now=after(-150))
    for seconds in (-130, -60):
        watchman.look(after(seconds))
    assert Alert.objects.get(rule_name="site_trouble").labels["part"] == "worker"
    assert RuleProgress.objects.exists()


@pytest.mark.django_db
def test_the_journal_is_read_by_kind_through_its_index() -> None:
    write(0, "site", "site.trouble_began")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            "EXPLAIN SELECT id FROM core_journalentry "
            "WHERE topic = 'site' AND kind = 'site.trouble_began' ORDER BY id"
        )
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "topic_kind_id_idx" in plan or "by_kind" in plan
