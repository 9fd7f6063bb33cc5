"""The numbers of a condition are tuned in fields of their own, beside its JSON."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from alerting.domain.rules.conditions import condition_read
from alerting.domain.rules.numbers import condition_numbers, number_set
from alerting.models import AlertRule
from alerting.services.rules.shipped import rules_ship, rules_shipped
from tests.alerting.rules.history import at

SPIKE = "/alerts/rules/error_correlation_spike/edit"


@pytest.mark.parametrize("name", sorted(rules_shipped()))
def test_each_number_stands_in_the_condition_where_its_path_says(name: str) -> None:
    condition = condition_read(rules_shipped()[name].condition)
    for number in condition_numbers(condition):
        other = 14 if number.path == "baseline.days" else 120
        changed = number_set(rules_shipped()[name].condition, number.path, other)
        (same,) = [n for n in condition_numbers(condition_read(changed)) if n.path == number.path]
        assert same.value == other
        if number.optional:
            gone = number_set(changed, number.path, None)
            assert number.path not in gone


def test_every_number_of_a_condition_has_a_field() -> None:
    """All that is a number in the schema, but the row of the table of burn rates."""
    for form in rules_shipped().values():
        condition = condition_read(form.condition)
        paths = {each.path for each in condition_numbers(condition)}
        numbers = set()
        for name, value in condition.model_dump().items():
            parts = value.items() if name == "baseline" and value else [("", value)]
            numbers |= {
                f"{name}.{part}".rstrip(".")
                for part, found in parts
                if isinstance(found, int | float) and not isinstance(found, bool)
            }
        metric = getattr(condition, "metric", "")
        assert numbers - paths <= {"long_seconds"} | ({"minimum"} if metric == "chains" else set())


class Page:
    """The form of a rule as somebody has it open: its fields, sent back as they stand."""

    def __init__(self, client: Client, path: str) -> None:
        self.client, self.path = client, path
        self.read(client.get(path).content.decode())

    def read(self, html: str) -> None:
        self.html = html
        self.fields = {
            m["name"]: unescape(m["value"])
            for m in re.finditer(
                r'<input[^>]* name="(?P<name>[^"]+)" value="(?P<value>[^"]*)"', html
            )
        }
        for area in re.finditer(r'<textarea[^>]* name="([^"]+)"[^>]*>([^<]*)<', html):
            self.fields[area[1]] = unescape(area[2])
        self.fields |= {"enabled": "on", "severity": "page"}

    def send(self, act: str = "save", **changed: str) -> Any:
        sent = {**self.fields, "act": act}
        sent |= {name.replace("__", "."): value for name, value in changed.items()}
        answer = self.client.post(self.path, sent)
        if answer.status_code != 302:
            self.read(answer.content.decode())
        return answer


@pytest.fixture
def page(operator: Client) -> Page:
    rules_ship(now=at(0))
    return Page(operator, SPIKE)


def stored(name: str = "error_correlation_spike") -> dict[str, Any]:
    condition: dict[str, Any] = AlertRule.objects.get(name=name).condition
    return condition


@pytest.mark.django_db
class TestTheForm:
    def test_a_threshold_is_changed_and_all_else_stays(self, page: Page) -> None:
        before = stored()
        answer = page.send(number__threshold="25", **{"number.baseline.ratio": "2.5"})
        assert answer.status_code == 302
        assert stored() == {**before, "threshold": 25, "baseline": {"ratio": 2.5, "days": 7}}

    def test_a_form_sent_back_as_it_came_changes_nothing(self, page: Page) -> None:
        before = stored()
        assert page.send().status_code == 302
        assert stored() == before

    def test_what_was_typed_is_tried_and_stays_typed_until_it_is_kept(self, page: Page) -> None:
        before = stored()
        tried = page.send("try", number__threshold="25")
        assert "It would not have fired." in re.sub(r"<[^>]+>|\s+", " ", tried.content.decode())
        assert page.fields["number.threshold"] == "25"
        assert stored() == before
        page.send()
        assert stored()["threshold"] == 25

    @pytest.mark.parametrize(
        ("typed", "said"),
        [
            ({"number.threshold": "many"}, "Give a number such as 0.05"),
            ({"number.threshold": "nan"}, "Give a number such as 0.05"),
            ({"number.threshold": "１２"}, "Give a number such as 0.05"),
            ({"number.threshold": ""}, "Give a number such as 0.05"),
            ({"number.threshold": "9" * 20}, "Give a number such as 0.05"),
            ({"number.window_seconds": "90.5"}, "Give a whole number"),
            ({"number.window_seconds": "90"}, "multiple of 60"),
        ],
    )
    def test_what_is_no_number_or_out_of_bounds_is_refused_and_stays_typed(
        self, page: Page, typed: dict[str, str], said: str
    ) -> None:
        before = stored()
        answer = page.send(**typed)
        assert answer.status_code == 422
        assert said in page.html
        assert {name: page.fields[name] for name in typed} == typed
        assert stored() == before

    def test_what_is_wrong_is_said_once_by_the_label_of_its_field(self, page: Page) -> None:
        page.send(**{"number.window_seconds": "soon"})
        assert page.html.count("Give a whole number") == 1
        assert "<b>Seconds that it is measured over</b>: Give a whole number." in page.html
        page.send(**{"number.window_seconds": "90"})
        assert page.html.count("multiple of 60") == 1
        assert "<b>Seconds that it is measured over</b>: " in page.html
        page.send(summary="{{ labels.x", **{"number.window_seconds": "300"})
        assert page.html.count("is not closed by") == 1
        assert "<b>Summary</b>: " in page.html

    @pytest.mark.parametrize("kind", ["event", "silent", "figure", "burn"])
    def test_a_new_rule_begins_with_a_condition_of_the_kind_that_was_chosen(
        self, page: Page, kind: str
    ) -> None:
        new = Page(page.client, f"/alerts/rules/new?type={kind}")
        assert f'href="?type={kind}" aria-current="true"' in new.html
        condition = json.loads(new.fields["condition"])
        numbers = condition_numbers(condition_read(condition))
        assert [each.path for each in numbers if f"number.{each.path}" not in new.fields] == []
        sent = {"name": "mine", "title": "Mine", "summary": "So it is"}
        new.path = "/alerts/rules/new"
        assert new.send(**sent).status_code == 302
        assert stored("mine") == condition
        # Whoever has typed something is not led to another beginning.
        assert new.send(**sent).status_code == 422
        assert "?type=" not in new.html

    def test_a_number_changed_in_both_places_is_asked_about(self, page: Page) -> None:
        other = json.dumps({**stored(), "threshold": 30})
        answer = page.send(number__threshold="25", condition=other)
        assert answer.status_code == 422
        assert "It is 25 in its field and 30 in the JSON." in page.html
        # Either way of making them agree is taken.
        assert page.send(condition=json.dumps({**stored(), "threshold": 25})).status_code == 302
        assert stored()["threshold"] == 25

    def test_the_json_alone_is_taken_where_no_number_was_typed(self, page: Page) -> None:
        other = {**stored(), "threshold": 30, "baseline": None}
        assert page.send(condition=json.dumps(other)).status_code == 302
        assert (stored()["threshold"], stored()["baseline"]) == (30, None)

    def test_a_number_that_the_condition_has_no_more_is_not_put_back(self, page: Page) -> None:
        other = json.dumps({k: v for k, v in stored().items() if k != "baseline"})
        answer = page.send(condition=other, **{"number.baseline.ratio": "2"})
        assert answer.status_code == 302
        assert "baseline" not in stored()

    def test_broken_json_does_not_lose_what_was_typed(self, page: Page) -> None:
        answer = page.send(condition="{", number__threshold="25")
        assert answer.status_code == 422
        assert page.fields["number.threshold"] == "25"

    def test_a_number_that_may_be_left_out_is_cleared(self, operator: Client) -> None:
        rules_ship(now=at(0))
        found = Page(operator, "/alerts/rules/breaker_open/edit")
        assert found.fields["number.resolve_after_seconds"] == "21600"
        assert found.send(number__resolve_after_seconds="").status_code == 302
        assert "resolve_after_seconds" not in stored("breaker_open")

    def test_a_row_of_burn_rates_has_no_numbers_of_its_own(self, operator: Client) -> None:
        rules_ship(now=at(0))
        found = Page(operator, "/alerts/rules/slo_burn/edit")
        assert not [name for name in found.fields if name.startswith("number.")]
        assert found.send().status_code == 302
