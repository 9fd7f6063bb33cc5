"""What people decide about breakers, by keyboard alone and on a phone."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from breakers.services.policies import policy_set
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Role
from resilience_site.core.models import AuditEntry
from tests.breakers import outcome_scenes, scenes
from tests.breakers.scenes import GRAPH_KEY, Scene
from tests.livesite import LiveSite
from tests.screens import PHONE, overflows, problems, say, violations

pytestmark = pytest.mark.browser

WHY = "Graph throttles at night"
# What has the focus, told apart from others, and whether that shows: on itself, or on the label
# around it.
_FOCUS = """() => {
  const outlined = (node) => {
    const { outlineStyle, outlineWidth } = getComputedStyle(node);
    return outlineStyle !== "none" && parseFloat(outlineWidth) > 0;
  };
  const at = document.activeElement;
  const nodes = [...document.querySelectorAll("*")];
  const shows = at === document.body || [at, at.closest("label")].some((each) => each && outlined(each));
  return [`${at.tagName} ${nodes.indexOf(at)} ${at.textContent.trim().slice(0, 40)}`, shows];
}"""


@pytest.fixture
def operator(page: Page, context: BrowserContext, site: LiveSite) -> Page:
    """An operator's browser, as narrow as a phone."""
    site.sign_in(context, Role.OPERATOR, "olga")
    page.set_viewport_size(PHONE)
    return page


@pytest.fixture
def graph(operator: Page) -> Scene:
    """The worst of two dozen breakers in trouble, to which the site gave two policies."""
    scene, *_ = scenes.incident(datetime.now(UTC))
    for seconds in (60, 90):
        policy_set(
            service=scene.service, name=scene.name, policy={"timeout": seconds},
            reason="Graph is slow", actor=Actor.system("ana"), role=Role.OPERATOR,
        )  # fmt: skip
    return scene


@pytest.mark.usefixtures("graph")
def test_the_question_before_a_rollback_is_accessible_and_fits(operator: Page) -> None:
    assert problems(operator, f"/breakers/{GRAPH_KEY}/policy/rollback?number=1") == []


# Where an act begins, its link and its button, what to type on the way, and what is said then.
ACTS: dict[str, tuple[str, str, str, dict[str, str], str]] = {
    "reset": (
        f"/breakers/{GRAPH_KEY}", "Reset", "Request reset", {"Reason": WHY},
        "Requested: a reset of",
    ),
    "tune": (
        f"/breakers/{GRAPH_KEY}", "Tune", "Request these settings",
        {"Open for (s)": "75", "Reason": WHY}, "Requested: policy 3 for microsoft_graph.",
    ),
    "rollback": (
        f"/breakers/{GRAPH_KEY}", "Roll back to policy 1", "Request rollback", {"Reason": WHY},
        "Requested: back to policy 1 for microsoft_graph, as policy 3.",
    ),
    "domain": (
        "/domains", "Override the domain graph-eu", "Request override", {"Reason": WHY},
        "Requested: forced open for",
    ),
}  # fmt: skip


@pytest.mark.usefixtures("graph")
@pytest.mark.parametrize("act", ACTS)
def test_each_act_is_done_by_keyboard_alone(operator: Page, act: str) -> None:
    path, link, button, fields, told = ACTS[act]
    operator.goto(path)
    say(operator, "Live")
    opener = operator.get_by_role("link", name=link, exact=True)
    go_to(operator, opener)
    operator.keyboard.press("Enter")
    dialog = operator.get_by_role("dialog")
    request = dialog.get_by_role("button", name=button)
    expect(request).to_be_visible()
    assert violations(operator) == []
    assert not overflows(operator)
    # Past the last field the first one comes again, and Escape leads back to where one was.
    go_to(operator, request)
    go_to(operator, dialog.get_by_label("Reason"))
    operator.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()
    operator.keyboard.press("Enter")
    expect(request).to_be_visible()
    for label, text in fields.items():
        go_to(operator, dialog.get_by_label(label, exact=True))
        operator.keyboard.type(text)
    go_to(operator, request)
    operator.keyboard.press("Enter")
    expect(operator.get_by_text(told)).to_be_visible()
    assert AuditEntry.objects.filter(actor="olga", reason=WHY).count() == 1


def test_a_replay_is_run_by_keyboard_alone(operator: Page, graph: Scene) -> None:
    outcome_scenes.store(graph, datetime.now(UTC), minutes=12)
    operator.goto(f"/breakers/{GRAPH_KEY}")
    go_to(operator, operator.locator("#acts").get_by_role("link", name="Replay"))
    operator.keyboard.press("Enter")
    operator.wait_for_url("**/replay")
    for label, text in (("From (UTC)", "30m"), ("Failure rate threshold", "0.3")):
        go_to(operator, operator.get_by_label(label))
        operator.keyboard.type(text)
    go_to(operator, operator.get_by_role("button", name="Replay"))
    operator.keyboard.press("Enter")
    expect(operator.get_by_text("Its transitions come out exactly")).to_be_visible()
    expect(operator.get_by_label("Failure rate threshold")).to_have_value("0.3")
    # What is too wide for a phone is scrolled by keys as well, and nothing holds them.
    go_to(operator, operator.get_by_role("region", name="Transitions, recorded"))
    go_to(operator, operator.get_by_role("button", name="Replay"))


def go_to(page: Page, wanted: Locator) -> None:
    """Press Tab until the focus is there. It shows at each place on the way, and gets away."""
    places: Counter[str] = Counter()
    while not places or not wanted.evaluate("element => element === document.activeElement"):
        page.keyboard.press("Tab")
        place, shows = page.evaluate(_FOCUS)
        places[place] += 1
        assert shows, f"the focus does not show at {place}"
        assert places[place] <= 4, f"Tab goes round in {list(places)} and never reaches {wanted}"
