"""What checks expect: status codes, JSON paths, options, and secrets that must not show."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from health.checks.jsonpaths import NoJson, compiled, found_in, same
from health.checks.options import OptionError, options_from, require_host
from health.checks.secrecy import body_secret_parts, secret_parts, url_secret_parts
from health.checks.statuses import statuses

codes = st.integers(100, 599)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


class TestStatuses:
    @given(st.lists(st.tuples(codes, codes).map(sorted), min_size=1), codes, st.booleans())
    def test_a_code_is_expected_if_a_range_holds_it(
        self, ranges: list[list[int]], code: int, as_list: bool
    ) -> None:
        parts = [str(low) if low == high else f"{low} - {high}" for low, high in ranges]
        found = statuses(tuple(parts) if as_list else ", ".join(parts))
        assert (code in found) == any(low <= code <= high for low, high in ranges)

    @given(st.lists(st.tuples(codes, codes).map(sorted), min_size=1))
    def test_what_is_written_back_means_the_same(self, ranges: list[list[int]]) -> None:
        found = statuses(tuple(f"{low}-{high}" for low, high in ranges))
        assert statuses(str(found)) == found

    @given(st.text(max_size=12))
    def test_any_other_text_is_refused_in_words(self, text: str) -> None:
        words, ranges = "must ", ()
        try:
            ranges = statuses(text).ranges
        except ValueError as error:
            words = str(error)
        assert words.startswith("must ")
        assert all(100 <= low <= high <= 599 for low, high in ranges)

    @pytest.mark.parametrize(
        "text", ["", "2xx", "99", "600", "299-200", "200-", "-200", "200,,204"]
    )
    def test_refusals(self, text: str) -> None:
        with pytest.raises(ValueError, match="must be"):
            statuses(text)


class TestJsonPaths:
    @given(json_values)
    def test_the_root_is_the_document(self, value: Any) -> None:
        (found,) = found_in(json.dumps(value).encode("utf-8", "surrogatepass"), "$")
        assert same(found, value)

    @given(json_values, json_values)
    def test_equality_is_that_of_json(self, one: Any, other: Any) -> None:
        assert same(one, other) == (
            json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
        )

    def test_numbers_are_equal_by_value_and_no_booleans(self) -> None:
        assert same(1, 1.0)
        assert not same(True, 1)
        assert not same([0], [False])

    @pytest.mark.parametrize(
        "path", ["$..a..b", "$['a','b']", "$[0,1]", "$[?@.a==$.b]", "$[?match(@.a,'x')]", "a", ""]
    )
    def test_paths_that_could_take_for_ever_are_refused(self, path: str) -> None:
        with pytest.raises(ValueError, match=r"may have|RFC 9535"):
            compiled(path)

    def test_a_large_document_takes_bounded_time(self) -> None:
        text = json.dumps([{"a": [n]} for n in range(80_000)]).encode()
        began = time.process_time()
        assert found_in(text, "$..b") == []
        assert len(found_in(text, "$[?@.a[0] >= 0].a[0]")) == 1000
        assert time.process_time() - began < 30

    def test_deep_documents_are_refused(self) -> None:
        for depth, path in ((5000, "$.a"), (900, "$..a")):
            with pytest.raises(NoJson, match=r"nested too deeply|depth"):
                found_in(b"[" * depth + b"]" * depth, path)


@dataclass(frozen=True)
class Sample:
    name: str
    port: int = 1
    ratio: float = 0.5
    flag: bool = False
    maybe: str | None = None
    codes: str | int | tuple[str | int, ...] = ()
    pairs: Mapping[str, str] = field(default_factory=dict)
    anything: Any = 0


class TestOptions:
    def test_types_are_read(self) -> None:
        read = options_from(
            Sample,
            {
                "name": "a",
                "port": 2.0,
                "ratio": 1,
                "maybe": None,
                "codes": [1, "2"],
                "pairs": {"a": "b"},
                "anything": None,
            },
        )
        assert read == Sample("a", 2, 1.0, False, None, (1, "2"), {"a": "b"}, None)
        assert isinstance(read.port, int)
        assert isinstance(read.ratio, float)

    @pytest.mark.parametrize(
        ("target", "option", "words"),
        [
            ({}, "name", "is required"),
            ({"name": ""}, "name", "is required"),
            ({"name": "a\x00"}, "name", "must be a text"),
            ({"name": "a", "port": True}, "port", "must be a whole number"),
            ({"name": "a", "port": 1.5}, "port", "must be a whole number"),
            ({"name": "a", "ratio": float("inf")}, "ratio", "must be a number"),
            ({"name": "a", "ratio": float("nan")}, "ratio", "must be a number"),
            ({"name": "a", "flag": 1}, "flag", "must be true or false"),
            ({"name": "a", "maybe": 1}, "maybe", "must be a text or null"),
            (
                {"name": "a", "codes": [None]},
                "codes",
                "must be a text or a whole number or a list, each a text or a whole number",
            ),
            ({"name": "a", "pairs": {"a": 1}}, "pairs", "must be an object of texts"),
            ({"name": "a", "more": 1}, "more", "is unknown"),
            (["name"], "target", "must be an object of options"),
        ],
    )
    def test_what_does_not_fit_is_named(self, target: Any, option: str, words: str) -> None:
        with pytest.raises(OptionError) as caught:
            options_from(Sample, target)
        assert caught.value.option == option
        assert caught.value.message.startswith(words)

    @given(st.dictionaries(st.sampled_from([*Sample.__dataclass_fields__, "x"]), json_values))
    def test_any_json_is_read_or_refused_with_the_option(self, target: dict[str, Any]) -> None:
        refused = None
        try:
            options_from(Sample, target)
        except OptionError as error:
            refused = error.option
        assert refused in {*Sample.__dataclass_fields__, "x", None}
        if "x" in target:
            assert refused

    @pytest.mark.parametrize(
        "host", ["a", "a.example.", "127.0.0.1", "::1", "[::1]", "a_b", "münchen.de"]
    )
    def test_hosts(self, host: str) -> None:
        require_host("host", host)

    @pytest.mark.parametrize(
        "host", ["", ".", "a b", "a/b", "a@b", "a\nb", "http://a", "a?b", "x" * 254, "a..b"]
    )
    def test_what_is_no_host(self, host: str) -> None:
        with pytest.raises(OptionError):
            require_host("host", host)


class TestSecrets:
    def test_parts_of_headers(self) -> None:
        parts = secret_parts({"Authorization": "Bearer abcdef", "X": "yes"})
        assert parts == {"Bearer abcdef", "Bearer", "abcdef"}

    def test_parts_of_a_url(self) -> None:
        parts = url_secret_parts("https://u:pa%20ss@h/p?token=a%2Bbcd&n=1")
        assert parts == {"pa%20ss", "pa ss", "a%2Bbcd", "a+bcd"}

    def test_parts_of_a_body(self) -> None:
        parts = body_secret_parts('{"user": "me", "password": "hunter2hunter2"}')
        assert "hunter2hunter2" in parts
        assert "me" not in parts
        assert body_secret_parts(None) == set()
