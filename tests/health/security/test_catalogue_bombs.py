"""Files of catalogues that are made to hurt: refused as what they are, in bounded time."""

from __future__ import annotations

import time

import pytest

from health.services.catalogue_file import catalogue_parse
from resilience_site.core.problems import Invalid


def merges() -> str:
    """Many merge keys, each of which takes over a large mapping."""
    pairs = ", ".join(f"k{number}: 1" for number in range(40_000))
    return f"- &a {{{pairs}}}\n- <<: [{', '.join(['*a'] * 100_000)}]"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(merges(), id="merge keys that multiply"),
        pytest.param("x: 1" + ":59" * 300_000, id="a number to the base of 60"),
        pytest.param("x: " + "9" * 900_000, id="a number of a million digits"),
        pytest.param("[" * 500_000, id="nested flow"),
        pytest.param("- " * 400_000, id="nested block"),
    ],
)
def test_a_bomb_is_refused_at_once(text: str) -> None:
    began = time.process_time()
    with pytest.raises(Invalid):
        catalogue_parse(text)
    assert time.process_time() - began < 30


@pytest.mark.parametrize(
    "text",
    ["x: !!bool foo", "x: !!int ''", "x: !!timestamp foo", "x: !!float y", "x: 1" + ":59" * 400 + ".5",
     "x: 2024-13-45", "x: 2001-12-14t21:59:43-99:99"],
)  # fmt: skip
def test_a_value_that_is_none_of_its_tag_is_no_yaml(text: str) -> None:
    with pytest.raises(Invalid, match="no YAML"):
        catalogue_parse(text)
