"""What actions say, before it is kept."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healing.domain.output import MOST_BYTES, output_clean, values_clean


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Authorization: Bearer abcdefghijkl", "Authorization: Bearer ***"),
        ("postgres://app:hunter2@db/shop refused", "postgres://app:***@db/shop refused"),
        ("password=hunter2 user=app", "password=*** user=app"),
        ('{"api_key": "hunter2", "n": 1}', '{"api_key": ***, "n": 1}'),
        (r'{"password": "hun\"ter2", "n": 1}', '{"password": ***, "n": 1}'),
        ("Authorization: Token hunter2", "Authorization: *** ***"),
        ("host=db pwd=hunter2", "host=db pwd=***"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----",
        ),
        ("-----BEGIN PRIVATE KEY-----\nMIIE, cut short", "-----BEGIN PRIVATE KEY-----***"),
        ("restarted web, pid 17 → 23", "restarted web, pid 17 → 23"),
        ("a\0b", "a\N{REPLACEMENT CHARACTER}b"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(said: str, kept: str) -> None:
    assert output_clean(said) == kept


def test_known_secrets_are_hidden_also_as_urls_spell_them() -> None:
    assert output_clean("it was s3 cret and s3%20cret", ["s3 cret"]) == "it was *** and ***"


@pytest.mark.parametrize("said", ["x" * 70_000, "€" * 70_000, "x" * 10_000_000])
def test_it_is_cut_at_64_kib(said: str) -> None:
    kept = output_clean(said)
    assert len(kept.encode()) <= MOST_BYTES
    assert kept.endswith("(cut: more than 64 KiB)")


@pytest.mark.parametrize("gap", [" ", "%20"])
@pytest.mark.parametrize("size", range(900, 910))
def test_no_part_of_a_secret_is_left_where_it_is_cut(gap: str, size: int) -> None:
    secret = f"the key{' ' * 10}" + "0123456789" * 99 + "z" * size
    said = (secret.replace(" ", gap) + "\n") * 300
    kept = output_clean(said, [secret, "z" * size])
    assert set(kept.split("\n")) == {"***", "", "… (cut: more than 64 KiB)"}


@given(st.text(), st.lists(st.text(min_size=1), max_size=3))
def test_any_text_can_be_kept(said: str, secrets: list[str]) -> None:
    kept = output_clean(said, secrets)
    assert "\0" not in kept
    kept.encode()


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(anything)
def test_any_value_becomes_json_that_postgresql_takes(value: object) -> None:
    text = json.dumps(values_clean(value), allow_nan=False)
    assert "\\u0000" not in text
