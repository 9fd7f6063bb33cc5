"""Looking at pages in a browser: axe, both themes, a desk and a phone, what is live."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import product
from typing import Final, Literal

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Locator, Page, TimeoutError, ViewportSize, expect

RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# All that is right would be described too, element by element.
OPTIONS: Final = {"runOnly": RULES, "resultTypes": ["violations"]}
DESK: Final[ViewportSize] = {"width": 1280, "height": 900}
PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
PATIENCE: Final = 60_000
Look = tuple[Literal["light", "dark"], ViewportSize]
# Each theme and each size once; the gallery of components is looked at in all four.
LOOKS: Final[Sequence[Look]] = [("light", DESK), ("dark", PHONE)]
# A form is made of parts that other screens show in both; what may not fit is seen on a phone.
FORM_LOOKS: Final[Sequence[Look]] = [("dark", PHONE)]
ALL_LOOKS: Final[Sequence[Look]] = list(product(("light", "dark"), (DESK, PHONE)))
# A page of the site without anything on it.
_PLAIN: Final = "/livez"
# Axe takes as long for a row as for the next one. Of elements that differ in their text alone, side
# by side, the first says what there is to say; ids that are there twice are looked for before.
_REDUCE: Final = """() => {
  const shapes = new Map();
  const shape = (node) => {
    if (!shapes.has(node)) {
      const own = [...node.attributes].map(({ name, value }) =>
        ["class", "role", "type"].includes(name) || name.startsWith("data-tone") ? name + value : name);
      const text = [...node.childNodes].some((each) => each.nodeType === 3 && each.data.trim());
      shapes.set(node, `${node.tagName} ${own} ${text} (${[...node.children].map(shape)})`);
    }
    return shapes.get(node);
  };
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  for (const parent of document.querySelectorAll("main, main *")) {
    const seen = new Set();
    for (const child of [...parent.children]) {
      if (seen.has(shape(child))) child.remove();
      seen.add(shape(child));
    }
  }
  return ids.filter((id, n) => ids.indexOf(id) !== n);
}"""

_LABEL: Final = 2_000
# Longer than a page rests between two pulls, and short beside the seconds between two polls.
_BETWEEN_CHANGES: Final = 800
# Notes in `window.seenAt` when the place shows the word.
_WATCH: Final = """([place, word]) => {
  window.seenAt = null;
  new MutationObserver((_, observer) => {
    if (!document.querySelector(place)?.textContent.includes(word)) return;
    window.seenAt = Date.now();
    observer.disconnect();
  }).observe(document.body, { childList: true, subtree: true, characterData: true });
}"""


def violations(page: Page) -> list[str]:
    """What axe finds on the page as it is."""
    page.evaluate(AXE_SCRIPT)
    found = page.evaluate("options => axe.run(options).then(said => said.violations)", OPTIONS)
    return [f"{each['id']}: {[node['target'] for node in each['nodes']][:5]}" for each in found]


def overflows(page: Page) -> bool:
    """Whether the page needs sideways scrolling."""
    return bool(
        page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    )


def problems(page: Page, path: str, looks: Sequence[Look] = LOOKS) -> list[str]:
    """What is wrong with the page at `path`: for axe, or because it is wider than the window."""
    found = []
    for scheme, size in looks:
        # Set before the page is there: colours in transition from the other theme are no design,
        # and a page that is left need not be laid out anew.
        page.goto(_PLAIN)
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.set_viewport_size(size)
        page.goto(path)
        if overflows(page):
            found.append(f"{path} is wider than {size['width']}")
        found += [f"{path} has the id {each} twice" for each in page.evaluate(_REDUCE)]
        found += [f"{path} {scheme} {size['width']}: {each}" for each in violations(page)]
    return found


def say(page: Page, word: str | re.Pattern[str]) -> None:
    """Wait until the page says so of its connection."""
    expect(page.locator("#live-word")).to_have_text(word, timeout=PATIENCE)


def show_soon(
    page: Page, place: str, changes: Iterable[tuple[str, Callable[[], datetime]]]
) -> None:
    """The page shows a change within a second and without loading anew.

    `changes` are words that `place` is to show, each with what makes it so and tells since when. A
    stall of the machine makes one late, and the next ones too: after a wake-up that could not be
    sent, none is tried for some seconds. So they go on until one was quick. The first may find a
    page cold, and is in time by chance even where the page is only polled; those after it follow
    the poll that showed the last, and are not.
    """
    page.evaluate("window.isTheSame = true")
    waits: list[float] = []
    for word, change in changes:
        page.wait_for_timeout(_BETWEEN_CHANGES)
        page.evaluate(_WATCH, [place, word])
        since = change()
        page.wait_for_function("() => window.seenAt")
        waits.append(page.evaluate("window.seenAt") - since.timestamp() * 1000)
        if waits[1:] and waits[-1] < 1_000:
            break
    else:
        raise AssertionError(f"milliseconds until changes showed: {waits}")
    assert page.evaluate("window.isTheSame")


def point_at(page: Page, spot: Callable[[], tuple[float, float]], label: Locator) -> None:
    """Point at a spot of a chart until its label shows: one that is just being drawn, or moves
    because the page around it settles, hears nothing of a pointer that rests."""
    for attempt in range(PATIENCE // _LABEL):
        x, y = spot()
        # Once: a second movement would have the chart look again, perhaps in the midst of a click.
        page.mouse.move(x + attempt % 2, y)
        with suppress(TimeoutError):
            return label.first.wait_for(timeout=_LABEL)
    raise AssertionError(f"nothing shows {label}")


def press_together(page: Page, *keys: str) -> None:
    """Press keys that mean something only in quick succession.

    By the page's clock, which stands still for it until the page is left: this machine may stall.
    """
    page.evaluate("() => { const now = Date.now(); Date.now = () => now; }")
    for key in keys:
        page.keyboard.press(key)


def press_until(page: Page, wanted: Locator) -> None:
    """Press Tab until the focus is where it is wanted."""
    for _ in range(200):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never reached {wanted}")
