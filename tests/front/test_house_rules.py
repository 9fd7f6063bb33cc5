"""What templates and assets must never hold, so that the content security policy stays strict."""

from __future__ import annotations

import re
from pathlib import Path

import plotly
import pytest
from django.template.loader import get_template

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "resilience_site" / "static"
TEMPLATES = [
    *(ROOT / "templates").rglob("*.html"),
    *(path for app in ROOT.glob("*/templates") for path in app.rglob("*.html")),
]
# A mail carries its looks with it; no policy of the site applies where it is read.
PAGES = [path for path in TEMPLATES if path.name != "mail.html"]
ASSETS = [*STATIC.rglob("*.css"), *STATIC.rglob("*.js")]
MOST_LINES = 400

FORBIDDEN = {
    "style attribute": r"<[^>]*\sstyle\s*=",
    "event handler": r"<[^>]*\son[a-z]+\s*=",
    "htmx event handler": r"hx-on",
    "javascript value": r"\bjs:|javascript:",
    # A block of data is not run.
    "inline script": r"<script(?![^>]*\ssrc=)(?! type=\"application/json\")",
    "inline style sheet": r"<style",
    "foreign address": r"(?:src|href|action)=[\"'](?:https?:)?//",
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def that_hold(paths: list[Path], pattern: str) -> list[str]:
    """The names of those that hold what matches."""
    sought = re.compile(pattern, re.I)
    return [name_of(path) for path in paths if sought.search(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_templates_hold_nothing_that_the_policy_forbids(what: str) -> None:
    assert that_hold(PAGES, FORBIDDEN[what]) == []


def test_templates_compile() -> None:
    for path in TEMPLATES:
        folder = next(each for each in path.parents if each.name == "templates")
        get_template(str(path.relative_to(folder)))


def test_files_stay_short() -> None:
    assert {
        name_of(path): lines
        for path in [*TEMPLATES, *ASSETS]
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    } == {}


def test_assets_name_no_foreign_address() -> None:
    assert that_hold(ASSETS, r"https?://") == []


def test_every_token_that_a_sheet_uses_is_defined() -> None:
    sheets = "".join(path.read_text(encoding="utf-8") for path in STATIC.rglob("*.css"))
    used = set(re.findall(r"var\((--[a-z0-9-]+)", sheets))
    assert used - set(re.findall(r"(--[a-z0-9-]+)\s*:", sheets)) == set()


def test_every_colour_that_charts_take_is_a_token() -> None:
    layout = (STATIC / "js" / "chart_layout.js").read_text(encoding="utf-8")
    tokens = (STATIC / "css" / "tokens.css").read_text(encoding="utf-8")
    names = re.findall(r'^ {2}"(--[a-z0-9-]+)",$', layout, re.M)
    assert names
    assert [name for name in names if f"{name}:" not in tokens] == []


def test_the_map_style_sheet_of_the_charting_library_is_still_left_out() -> None:
    layout = (STATIC / "js" / "chart_layout.js").read_text(encoding="utf-8")
    taken = re.search(r'MAP_STYLE_ID = "([0-9a-f]+)"', layout)
    assert taken is not None
    library = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    assert f'getElementById("{taken[1]}")' in library.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "path", sorted((ROOT / "templates" / "components").glob("*.html")), ids=name_of
)
def test_every_component_is_used(path: Path) -> None:
    places = [*TEMPLATES, *(ROOT / "resilience_site" / "core" / "templatetags").glob("*.py")]
    wanted = f'components/{path.name}"'
    assert any(wanted in place.read_text(encoding="utf-8") for place in places)
