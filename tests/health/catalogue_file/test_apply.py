"""The catalogue as a file: applied twice it changes nothing, and what is wrong changes nothing."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from health.models import Check, Dependency, Service
from health.services.checks import check_options, check_update
from health.services.dependencies import dependency_declare
from resilience_site.core import journal
from resilience_site.core.models import AuditEntry
from tests.health.scenes import ACTOR, NOW, make

pytestmark = pytest.mark.django_db

FILE = """
services:
  - {name: planner, criticality: high, public_name: Planner, description: Plans of teams}
  - name: store
checks:
  - name: pg
    kind: sample
    service: store
    target: {url: "http://app:first-secret@db.invalid/", count: 2}
    interval_seconds: 60
  - name: api
    kind: sample
    service: planner
    target: {url: "http://api.invalid/"}
    depends_on: [pg]
  - name: heartbeat
    kind: push
    service: planner
    target: {}
dependencies:
  - {child: "service:planner", parent: "service:store", hard: false, reason: It keeps plans}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.yaml"
    path.write_text(FILE)
    return path


def apply(file: Path, text: str | None = None, **options: Any) -> str:
    if text is not None:
        file.write_text(text)
    out = io.StringIO()
    call_command("health_apply", str(file), stdout=out, **options)
    return out.getvalue().replace(str(file), "FILE")


def refused(file: Path, text: str, **options: Any) -> str:
    before = snapshot()
    with pytest.raises(CommandError) as caught:
        apply(file, text, **options)
    assert caught.value.returncode == 1
    assert snapshot() == before
    return str(caught.value).replace(str(file), "FILE")


def snapshot() -> list[Any]:
    return [
        list(model.objects.order_by("pk").values())
        for model in (Service, Check, Dependency, AuditEntry)
    ] + [journal.latest_cursor()]


def test_a_first_run_makes_everything_and_says_so(file: Path) -> None:
    assert apply(file).splitlines() == [
        "+ service planner",
        "+ service store",
        "+ check pg",
        "    sample of store, every 60 s",
        "+ check api",
        "    sample of planner, every 30 s",
        "+ check heartbeat",
        "    push of planner, every 30 s",
        "+ api needs pg",
        "    hard",
        "+ service planner needs service store",
        "    soft",
        "FILE: 7 added, 0 changed, 0 removed",
    ]
    pg = Check.objects.get(name="pg")
    assert (pg.managed_by, pg.interval_seconds, pg.failures_to_down) == ("fleet.yaml", 60.0, 3)
    assert Service.objects.get(name="planner").public_name == "Planner"
    assert Dependency.objects.get(child_service="planner").reason == "It keeps plans"
    assert AuditEntry.objects.filter(action="check.create").count() == 3


def test_a_second_run_changes_nothing(file: Path) -> None:
    apply(file)
    before = snapshot()
    assert apply(file) == "FILE: no change\n"
    assert snapshot() == before


def test_a_dry_run_shows_it_and_changes_nothing(file: Path) -> None:
    before = snapshot()
    shown = apply(file, dry_run=True)
    assert "+ check pg" in shown
    assert shown.endswith("FILE: dry run, 7 added, 0 changed, 0 removed\n")
    assert snapshot() == before


def test_changes_are_shown_with_their_secrets_masked(file: Path) -> None:
    apply(file)
    text = (
        FILE.replace("first-secret", "second-secret")
        .replace("criticality: high", "criticality: low")
        .replace("interval_seconds: 60", "failures_to_down: 5")
        .replace("hard: false", "hard: true")
    )
    shown = apply(file, text)
    assert shown.splitlines() == [
        "~ service planner",
        '    criticality: "high" → "low"',
        "~ check pg",
        "    interval_seconds: 60.0 → 30.0",
        "    failures_to_down: 3 → 5",
        "~ service planner needs service store",
        "    soft → hard",
        "FILE: 0 added, 3 changed, 0 removed",
    ]
    assert check_options(Check.objects.get(name="pg")).url == (
        "http://app:second-secret@db.invalid/"
    )
    again = apply(file, text.replace("second-secret", "third-secret"))
    assert again.splitlines()[:2] == ["~ check pg", "    target: a secret changed"]
    assert apply(file, text.replace("second-secret", "third-secret")) == "FILE: no change\n"


def test_a_token_that_the_site_made_stays(file: Path) -> None:
    apply(file)
    token = check_options(Check.objects.get(name="heartbeat")).token
    apply(file, FILE + "\n")
    assert check_options(Check.objects.get(name="heartbeat")).token == token


def test_a_line_that_is_taken_out_is_taken_back(file: Path) -> None:
    apply(file)
    shown = apply(file, FILE.replace("    depends_on: [pg]\n", ""))
    assert shown.splitlines() == ["- api needs pg", "FILE: 0 added, 0 changed, 1 removed"]


def test_names_may_be_keys(file: Path) -> None:
    shown = apply(
        file,
        """
services: {planner: , store: {criticality: low}}
checks:
  pg: {kind: sample, service: store, target: {url: "http://db.invalid/"}}
""",
    )
    assert shown.splitlines()[:3] == ["+ service planner", "+ service store", "+ check pg"]


# --- What the file no longer names

SHORT = """
checks:
  - {name: api, kind: sample, service: planner, target: {url: "http://api.invalid/"}}
"""


def test_what_the_file_no_longer_names_stays_without_prune(file: Path) -> None:
    apply(file)
    apply(file, SHORT)
    assert Check.objects.count() == 3
    assert Dependency.objects.count() == 1


def test_prune_removes_what_the_file_made_and_nothing_else(file: Path) -> None:
    apply(file)
    make("by-hand", service="shop")
    dependency_declare(child="by-hand", parent="api", actor=ACTOR, now=NOW)
    assert apply(file, SHORT, prune=True).splitlines() == [
        "- api needs pg",
        "- service planner needs service store",
        "- check heartbeat",
        "- check pg",
        "FILE: 0 added, 0 changed, 4 removed",
    ]
    assert set(Check.objects.values_list("name", flat=True)) == {"api", "by-hand"}
    assert Dependency.objects.count() == 1
    assert Service.objects.filter(name="store").exists()


def test_prune_is_refused_where_others_need_what_goes(file: Path) -> None:
    apply(file)
    make("by-hand", depends_on=["pg"])
    assert "FILE: checks: by-hand depend on pg" in refused(file, SHORT, prune=True)


def test_prune_takes_composites_before_what_they_combine(file: Path) -> None:
    apply(
        file,
        SHORT
        + """
  - {name: a-part, kind: sample, service: planner, target: {url: "http://a.invalid/"}}
  - name: both
    kind: sample
    service: planner
    target: {url: "http://a.invalid/", parts: [a-part]}
""",
    )
    assert "2 removed" in apply(file, SHORT, prune=True)


def test_a_check_that_was_made_by_hand_is_taken_over(file: Path) -> None:
    make("api", target={"url": "http://api.invalid/"})
    assert apply(file, SHORT).splitlines() == [
        "~ check api",
        '    managed_by: "" → "fleet.yaml"',
        "FILE: 0 added, 1 changed, 0 removed",
    ]


def test_a_check_of_another_file_is_not(file: Path) -> None:
    apply(file, name="other.yaml")
    assert "FILE: checks[0].name: The check api belongs to other.yaml." in refused(file, SHORT)


def test_what_was_changed_by_hand_is_put_back(file: Path) -> None:
    apply(file)
    api = Check.objects.get(name="api")
    check_update(check_id=api.id, changes={"enabled": False}, actor=ACTOR, now=NOW)
    assert "    enabled: false → true" in apply(file)


# --- What is wrong


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("interval_seconds: 60", "interval_seconds: 0", "checks[0].interval_seconds: interval"),
        ("count: 2", "count: two", "checks[0].target.count: count must be"),
        ("kind: push", "kind: wish", "checks[2].kind: 'wish' is no kind of check"),
        ("service: store\n", "\n", "checks[0].service: is required."),
        ("name: api", "name: pg", "checks[1].name: 'pg' stands at checks[0] already."),
        ("name: api", "name: [1]", "checks[1].name: name must be a text"),
        ("depends_on: [pg]", "depends_on: [gp]", "checks[1].depends_on[0]: There is no"),
        ("depends_on: [pg]", "depends_on: pg", "checks[1].depends_on: must be a list"),
        ("depends_on: [pg]", "depends_on: [api]", "dependencies: This would make a cycle: check"),
        ("depends_on: [pg]", "color: red", "checks[1].color: is unknown"),
        ("criticality: high", "criticality: huge", "services[0].criticality: must be one of"),
        ("criticality: high", "colour: red", "services[0].colour: is unknown"),
        ("hard: false", "hard: maybe", "dependencies[0].hard: hard must be true or false"),
        ("service:store", "service:shop", "dependencies[0].parent: There is no service 'shop'"),
        ("db.invalid", "169.254.169.254", "checks[0].target: 169.254.169.254 is link-local"),
        ("dependencies:", "dependence:", "dependence: is unknown"),
        ("services:\n", "services: [\n", "This is no YAML"),
    ],
)
def test_what_is_wrong_is_named_with_its_path_and_nothing_is_applied(
    file: Path, old: str, new: str, told: str
) -> None:
    assert old in FILE
    words = refused(file, FILE.replace(old, new, 1))
    assert words.startswith("FILE: ")
    assert told in words
    assert "first-secret" not in words


def test_all_faults_are_named_at_once(file: Path) -> None:
    text = FILE.replace("kind: push", "kind: wish").replace("count: 2", "count: two")
    assert len(refused(file, text).splitlines()) == 2


def test_the_kind_of_a_check_stays(file: Path) -> None:
    apply(file)
    text = FILE.replace("kind: push", "kind: sample").replace(
        "target: {}", 'target: {url: "http://x.invalid"}'
    )
    assert "checks[2].kind: The kind of a check never changes" in refused(file, text)


@pytest.mark.parametrize(
    "text",
    [
        "- a",
        "7",
        "checks: 7",
        "checks: [7]",
        "checks: {a: [1]}",
        "a: &a [*a]",
        "\x00",
        "!!python/x {}",
    ],
)
def test_no_text_breaks_it(file: Path, text: str) -> None:
    assert refused(file, text).startswith("FILE: ")


def test_a_file_that_is_full_of_aliases_is_refused(file: Path) -> None:
    layers = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    layers += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "at most 200000 values" in refused(file, "\n".join(layers))


def test_an_empty_file_is_no_change(file: Path) -> None:
    assert apply(file, "") == "FILE: no change\n"


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        apply(tmp_path / "none.yaml")
