"""`healing_apply`: the shipped workflows, and those of a file, without undoing what people did."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from analytics.models import ErrorPattern
from breakers.domain.keys import breaker_key
from breakers.models import Breaker
from healing.choices import Mode, Origin
from healing.domain.reading import Written
from healing.models import HealingTarget, Workflow
from healing.services.workflows import applying
from healing.services.workflows.applying import shipped_read
from healing.services.workflows.modes import workflow_mode_set
from healing.services.workflows.store import workflow_update
from health.models import Service
from resilience_site.core.audit import Actor

pytestmark = pytest.mark.django_db

ANA = Actor.system("ana")
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
FILE = """\
targets:
  planner:
    group: planners
    ways:
      restart:
        action: supervisor_restart
        with: {server: "unix:///run/x.sock", program: planner}
workflows:
  kick:
    title: Kick it   # hard
    trigger: {type: manual}
    steps:
      - {id: kick, action: restart}
"""


def applied(*arguments: object) -> str:
    out = StringIO()
    call_command("healing_apply", *map(str, arguments), stdout=out)
    return out.getvalue()


def written(folder: Path, text: str = FILE) -> Path:
    path = folder / "healing.yaml"
    path.write_text(text)
    return path


def test_shipped_workflows_start_in_approve_and_are_made_once() -> None:
    applied()
    rows = Workflow.objects.all()
    assert {row.name for row in rows} == {each.definition.name for each in shipped_read()}
    assert {(row.mode, row.origin, row.version) for row in rows} == {("approve", "shipped", 1)}
    assert applied() == "nothing to do\n"


def test_an_upgrade_changes_what_nobody_touched_and_keeps_what_a_person_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    applied()
    mine = Workflow.objects.get(name="warm_cache")
    text = mine.text.replace("priority: 30", "priority: 31")
    workflow_update(name="warm_cache", text=text, actor=ANA, now=NOW)

    def upgraded() -> list[Written]:
        return [
            Written(each.definition.model_copy(update={"title": "New"}), f"# new\n{each.text}")
            for each in before
        ]

    before = shipped_read()
    monkeypatch.setattr(applying, "shipped_read", upgraded)
    told = applied()
    assert "kept workflow warm_cache as ana changed it" in told
    mine.refresh_from_db()
    assert (mine.priority, mine.version) == (31, 2)
    other = Workflow.objects.get(name="restart_service")
    assert (other.title, other.version) == ("New", 2)
    assert [each.number for each in other.versions.all()] == [2, 1]


def test_a_mode_is_for_all_but_those_that_a_person_has_set() -> None:
    applied()
    workflow_mode_set(name="warm_cache", mode="observe", reason="no", actor=ANA, now=NOW)
    applied("--mode", "auto")
    modes = dict(Workflow.objects.values_list("name", "mode"))
    assert modes.pop("warm_cache") == Mode.OBSERVE
    assert set(modes.values()) == {Mode.AUTO}


def test_a_file_makes_targets_and_workflows_with_the_text_that_was_written(tmp_path: Path) -> None:
    told = applied(written(tmp_path), "--mode", "auto", "--name", "demo")
    assert told.splitlines() == ["made healing target planner", "made workflow kick, in mode auto"]
    row = Workflow.objects.get(name="kick")
    assert row.text.startswith("name: kick\ntitle: Kick it   # hard\ntrigger:")
    assert (row.origin, row.mode) == (Origin.PERSON, Mode.AUTO)
    assert HealingTarget.objects.get().managed_by == "demo"
    assert applied(tmp_path / "healing.yaml", "--name", "demo") == "nothing to do\n"


def test_a_file_without_workflows_sets_the_mode_of_the_shipped_ones(tmp_path: Path) -> None:
    applied()
    applied(written(tmp_path, FILE.partition("workflows:")[0]), "--mode", "auto")
    assert set(Workflow.objects.values_list("mode", flat=True)) == {Mode.AUTO}


def test_a_file_takes_the_place_of_what_a_person_changed_only_once_it_changed(
    tmp_path: Path,
) -> None:
    path = written(tmp_path)
    applied(path)
    row = Workflow.objects.get(name="kick")
    workflow_update(name="kick", text=row.text + "priority: 5\n", actor=ANA, now=NOW)
    assert applied(path) == "nothing to do\n"
    path.write_text(FILE.replace("Kick it", "Kick"))
    assert applied(path) == "brought workflow kick up to date\n"
    row.refresh_from_db()
    assert (row.version, row.title, row.priority) == (3, "Kick", 100)


def test_a_dry_run_tells_and_changes_nothing(tmp_path: Path) -> None:
    way = "restart: {action: wait, with: {seconds: 3}}\n      "
    text = FILE.replace("ways:\n      ", f"ways:\n      {way}").replace(
        """restart:
        action: supervisor_restart
        with: {server: "unix:///run/x.sock", program: planner}
""",
        "recycle_pool: {action: in_process, with: {command: recycle_pool}}\n",
    )
    text += "      - {id: pool, action: recycle_pool}\n"
    assert applied(written(tmp_path, text), "--dry-run").splitlines() == [
        "dry run: made healing target planner",
        "dry run: made workflow kick, in mode approve",
        "would now do: kick on planner: kick: Waits 3 s, and changes nothing",
        "would now do: kick on planner: pool: cannot be done now: No instance of planner reports, "
        "so none can be told anything",
    ]
    assert not Workflow.objects.exists()
    assert not HealingTarget.objects.exists()


BREAKER = """\
  reset:
    title: Reset it
    trigger: {type: breaker_open}
    target: breaker
    steps:
      - id: reset
        action: breaker_reset
        precondition: {type: breaker_open}
        verification: {type: breaker_closed, timeout_seconds: 20}
  resolve:
    title: Resolve it
    trigger: {type: healed}
    target: pattern
    steps: [{id: resolve, action: resolve_pattern}]
"""


def test_a_dry_run_tells_of_breakers_and_patterns_and_why_nothing_would_be_done(
    tmp_path: Path,
) -> None:
    Service.objects.create(name="billing", first_seen=NOW, last_seen=NOW)
    path = written(tmp_path, FILE + BREAKER)
    found = applied(path, "--dry-run")
    assert "would now do: kick on billing: nothing: its service has no way restart\n" in found
    assert "would now do: reset: nothing now: no breaker reports\n" in found
    assert "would now do: resolve: nothing now: no error pattern is unresolved\n" in found
    for name, state in (("db", "open"), ("cache", "closed")):
        Breaker.objects.create(
            service="billing", name=name, instance="one", key=breaker_key("billing", name),
            state=state, since=NOW, first_seen=NOW, last_seen=NOW,
        )  # fmt: skip
    pattern = ErrorPattern.objects.create(
        id=uuid4(), service="billing", type="KeyError", template="x", rule="r", version=1, count=9,
        first_seen=NOW, last_seen=NOW, last_error_id=uuid4(),
    )  # fmt: skip
    lines = applied(path, "--dry-run").splitlines()
    [reset, idle] = [each for each in lines if each.startswith("would now do: reset on ")]
    # What is open comes first.
    assert reset.startswith("would now do: reset on billing/db: reset: ")
    assert "skipped" not in reset
    assert idle == (
        "would now do: reset on billing/cache: reset: would be skipped now: The breaker is not "
        "open."
    )
    [resolve] = [each for each in lines if each.startswith("would now do: resolve on ")]
    assert resolve.startswith(f"would now do: resolve on {pattern.pk}: resolve: ")
    assert Breaker.objects.get(name="db").state == "open"


def test_a_dry_run_says_what_a_step_would_be_verified_by(tmp_path: Path) -> None:
    text = FILE.replace(
        "{id: kick, action: restart}",
        "{id: kick, action: wait, with: {seconds: 3}, "
        "verification: {type: quiet, timeout_seconds: 20}}",
    )
    found = applied(written(tmp_path, text), "--dry-run")
    assert (
        "kick on planner: kick: Waits 3 s, and changes nothing; verified as nothing of planner may "
        "fail, within 20 s"
    ) in found


def test_every_fault_of_a_file_is_told_with_its_line_and_nothing_is_applied(
    tmp_path: Path,
) -> None:
    text = FILE.replace("program: planner", "programme: planner").replace(
        "action: restart}", "action: reboot}"
    )
    with pytest.raises(CommandError) as refused:
        applied(written(tmp_path, text + "colour: red\n"))
    lines = [each.partition("healing.yaml: ")[2] for each in str(refused.value).splitlines()]
    assert [each.partition(":")[0] for each in lines] == ["line 7", "line 13", "line 14"]
    assert "programme is unknown" in lines[0]
    assert "'reboot' is neither an action" in lines[1]
    assert "colour: is unknown" in lines[2]
    assert not HealingTarget.objects.exists()


def test_a_target_of_another_file_is_refused(tmp_path: Path) -> None:
    applied(written(tmp_path), "--name", "one")
    with pytest.raises(CommandError, match="belongs to one"):
        applied(tmp_path / "healing.yaml", "--name", "two")


def test_the_example_of_the_documentation_can_be_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESILIENCE_HEALING_SUPERVISOR", "unix:///run/x.sock")
    text = (Path(__file__).parents[3] / "docs" / "healing.md").read_text(encoding="utf-8")
    example = text.partition("```yaml\n")[2].partition("```")[0]
    assert applied(written(tmp_path, example)).splitlines() == [
        "made healing target planner",
        "made workflow heal_planner, in mode approve",
    ]
