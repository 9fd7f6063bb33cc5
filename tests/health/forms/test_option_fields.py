"""Options of kinds as fields: each has words, and what a form shows it reads back as the same."""

from __future__ import annotations

from typing import Any

import pytest

from health.services.targets import kinds_known
from health.views.option_fields import PREFIX, number_of, options_of, target_of
from health.views.option_words import KIND_WORDS, OPTION_WORDS

KINDS = sorted(set(kinds_known()) - {"sample"})
# A target of each kind that says much.
TARGETS: dict[str, dict[str, Any]] = {
    "http": {"url": "http://a.invalid/", "headers": {"X-A": "b: c"}, "status": [200, "300-302"],
             "json_path": "$.a", "json_equals": {"b": [1, None]}, "keyword": " spaced ",
             "follow_redirects": True, "body": None, "max_body_bytes": 5},
    "tcp": {"host": "a.invalid", "port": 25, "expect": "220 ", "send": "QUIT\r\n"},
    "dns": {"name": "a.invalid", "type": "MX", "values": ["10 a.", "20 b."], "tcp": True},
    "tls": {"host": "a.invalid", "port": 443, "warn_days": 3.5, "alpn": ["h2"]},
    "smtp": {"host": "a.invalid", "tls": "starttls", "username": "u", "password": "p"},
    "postgres": {"dsn": "postgresql://u:p@a.invalid/db", "query": "SELECT 1\nFROM b",
                 "pool_warn_percent": None, "lag_warn_seconds": 2.0, "min_standbys": 1},
    "redis": {"url": "redis://a.invalid", "write": False, "role": "replica",
              "memory_warn_percent": None},
    "celery": {"broker_url": "redis://a.invalid", "queues": [], "queue_warn_length": 5},
    "mcp": {"url": "http://a.invalid/mcp", "expected_tools": ["a", "b"]},
    "microsoft_graph": {"tenant": "t", "client_id": "c", "client_secret": "s"},
    "disk": {"path": "/var", "free_warn_percent": None, "free_fail_bytes": 1e9},
    "memory": {"swap_warn_percent": 50},
    "push": {"token": "t" * 24, "grace_seconds": 5},
    "composite": {"members": ["a", "b"], "rule": "at_least", "at_least": 1},
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_every_option_of_every_kind_has_words(name: str) -> None:
    assert KIND_WORDS[name]
    kind = kinds_known()[name]
    assert set(OPTION_WORDS[name]) == {each.name for each in options_of(kind)}


@pytest.mark.parametrize("name", KINDS)
def test_a_form_that_is_sent_as_it_is_shown_changes_nothing(name: str) -> None:
    options, target = options_of(kinds_known()[name]), TARGETS[name]
    sent = {
        PREFIX + each.name: each.field(target.get(each.name, each.default), None, "").value
        for each in options
        if not each.required or each.name in target
    }
    assert target_of(options, sent, target) == (target, {})


@pytest.mark.parametrize("name", KINDS)
def test_what_is_as_by_default_is_left_out(name: str) -> None:
    options = options_of(kinds_known()[name])
    sent = {PREFIX + o.name: o.text_of(o.default) for o in options if not o.required}
    assert target_of(options, sent, {}) == ({}, {})


# What a target must not have beside a value for that to be one.
BESIDE = {
    "HEAD": ("json_path", "json_equals", "keyword"),
    "all": ("at_least",),
    "any": ("at_least",),
}
OFFERED = [
    (name, option, choice)
    for name in KINDS
    for option, words in OPTION_WORDS[name].items()
    for choice in words.choices
]


@pytest.mark.parametrize(("name", "option", "choice"), OFFERED)
def test_every_value_that_is_offered_is_one(name: str, option: str, choice: str) -> None:
    beside = BESIDE.get(choice, ())
    target = {key: value for key, value in TARGETS[name].items() if key not in beside}
    if name == "dns":
        target.pop("values")
    if (option, choice) == ("tls", "none"):
        target = {"host": "a.invalid"}
    kinds_known()[name].parse({**target, option: choice})


def test_what_cannot_be_read_is_told_by_its_option() -> None:
    options = options_of(kinds_known()["http"])
    sent = {"target.json_min": "much", "target.headers": "no colon", "target.json_equals": "{"}
    target, errors = target_of(options, sent, {})
    assert set(errors) == {"json_min", "headers", "json_equals"}
    assert target["follow_redirects" if "follow_redirects" in target else "verify_tls"] is False


@pytest.mark.parametrize(("text", "number"), [("3", 3), (" 3.50 ", 3.5), ("1e3", 1000), ("-2", -2)])
def test_numbers_are_read_as_people_write_them(text: str, number: float) -> None:
    assert number_of(text) == number
    assert type(number_of(text)) is type(number)
