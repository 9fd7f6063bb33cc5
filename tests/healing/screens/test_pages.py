"""The screens of healing, as people see them and act on them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from healing.models import HealingSwitch, HealingTarget, Quarantine, Workflow
from resilience_site.config import config
from resilience_site.core.choices import Role
from resilience_site.core.models import AuditEntry
from tests.healing.screens.scene import OWN, Scene, furnished
from tests.pages.html import PARTIAL, text_of
from tests.queries import pinned, queries_of

PINNED = pinned(__file__)
WORKFLOW = "/healing/workflows/restart_shop"


@pytest.fixture
def scene(db: None) -> Scene:
    return furnished()


def test_the_first_page_has_what_waits_for_a_person_first(viewer: Client, scene: Scene) -> None:
    page = text_of(viewer, "/healing")
    assert "1 run waits for a yes." in page
    order = ("waiting", "running", "quarantine", "opportunities", "learned", "last")
    places = [page.index(f'id="{name}"') for name in order]
    assert places == sorted(places)
    for text in ("the cooldown is 5 min", "3 runs on mill in an hour", "12/13 runs", "67 %"):
        assert text in page, text
    assert "Approve<span" not in page
    assert viewer.get("/healing", headers=PARTIAL).status_code == 200


def test_a_suggestion_leads_to_the_form_of_modes(operator: Client, scene: Scene) -> None:
    scene.failed.delete()
    # Ten of ten say that at least 72 % heal.
    page = text_of(operator, "/healing")
    assert f'href="{WORKFLOW}/mode?mode=auto"' in page
    form = text_of(operator, f"{WORKFLOW}/mode?mode=auto")
    assert 'value="auto" required checked' in form


def test_healing_is_stopped_and_started_with_a_reason(operator: Client, scene: Scene) -> None:
    form = text_of(operator, "/healing/switch")
    assert "Stop all healing" in form
    assert "?group=front" in form
    assert operator.post("/healing/switch", {"stopped": "true", "reason": ""}).status_code == 422
    sent = {"stopped": "true", "reason": "a storm", "expires_in": "900"}
    assert operator.post("/healing/switch", sent).status_code == 302
    switch = HealingSwitch.objects.get()
    assert (switch.stopped, switch.reason) == (True, "a storm")
    assert switch.expires_at is not None
    page = text_of(operator, "/healing")
    assert "All healing is stopped by a-operator." in page
    assert "/healing/switch?stopped=false" in page
    stale = {"stopped": "false", "reason": "it is over", "version": "1"}
    refused = operator.post("/healing/switch", stale)
    assert refused.status_code == 409
    assert "What stands now" in refused.content.decode()
    assert operator.post("/healing/switch", stale | {"version": "2"}).status_code == 302
    switch.refresh_from_db()
    assert switch.stopped is False


def test_a_target_is_released_from_quarantine(operator: Client, scene: Scene) -> None:
    path = f"/healing/quarantine/{scene.quarantine.pk}/release"
    assert "3 runs on mill in an hour" in text_of(operator, path)
    assert operator.post(path, {"reason": ""}).status_code == 422
    assert operator.post(path, {"reason": "mended"}).status_code == 302
    assert Quarantine.objects.get().ended_by == "a-operator"
    assert 'id="quarantine"' not in text_of(operator, "/healing")


def test_a_run_shows_its_steps_its_guardrails_and_what_can_be_done(
    operator: Client, viewer: Client, scene: Scene
) -> None:
    waiting = text_of(operator, f"/healing/runs/{scene.waiting.pk}")
    assert "It waits for a person&#x27;s yes." in waiting
    for act in ("approve", "refuse"):
        assert f"/healing/runs/{scene.waiting.pk}/{act}" in waiting
        assert f"/healing/runs/{scene.waiting.pk}/{act}" not in text_of(
            viewer, f"/healing/runs/{scene.waiting.pk}"
        )
    over = text_of(operator, f"/healing/runs/{scene.over.pk}")
    for text in (
        "It healed, and that was verified.",
        "shop:0 was pid 4711, runs as pid 4801",
        "No other run acts on shop.",
        "restart by supervisor_restart, took 9 s",
        "Failed runs before",
        "Failed runs since",
        "latency.json?",
    ):
        assert text in over, text
    assert "did not end within 10 s" in text_of(operator, f"/healing/runs/{scene.failed.pk}")


def test_approving_and_refusing_take_one_form(operator: Client, scene: Scene) -> None:
    path = f"/healing/runs/{scene.waiting.pk}"
    for act in ("approve", "refuse"):
        assert "Check shop-api of shop is down" in text_of(operator, f"{path}/{act}")
    assert operator.post(f"{path}/refuse", {"reason": ""}).status_code == 422
    assert operator.post(f"{path}/refuse", {"reason": "by hand"}).status_code == 302
    assert "It was cancelled." in text_of(operator, path)
    assert operator.post(f"{path}/approve", {}).status_code == 409


def test_runs_are_found_by_state_workflow_and_service(viewer: Client, scene: Scene) -> None:
    assert text_of(viewer, "/healing/runs").count('<tr id="r-') == 15
    assert text_of(viewer, "/healing/runs?service=bakery").count('<tr id="r-') == 1
    assert text_of(viewer, "/healing/runs?state=open").count('<tr id="r-') == 2
    assert "No run is like that" in text_of(viewer, "/healing/runs?workflow=none")
    assert viewer.get("/healing/runs?cursor=forged").status_code == 400


def test_workflows_tell_how_far_they_go_and_what_caps_them(viewer: Client, scene: Scene) -> None:
    page = text_of(viewer, "/healing/workflows")
    for text in ("Restart the shop", "Check failed", "12/13 runs", "recover_service", "never"):
        assert text in page, text
    assert "only observes" not in page
    with config.override(self_healing_enabled=False):
        capped = text_of(viewer, "/healing/workflows")
        one = text_of(viewer, WORKFLOW)
    assert "only observes: SELF_HEALING_ENABLED is false." in capped
    assert "It only observes: SELF_HEALING_ENABLED is false." in one


def test_a_workflow_is_told_in_words_and_as_text(viewer: Client, scene: Scene) -> None:
    page = text_of(viewer, WORKFLOW)
    for text in (
        "A check of shop fails.",
        "1. Restart one instance",
        "Only while the check that triggered it still fails; given up after 1 min.",
        "2 passes in a row, and no neighbour that began to fail, within 5 min",
        "3 runs an hour, 6 a day, then quarantine",
        "# Nothing of it is lost.",
        "Version 1 is the first one.",
    ):
        assert text in page, text
    assert viewer.get(WORKFLOW, headers=PARTIAL).status_code == 200
    ladder = text_of(viewer, "/healing/workflows/recover_service")
    assert "rungs: verified after each" in ladder
    assert viewer.get("/healing/workflows/none").status_code == 404


def test_a_workflow_is_changed_and_its_versions_compared(operator: Client, scene: Scene) -> None:
    path = f"{WORKFLOW}/edit"
    assert "# Nothing of it is lost." in text_of(operator, path)
    # Browsers end lines otherwise.
    changed = OWN.replace("timeout_seconds: 60", "timeout_seconds: 90").replace("\n", "\r\n")
    sent = {"text": changed, "version": "1", "reason": "it takes longer"}
    assert operator.post(path, sent).status_code == 302
    page = text_of(operator, WORKFLOW)
    assert "<del>- timeout_seconds: 60</del>" in page
    assert "<ins>+ timeout_seconds: 90</ins>" in page
    assert "Version 1 is the first one." in text_of(operator, f"{WORKFLOW}?version=1")
    stale = operator.post(path, {"text": OWN, "version": "1"})
    assert stale.status_code == 409
    answer = stale.content.decode()
    assert "Somebody else was quicker" in answer
    assert "<del>-     timeout_seconds: 90</del>" in answer
    assert 'name="version" value="2"' in answer


def test_each_fault_of_a_text_stands_with_its_line(operator: Client, scene: Scene) -> None:
    faulty = OWN.replace("action: restart", "action: dance").replace("passes: 2", "passes: no")
    answer = operator.post(f"{WORKFLOW}/edit", {"text": faulty, "version": "1"})
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "2 faults" in page
    assert "line 11: " in page
    assert "line 14: " in page
    assert "action: dance" in page
    assert AuditEntry.objects.filter(action="workflow.update.refused").count() == 1
    broken = operator.post(f"{WORKFLOW}/edit", {"text": "a: 1\nb: [\n", "version": "1"})
    assert "line 3: " in broken.content.decode()


def test_a_workflow_is_made_switched_and_deleted(operator: Client, scene: Scene) -> None:
    text = OWN.replace("restart_shop", "restart_other")
    made = operator.post("/healing/workflows/new", {"text": text})
    assert made.headers["Location"] == "/healing/workflows/restart_other"
    assert operator.post("/healing/workflows/new", {"text": text}).status_code == 422
    path = "/healing/workflows/restart_other"
    assert "It answers to nothing any more" in text_of(operator, f"{path}/enabled")
    assert operator.post(f"{path}/enabled", {"enabled": "false"}).status_code == 422
    off = {"enabled": "false", "reason": "a trial", "version": "1"}
    assert operator.post(f"{path}/enabled", off).status_code == 302
    assert Workflow.objects.get(name="restart_other").enabled is False
    assert "Off" in text_of(operator, path)
    assert operator.post(f"{path}/delete", {"version": "1"}).status_code == 302
    shipped = operator.post("/healing/workflows/restart_service/delete", {})
    assert shipped.status_code == 422


def test_a_mode_needs_a_reason(operator: Client, scene: Scene) -> None:
    path = f"{WORKFLOW}/mode"
    assert operator.post(path, {"mode": "auto", "reason": ""}).status_code == 422
    assert operator.post(path, {"mode": "dance", "reason": "why not"}).status_code == 422
    stale = operator.post(path, {"mode": "auto", "reason": "it works", "version": "9"})
    assert stale.status_code == 409
    given = {"mode": "auto", "reason": "it works", "version": "1"}
    assert operator.post(path, given).status_code == 302
    assert "a-operator" in text_of(operator, WORKFLOW)
    assert Workflow.objects.get(name="restart_shop").mode == "auto"


def test_what_would_heal_now_is_pulled_into_its_page(operator: Client, scene: Scene) -> None:
    shell = text_of(operator, "/healing/now")
    assert 'data-src="/healing/now?part=preview" data-pull="load"' in shell
    assert "Waits 1 s" not in shell
    for headers in (PARTIAL, None):
        page = text_of(operator, "/healing/now?part=preview", headers=headers)
        for text in (
            "1 failure now: none would be healed.",
            "Check shop-api of shop is down",
            "Waits 1 s, and changes nothing",
            f"/healing/opportunities/{scene.opportunity.pk}/start",
        ):
            assert text in page, text
    Workflow.objects.update(enabled=False)
    page = text_of(operator, "/healing/now?part=preview")
    assert "No workflow answers to these" in page
    assert "Waits 1 s" not in page


def test_targets_show_no_secret_and_keep_it(operator: Client, scene: Scene) -> None:
    page = text_of(operator, "/healing/targets")
    assert "Call a signed hook" in page
    assert "secret: ***" in page
    assert "/healing/targets/new?service=cellar" in page
    form = operator.get("/healing/targets/edit/shop").content.decode()
    assert "whsec" not in page + form
    before = HealingTarget.objects.get()
    kept = form[form.index("restart:\n") : form.index("</textarea>")].replace("&#x27;", "'")
    with config.override(resilience_allow_private_targets=True):
        sent = {"service": "shop", "group": "back", "ways": kept, "version": "1"}
        assert operator.post("/healing/targets/edit/shop", sent).status_code == 302
        after = HealingTarget.objects.get()
        assert (after.group, after.ways, after.version) == ("back", before.ways, 2)
        stale = operator.post("/healing/targets/edit/shop", sent | {"group": "front"})
        assert stale.status_code == 409
        wrong = {"service": "shop", "version": "2", "ways": "restart:\n  action: dance\n"}
        refused = operator.post("/healing/targets/edit/shop", wrong)
    assert refused.status_code == 422
    assert "line 2: restart.action: " in refused.content.decode()


def test_a_target_is_made_and_forgotten(operator: Client, scene: Scene) -> None:
    form = text_of(operator, "/healing/targets/new?service=cellar")
    assert 'value="cellar"' in form
    assert operator.get("/healing/targets/new?service=shop").status_code == 302
    ways = "restart: {action: wait, with: {seconds: 1}, safe_to_leave: true}"
    sent = {"service": "cellar", "ways": ways, "group": ""}
    assert operator.post("/healing/targets/new", sent).status_code == 302
    assert operator.post("/healing/targets/new", sent | {"group": "x"}).status_code == 409
    for text, told in (
        ("a: 1\nb: [\n", "line 3: "),
        ("a: {}\na: {}", "line 2: a stands there twice"),
    ):
        faulty = operator.post("/healing/targets/new", sent | {"service": "mill", "ways": text})
        assert told in faulty.content.decode()
    assert operator.post("/healing/targets/delete/cellar", {"version": "1"}).status_code == 302
    assert HealingTarget.objects.count() == 1


def test_other_pages_tell_of_the_healing_of_their_services(viewer: Client, scene: Scene) -> None:
    part = text_of(viewer, "/healing-of?service=shop&service=bakery")
    for text in (
        "1 healing run active",
        f"/healing/runs/{scene.waiting.pk}",
        f"/healing/runs/{scene.over.pk}",
        "1 failure could be healed",
    ):
        assert text in part, text
    assert f"/healing/runs/{scene.running.pk}" not in part
    assert "2 healing runs active" in text_of(viewer, "/healing-of")
    check = scene.world.checks["shop-api"].pk
    for page in ("/services/shop", f"/health/checks/{check}"):
        assert 'data-src="/healing-of?service=shop" data-pull="load"' in text_of(viewer, page)
    assert 'data-src="/healing-of" data-pull="load"' in text_of(viewer, "/")


def test_viewers_only_look(viewer: Client, scene: Scene) -> None:
    for path in (
        f"{WORKFLOW}/edit", f"{WORKFLOW}/mode", f"{WORKFLOW}/enabled", f"{WORKFLOW}/delete",
        "/healing/workflows/new", "/healing/switch", "/healing/targets/new",
        "/healing/targets/edit/shop", f"/healing/runs/{scene.waiting.pk}/approve",
    ):  # fmt: skip
        assert viewer.post(path, {}).status_code == 403, path
    assert "Stop all healing" not in text_of(viewer, "/healing")


def test_each_screen_takes_its_pinned_number_of_queries(
    as_role: Callable[[Role], Client], scene: Scene
) -> None:
    viewer = as_role(Role.VIEWER)
    found = {line: queries_of(viewer, line.format(**scene.places)) for line in PINNED}
    assert found == PINNED
