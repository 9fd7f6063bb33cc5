"""Runbooks say only what is there: pages, calls of the API, commands, variables, fields."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache
from io import StringIO
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.management import call_command, get_commands, load_command_class
from django.test import Client
from django.urls import resolve

from alerting.domain.rules.conditions import EventCondition, FigureCondition, SilentCondition
from alerting.selectors.runbooks import INDEX
from alerting.services.rules.faults import RULE_FAULTY
from alerting.services.rules.shipped import rules_ship, rules_shipped
from healing.domain.definition import Guards
from healing.services.workflows.applying import SHIPPED as WORKFLOWS
from health.services.catalogue import service_ensure
from resilience_site.api import api
from resilience_site.config import config
from resilience_site.config.table import ROOT
from resilience_site.core.audit import Actor
from resilience_site.core.choices import Role, Scope
from resilience_site.core.keys import key_create
from resilience_site.embedded import postgres, site
from tests.alerting.rules.history import at
from tests.alerting.runbooks.reading import (
    KEYS,
    PLACEHOLDERS,
    Call,
    api_calls,
    commands,
    filled,
    headings,
    links,
    names,
    words_in_code,
)

ANN: Final = Actor.system("ann")
ALL: Final = [*names(), INDEX]
QUESTIONS: Final = [
    "Who is affected, how urgent", "First look", "Likely causes", "What to do",
    "How to know that it is over", "When to escalate", "Tune the rule",
]  # fmt: skip
_VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+|HOST|PORT")
_FIELD: Final = re.compile(r"[a-z]+([_.][a-z]+)+")
# Of OpenTelemetry's SDK, in the services.
_OF_OTHERS: Final = {"OTEL_EXPORTER_OTLP_ENDPOINT"}
_MANAGE: Final = [".venv/bin/python", "manage.py"]
_SUPERVISOR: Final = [".venv/bin/supervisorctl", "-c", "var/run/supervisord.conf"]
VARIABLES: Final = {*config.variables(), *_OF_OTHERS, *PLACEHOLDERS}


@lru_cache
def schema_of_api() -> dict[str, Any]:
    return api.get_openapi_schema()


@lru_cache
def vocabulary() -> set[str]:
    """Every name that the API, conditions of rules and workflows of healing have."""
    kinds = (EventCondition, SilentCondition, FigureCondition)
    forms = [each.model_json_schema() for each in kinds]
    told = json.dumps([schema_of_api(), forms]) + WORKFLOWS.read_text(encoding="utf-8")
    return {*re.findall(r"[a-z_]+", told), *Guards.model_fields, *rules_shipped(), RULE_FAULTY}


def test_each_shipped_rule_has_a_runbook_and_no_runbook_is_without_a_rule() -> None:
    assert names() == sorted([*rules_shipped(), RULE_FAULTY])
    assert len(names()) > 20


def test_the_index_leads_to_each_of_them_and_the_words_are_those_of_the_rules() -> None:
    told = {link.removesuffix(".md") for link in links(INDEX) if link.endswith(".md")}
    assert told == set(names())
    titles = {name: form.title for name, form in rules_shipped().items()}
    assert {name: headings(name, "h1") for name in titles} == {
        name: [title] for name, title in titles.items()
    }


@pytest.mark.parametrize("name", names())
def test_each_answers_the_questions_of_somebody_who_was_woken(name: str) -> None:
    assert headings(name, "h2") == QUESTIONS


@pytest.mark.django_db
def test_each_page_that_they_link_to_answers(as_role: Callable[[Role], Client]) -> None:
    rules_ship(now=at(0))
    admin = as_role(Role.ADMIN)
    linked = {link for name in ALL for link in links(name)}
    assert {link for link in linked if not link.startswith("/")} == {
        f"{name}.md" for name in names()
    }
    pages = sorted(link for link in linked if link.startswith("/"))
    assert len(pages) > 20
    answers = {path: admin.get(path, follow=True).status_code for path in pages}
    assert answers == dict.fromkeys(pages, 200)


@pytest.mark.parametrize("name", ALL)
def test_each_path_that_they_name_is_one_of_the_site(name: str) -> None:
    for word in words_in_code(name):
        if word.startswith("/"):
            resolve(filled(word))


@pytest.mark.django_db
def test_each_call_of_the_api_is_taken_as_it_stands() -> None:
    service_ensure(name="planner", now=at(0), entries=[])
    rules_ship(now=at(0))
    call_command("healing_apply", stdout=StringIO())
    made = {scope: key_create(name=scope, scope=Scope(scope), actor=ANN) for scope in KEYS.values()}
    calls = [call for name in ALL for call in api_calls(name)]
    assert len(calls) > 50
    refused = []
    for call in calls:
        _known(call)
        answer = Client().generic(
            call.method,
            filled(call.path),
            filled(call.body).encode(),
            content_type="application/x-www-form-urlencoded",
            headers={"Authorization": f"Bearer {made[call.key][1]}"},
        )
        # Nothing is there under most of the names that were put in.
        missing = answer.status_code == 404 and call.asks
        if answer.status_code not in (200, 201, 202, 204) and not missing:
            refused.append(f"{call}: {answer.status_code} {answer.content!r}")
    assert "\n".join(refused) == ""


def _known(call: Call) -> None:
    """The API describes that method of that path, its parameters and the fields of its body."""
    parts = urlsplit(filled(call.path))
    operation = _operation(call.method.lower(), parts.path)
    parameters = {each["name"] for each in operation.get("parameters", ())}
    assert set(parse_qs(parts.query)) <= parameters, call
    # Posted errors are read by the pipeline itself, which refuses what it cannot read.
    if call.body and parts.path != "/api/v1/errors":
        content = next(iter(operation["requestBody"]["content"].values()))
        assert call.fields <= set(_properties(content["schema"])), call


def _operation(method: str, path: str) -> dict[str, Any]:
    for template, operations in schema_of_api()["paths"].items():
        pattern = re.sub(r"\{[^}]+\}", "[^/]+", template)
        if method in operations and re.fullmatch(pattern, path):
            found: dict[str, Any] = operations[method]
            return found
    raise AssertionError(f"the API has no {method} {path}")


def _properties(schema: dict[str, Any]) -> list[str]:
    """The names of fields, of a schema or of those that it refers to."""
    found = list(schema.get("properties", ()))
    for each in [
        schema,
        *schema.get("anyOf", ()),
        *schema.get("allOf", ()),
        schema.get("items", {}),
    ]:
        reference = each.get("$ref", "")
        if reference:
            found += _properties(
                schema_of_api()["components"]["schemas"][reference.rsplit("/")[-1]]
            )
    return found


@pytest.mark.parametrize("name", ALL)
def test_each_command_is_there_and_takes_what_it_is_given(name: str) -> None:
    known = {each.name for each in site.site_programs()}
    copies = {f"web:web-{n}" for n in range(config.resilience_web_processes)}
    words = [word.split() for word in words_in_code(name) if word.startswith("manage.py ")]
    for command in [*commands(name), *words]:
        if command[0] == "manage.py":
            _manage(command[1:])
        elif command[:2] == _MANAGE:
            _manage(command[2:])
        elif command[:3] == _SUPERVISOR:
            assert command[3:] == ["status"] or (
                command[3] == "restart" and {*command[4:]} <= known | copies
            ), command
        elif command[0] == "tail":
            assert [each for each in command[3:] if not _is_log(each)] == []
        else:
            assert command[0] in ("curl", "df"), command


def _manage(words: list[str]) -> None:
    app = get_commands()[words[0]]
    command = load_command_class(app, words[0]) if isinstance(app, str) else app
    command.create_parser("manage.py", words[0]).parse_args([filled(word) for word in words[1:]])


def _is_log(path: str) -> bool:
    found = re.fullmatch(r"var/logs/([a-z]+)(-\d)?\.log", path)
    if found is None:
        return False
    copies = {each.name: each.copies for each in site.site_programs()}
    copies |= {postgres.NAME: 1, "valkey": 1}
    return (copies.get(found[1], 0) > 1) == bool(found[2]) and found[1] in copies


@pytest.mark.parametrize("name", ALL)
def test_each_word_in_code_is_one_that_the_site_knows(name: str) -> None:
    """Variables, fields and states as a reader would copy them: a slip in one leads nowhere."""
    for word in words_in_code(name):
        if _VARIABLE.fullmatch(word):
            assert word in VARIABLES, word
        elif _FIELD.fullmatch(word):
            parts = word.split(".")
            assert [part for part in parts if part not in vocabulary()] == [], word
        elif word.startswith("var/logs/"):
            assert _is_log(word), word
        elif word.startswith(("docs/", "alerting/")):
            assert (ROOT / word).exists(), word


def test_each_placeholder_is_told_apart_from_what_is_there() -> None:
    """What is left in capitals in a command is either filled in by the reader or a variable."""
    capitals = re.compile(r"\b[A-Z][A-Z_]{2,}\b")
    allowed = {
        *PLACEHOLDERS, "SITE", "AUTH", "YOUR_OPERATOR_KEY", "YOUR_INGEST_KEY", "HOST", "PORT",
        "GET", "POST", "PUT", "PATCH", "DELETE",
    }  # fmt: skip
    found = {
        word
        for name in ALL
        for command in commands(name)
        for word in capitals.findall(" ".join(command))
    }
    assert found <= allowed
