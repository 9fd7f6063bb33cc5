"""The screens of objectives: what they say, what they let people do, what they cost."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import time_machine
from django.test import Client

from analytics.models import Slo
from analytics.selectors.slos import slo_figures
from tests.analytics.slos.scenes import NOW, fleet, known, probed, slo
from tests.queries import pinned, queries_of

pytestmark = pytest.mark.usefixtures("store")
FORM = {
    "objective": "99.5", "window_days": "30", "min_bad": "20", "enabled": "on", "version": "1",
    "reason": "agreed", "next": "",
}  # fmt: skip


def page(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_list_says_what_needs_somebody_first_and_every_number_its_denominator(
    viewer: Client, still: datetime
) -> None:
    rows = fleet(still)
    text = page(viewer, "/slos")
    order = ["burning", "exhausted", "spending", "ok", "no_data", "off"]
    states = [each.state for each in slo_figures(rows.values(), still)]
    assert states == ["ok", "spending", "exhausted", "burning", "ok", "ok", "no_data", "off"]
    places = [text.index(f'id="slo-{rows[name].id}"') for name in order]
    assert places == sorted(places)
    for words in (
        "2 of 3,000, last 1 h", "99 % of calls within 300 ms over 7 d", "99.9 % availability over 30 d",
        "11 min down of 24 min", "no calls, last 30 d",
    ):  # fmt: skip
        assert words in text, words
    assert "Set an objective" not in text
    only = page(viewer, "/slos?state=burning")
    assert str(rows["burning"].id) in only
    assert str(rows["ok"].id) not in only
    assert "Nothing fits these filters" in page(viewer, "/slos?service=nobody")
    part = viewer.get("/slos", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part


def test_the_page_of_one_says_which_rows_hold_and_why(viewer: Client, still: datetime) -> None:
    rows = fleet(still)
    text = page(viewer, f"/slos/{rows['burning'].id}")
    for words in (
        "Holds: page", "At 14.4 or faster: burns at 25", "of 3,600 calls failed, last 1 h",
        "calls somebody at once", "Entry calls that ended in an error are bad",
        "10 bad calls in the long window",
    ):  # fmt: skip
        assert words in text, words
    late = page(viewer, f"/slos/{rows['latency'].id}")
    assert "those between 300 ms and" in late
    of_time = page(viewer, f"/slos/{rows['checks'].id}")
    assert "maintenance and time of which nothing is known are not counted" in of_time
    assert "Change</a>" not in text
    assert viewer.get("/slos/01890a5d-ac96-774b-bcce-b302099a8057").status_code == 404


def test_objectives_of_runs_say_so_everywhere(viewer: Client, still: datetime) -> None:
    _, row = probed(still)
    listed = page(viewer, "/slos")
    for words in (
        "99 % of runs within 300 ms over 30 d",
        "24 of 120, last 1 h",
        "by checks",
        " probes",
    ):
        assert words in listed, words
    text = page(viewer, f"/slos/{row.id}")
    for words in (
        "Runs of its critical checks that took longer than 325 ms are too slow",
        "those between 300 ms and 325 ms cannot be told apart", "3 bad runs in the long window",
        "24 too slow of 29 allowed, 2,880 runs, last 30 d", "29 runs", "Holds: page",
        "At 14.4 or faster: burns at 20 (20 %: 24 of 120 runs too slow, last 1 h)",
        "its critical checks<span", " probes",
    ):  # fmt: skip
        assert words in text, words
    days = viewer.get(f"/charts/slo-budget.json?slo={row.id}").json()["data"]
    assert sum(each or 0 for each in days[0]["y"]) == pytest.approx(100 * 24 / 28.8, abs=0.01)
    assert any("runs" in each for each in days[0]["text"])


def test_an_objective_of_runs_is_set_by_the_form(operator: Client, still: datetime) -> None:
    probed(still)
    form = page(operator, "/slos/new?service=search")
    assert "its critical checks" in form
    assert "more runs than two of each check" in form
    given = {
        "service": "search", "kind": "latency", "source": "checks", "objective": "99",
        "window_days": "7", "threshold_ms": "", "min_bad": "", "next": "",
    }  # fmt: skip
    for threshold, words in (("", "on a run is too slow"), ("10000", "give up after 10 s")):
        wrong = operator.post("/slos/new", given | {"threshold_ms": threshold})
        assert (wrong.status_code, words in wrong.content.decode()) == (422, True)
    assert operator.post("/slos/new", given | {"threshold_ms": "250"}).status_code == 302
    row = Slo.objects.get(window_days=7)
    assert (row.source, row.kind, row.min_bad, row.threshold_ms) == ("checks", "latency", 3, 250.0)
    assert "Guard, bad runs" in page(operator, f"/slos/{row.id}/edit")


def test_the_chart_holds_what_its_table_says(viewer: Client, still: datetime) -> None:
    rows = fleet(still)
    for each in rows.values():
        figure = viewer.get(f"/charts/slo-budget.json?slo={each.id}").json()
        bars, line = figure["data"]
        assert len(bars["x"]) == len(line["x"]) == each.window_days
    spent = viewer.get(f"/charts/slo-budget.json?slo={rows['checks'].id}").json()["data"]
    assert sum(each or 0 for each in spent[0]["y"]) == pytest.approx(100 - spent[1]["y"][-1])
    for wrong in ("", "?slo=x", "?slo=01890a5d-ac96-774b-bcce-b302099a8057"):
        assert viewer.get(f"/charts/slo-budget.json{wrong}").status_code == 400


def test_an_empty_list_teaches(viewer: Client, operator: Client) -> None:
    assert "Nothing has been received yet" in page(viewer, "/slos")
    slo("here", deleted_at=datetime.now(UTC))
    known("here")
    assert "gets an objective of availability within a minute" in page(viewer, "/slos")
    assert 'href="/slos/new"' in page(operator, "/slos")


def test_an_objective_for_a_service_that_nothing_is_known_of_says_so_with_near_names(
    operator: Client,
) -> None:
    known("planner-mcp-server")
    for name, said in (
        ("planner-mcp-servr", "Of similar names there is planner-mcp-server."),
        ("mailer", "nothing counts until it sends something."),
        ("planner-mcp-server", ""),
    ):
        given = FORM | {"service": name, "kind": "availability", "source": ""}
        text = operator.post("/slos/new", given, follow=True).content.decode()
        assert (f"Nothing is known of a service {name} yet" in text) == bool(said)
        assert said in text
    assert Slo.objects.count() == 3


def test_an_operator_sets_changes_and_deletes_by_forms(operator: Client) -> None:
    assert "Objective, percent" in page(operator, "/slos/new?service=planner")
    wrong = operator.post(
        "/slos/new", FORM | {"service": "planner", "kind": "availability", "objective": "x"}
    )
    assert wrong.status_code == 422
    assert b"objective must be a number" in wrong.content
    given = FORM | {"service": "planner", "kind": "availability", "objective": "99.9", "source": ""}
    assert operator.post("/slos/new", given).status_code == 302
    row = Slo.objects.get()
    assert (row.objective, row.min_bad, row.created_by) == (0.999, 20, "a-operator")
    edit = f"/slos/{row.id}/edit"
    assert 'value="99.9"' in page(operator, edit)
    unsaid = operator.post(edit, FORM | {"reason": ""})
    assert (unsaid.status_code, b"Say why" in unsaid.content) == (422, True)
    done = operator.post(edit, {name: value for name, value in FORM.items() if name != "enabled"})
    assert (done.status_code, done.headers["Location"]) == (302, f"/slos/{row.id}")
    row.refresh_from_db()
    assert (row.objective, row.enabled, row.version) == (0.995, False, 2)
    stale = operator.post(edit, FORM)
    assert stale.status_code == 409
    assert b"Somebody else was quicker" in stale.content
    assert b'name="version" value="2"' in stale.content
    assert "agreed" in page(operator, f"/slos/{row.id}")
    delete = f"/slos/{row.id}/delete"
    assert "Nobody is called any more" in page(operator, delete)
    assert operator.post(delete, {"reason": "", "version": "2"}).status_code == 422
    assert operator.post(delete, {"reason": "moved", "version": "2"}).status_code == 302
    assert operator.get(f"/slos/{row.id}").status_code == 404


def test_the_screens_take_their_pinned_number_of_queries_whatever_they_show(
    viewer: Client,
) -> None:
    lines = pinned(__file__)
    # Whole hours have one bound less.
    with time_machine.travel(NOW):
        rows = fleet(NOW)
        places = {"slo": rows["burning"].id, "checked": rows["checks"].id}
        places["probed"] = probed(NOW)[1].id
        assert {line: queries_of(viewer, line.format(**places)) for line in lines} == lines
        for number in range(5):
            slo(f"more-{number}")
        assert queries_of(viewer, "/slos") == lines["/slos"]
