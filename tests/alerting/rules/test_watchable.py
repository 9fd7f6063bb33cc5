"""The page that tells what rules can watch: all of it is there, and all of it can be named."""

from __future__ import annotations

import json
import re

import pytest
from django.test import Client

from alerting.domain.rules.catalogue import SAMPLES, kinds_of, samples_of
from alerting.domain.rules.checking import condition_check, examples
from alerting.domain.rules.conditions import condition_read
from alerting.domain.rules.facts import event_facts
from alerting.domain.rules.fields import Entry
from alerting.domain.rules.measures import FIGURES
from alerting.domain.rules.watchable import EXAMPLES, facts_told, topics_told
from alerting.services.rules.shipped import rules_ship
from alerting.services.rules.texts import text_render
from alerting.templatetags.texts import register
from alerting.views.watchable import FILTERS
from tests.alerting.rules.history import at
from tests.alerting.rules.test_screens import text


@pytest.mark.django_db
def test_what_rules_can_watch_is_all_there_and_led_to_where_rules_are_written(
    operator: Client,
) -> None:
    rules_ship(now=at(0))
    page = operator.get("/alerts/watchable").content.decode()
    names = [*SAMPLES, *FIGURES, *(kind for topic in SAMPLES for kind in kinds_of(topic))]
    assert [name for name in names if name not in page] == []
    said = text(operator.get("/alerts/watchable"))
    assert "count How many entries it takes 1 1 to 1,000" in said
    assert "error_rate Errors per call a share from 0 to 1" in said
    assert "payload.from_state facts.from_state &quot;closed&quot;" in said
    assert "{{ facts.seconds|duration }} 90 1 min 30 s" in said
    for path in ("/alerts/rules", "/alerts/rules/new", "/alerts/rules/breaker_open/edit"):
        assert 'href="/alerts/watchable"' in operator.get(path).content.decode()


def test_whatever_the_page_says_that_rules_can_name_a_rule_can_name() -> None:
    for example in EXAMPLES.values():
        condition_check(condition_read(example))
    for topic, entries in topics_told().items():
        for each in entries:
            assert len(each.fields) >= 2
            for field in each.fields:
                where = [{"field": field.path, "value": json.loads(field.example)}]
                named = {"type": "event", "topic": topic, "kinds": each.kinds}
                if not isinstance(where[0]["value"], list):
                    named["where"] = where
                condition = condition_read({**named, "labels": {"told": field.path}})
                condition_check(condition)
                (sample,) = samples_of(topic, each.kinds[0])
                entry = Entry(1, at(0), topic, each.kinds[0], sample.key, sample.state,
                              sample.service, sample.payload)  # fmt: skip
                if field.in_texts:
                    said = text_render(
                        f"{{{{ {field.in_texts} }}}}",
                        {"service": sample.service},
                        event_facts(entry, 1, None),
                    )
                    assert said == text_render("{{ facts.it }}", {}, {"it": where[0]["value"]})


def test_whatever_the_page_says_that_texts_can_name_they_can_name() -> None:
    types = {"event and silent": "event", "figure": "figure", "burn": "burn"}
    for type_, found in facts_told().items():
        ((labels, facts),) = examples(condition_read(EXAMPLES[types[type_]]))
        for name, example, _ in found:
            said = text_render(f"{{{{ {name} }}}}", labels, facts)
            assert said == text_render("{{ facts.it }}", {}, {"it": json.loads(example)})
    named = {name for told, _ in FILTERS for name in re.findall(r"\|(\w+)", told)}
    assert named == register.filters.keys()
