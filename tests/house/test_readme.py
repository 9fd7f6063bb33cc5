"""The README's promises about where things are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STORY = ROOT.parent / "shared" / "seed" / "story-2.4-error-handling-and-resilience.md"


def rows() -> dict[str, str]:
    """The table of story files: what stands in the second column, by story file."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.split("### Story file → module here", 1)[1]
    return dict(re.findall(r"^\| `([^`]+)` \| (.+?) \|$", table, re.M))


def test_each_module_that_the_table_names_exists() -> None:
    named = [target.strip("`") for target in rows().values() if target.startswith("`")]
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_a_story_file_without_a_module_says_what_it_comes_with() -> None:
    open_rows = [target for target in rows().values() if not target.startswith("`")]
    assert all(target.startswith("comes with ") for target in open_rows)


def test_the_table_covers_the_whole_source_tree_of_the_story() -> None:
    if not STORY.exists():
        pytest.skip("the story stands beside the checkout, and is absent here")
    tree = STORY.read_text(encoding="utf-8").split("planner-mcp-server/", 1)[1].split("```", 1)[0]
    names = set(re.findall(r"(\w+\.py)\b", tree))
    assert {path.rsplit("/", 1)[1] for path in rows()} == names


def test_every_picture_of_the_readme_exists() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert pictures
    assert [path for path in pictures if not (ROOT / path).is_file()] == []
