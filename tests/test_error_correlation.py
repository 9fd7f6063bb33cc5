"""Which errors belong together: in one process, and with what the site knows of the others."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from analytics.services.chains import chains_build
from analytics.services.ingest import store_spans
from breakers.runtime import ErrorCorrelator, ErrorEvent
from breakers.runtime.error_correlator import CorrelatedErrors
from breakers.runtime.site_reader import SiteReader, SiteSilent
from breakers.runtime.variables import ClientVariables
from tests.analytics.store.conftest import forget_all
from tests.analytics.store.telemetry import (
    batch,
    exception,
    new_span,
    new_trace,
    resource,
    span_record,
)
from tests.effort import growth
from tests.livesite import LiveSite

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float, type_: str = "OSError", **fields: str) -> ErrorEvent:
    return ErrorEvent(type_, "it failed", START + timedelta(seconds=seconds), **fields)  # type: ignore[arg-type]


def correlator(**environment: str) -> ErrorCorrelator:
    """One that knows no site."""
    return ErrorCorrelator(variables=ClientVariables(environment), site=lambda: None)


async def groups(*events: ErrorEvent, **environment: str) -> list[CorrelatedErrors]:
    return [*(await correlator(**environment).correlate_errors(events)).groups]


async def test_errors_of_one_trace_belong_together_whatever_their_correlation_ids() -> None:
    (group,) = await groups(
        at(0, trace_id="a" * 32, correlation_id="one"), at(900, trace_id="a" * 32)
    )
    assert (group.by, group.key, group.confidence) == ("trace_id", "a" * 32, 1.0)


async def test_a_long_silence_parts_what_one_correlation_id_would_join() -> None:
    session = [at(seconds, correlation_id="session") for seconds in (0, 60, 5000, 5060)]
    assert [len(group.events) for group in await groups(*session)] == [2, 2]
    wide = await groups(*session, ERROR_CORRELATION_WINDOW_MINUTES="120")
    assert [len(group.events) for group in wide] == [4]


async def test_an_error_raised_because_of_a_tracked_one_belongs_to_it() -> None:
    tracker = correlator()
    try:
        try:
            raise ConnectionError("refused")
        except ConnectionError as refused:
            await tracker.track_error_chain("", refused, {"service": "graph-client"})
            raise RuntimeError("no plan")  # noqa: B904
    except RuntimeError as outer:
        await tracker.track_error_chain("", outer, {"service": "planner"})
    (group,) = (await tracker.correlate_errors(tracker.events())).groups
    assert group.by == "cause"
    assert group.root_cause.type == "ConnectionError"


async def test_the_same_exception_tracked_further_out_is_one_failure() -> None:
    tracker = correlator()
    error = OSError("disk")
    for operation in ("read", "serve"):
        await tracker.track_error_chain("", error, {"operation": operation})
    (group,) = (await tracker.correlate_errors(tracker.events())).groups
    assert group.root_cause.operation == "read"


async def test_the_parts_of_a_group_of_exceptions_are_its_causes() -> None:
    tracker = correlator()
    part = ValueError("x")
    await tracker.track_error_chain("", part, {})
    await tracker.track_error_chain("", ExceptionGroup("both", [part, KeyError("y")]), {})
    assert tracker.events()[1].causes == ("ValueError", "KeyError")
    assert tracker.events()[1].caused_by == (tracker.events()[0].id,)


async def test_a_circle_of_causes_ends() -> None:
    one, other = OSError("one"), OSError("other")
    one.__cause__, other.__cause__ = other, one
    tracker = correlator()
    await tracker.track_error_chain("", one, {})
    assert tracker.events()[0].causes == ("OSError",)


async def test_what_calls_and_what_is_called_belong_together_where_that_is_no_chance() -> None:
    caller = at(20, "TimeoutError", service="planner", dependency="graph")
    called = at(0, "Overloaded", service="graph")
    other = at(21, "KeyError", service="mailer", dependency="smtp")
    result = await correlator().correlate_errors([caller, called, other])
    (group,) = result.groups
    assert (group.by, group.key) == ("dependency", "graph")
    assert group.root_cause is called
    assert 0.9 < group.confidence < 1
    assert result.alone == (other,)


async def test_where_a_dependency_fails_all_the_time_nearness_says_nothing() -> None:
    busy = [at(5 * n, service="graph", dependency="graph") for n in range(200)]
    assert await groups(at(2.5, service="planner", dependency="graph"), *busy[::20]) != []
    slow = [at(5 * n, service=f"s{n}", dependency="graph") for n in range(2)]
    rare = await groups(*slow)
    often = [at(5 * n, service=f"s{n}", dependency="graph") for n in range(900)]
    assert rare[0].confidence > 0.98
    # One every five seconds: to be within five of another is what chance gives most of the time.
    assert await groups(*often) == []


async def test_time_alone_is_never_surer_than_even_odds() -> None:
    (group,) = await groups(at(0), at(0.1, "KeyError"))
    assert (group.by, group.confidence) == ("time", 0.5)


def test_ten_times_the_errors_take_about_ten_times_as_long() -> None:
    def correlate(size: int) -> None:
        events = [
            at(n / 10, correlation_id=f"r{n % (size // 20)}", service=f"s{n % 7}")
            for n in range(size)
        ]
        assert len(asyncio.run(groups(*events))) == size // 20

    assert growth(lambda: correlate(1_000), lambda: correlate(10_000)) < 40


async def test_the_open_span_gives_the_trace_and_is_told_the_tier() -> None:
    from opentelemetry.sdk.trace import TracerProvider

    from breakers.runtime import tier

    tracker = correlator()
    with TracerProvider().get_tracer("test").start_as_current_span("request") as span:
        with tier("premium"):
            await tracker.track_error_chain("", OSError("x"), {})
        assert span.attributes["resilience.tier"] == "premium"  # type: ignore[attr-defined]
        (event,) = tracker.events()
        assert event.trace_id == f"{span.get_span_context().trace_id:032x}"
        assert event.span_id == f"{span.get_span_context().span_id:016x}"


async def test_switched_off_it_tracks_and_joins_nothing() -> None:
    off = correlator(ERROR_CORRELATION_ENABLED="false")
    await off.track_error_chain("request", OSError(), {})
    assert off.events() == []
    events = [at(0, trace_id="a" * 32), at(1, trace_id="a" * 32)]
    result = await off.correlate_errors(events)
    assert (result.groups, result.alone) == ((), tuple(events))
    assert result.why == "ERROR_CORRELATION_ENABLED is false"


async def test_without_a_site_the_answer_is_local_and_says_so() -> None:
    tracker = correlator()
    await tracker.track_error_chain("request", OSError("down"), {"service": "planner"})
    result = await tracker.correlate_errors(tracker.events())
    (pattern,) = await tracker.analyze_error_patterns(timedelta(hours=1))
    report = await tracker.generate_error_impact_report(tracker.events()[0].id)
    for answer in (result, pattern, report):
        assert (answer.source, answer.why) == ("local", "this process is not connected to a site")
    assert (report.requests, report.users) == (1, None)


async def test_a_site_that_does_not_answer_costs_one_short_wait_and_no_stall() -> None:
    asked = 0

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.read()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    site = SiteReader(f"http://127.0.0.1:{port}", "key", timeout=1)
    tracker = ErrorCorrelator(variables=ClientVariables({}), site=lambda: site)
    await tracker.track_error_chain("request", OSError("down"), {})
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.01)

    async with server:
        beside = asyncio.create_task(tick())
        result = await tracker.correlate_errors(tracker.events())
        assert ticks > 2
        again = await tracker.correlate_errors(tracker.events())
        assert asked == 1
        beside.cancel()
    assert result.source == again.source == "local"
    assert "did not answer within 1 s" in result.why
    assert again.why == result.why


async def test_nobody_at_the_address_is_no_harm() -> None:
    site = SiteReader("http://127.0.0.1:9", "key")
    tracker = ErrorCorrelator(variables=ClientVariables({}), site=lambda: site)
    await tracker.track_error_chain("request", OSError("down"), {})
    report = await tracker.generate_error_impact_report(tracker.events()[0].id)
    assert report.source == "local"
    # It carries an id, so the site was asked, and nobody was there.
    assert "gave no usable answer" in report.why


async def test_a_site_is_asked_again_after_its_rest() -> None:
    now = [0.0]
    site = SiteReader("http://127.0.0.1:9", "key", rest=30, clock=lambda: now[0])
    for moment, asked in ((0.0, True), (29.0, False), (31.0, True)):
        now[0] = moment
        with pytest.raises(SiteSilent):
            await site.get("errors")
        assert (site._silent[0] == moment + 30) is asked


# --- With a site


@pytest.fixture
def trace(site: LiveSite) -> str:
    """A request that the site knows: graph failed, and planner because of it."""
    forget_all()
    now = datetime.now(UTC)
    trace, entry, inner = new_trace(), new_span(), new_span()
    planner = span_record(
        trace, entry, at=now, exceptions=[exception("PlanError", "no plan")]
    )._replace(attributes={"enduser.id": "ada", "enduser.tier": "premium"})
    graph = span_record(
        trace,
        inner,
        at=now,
        exceptions=[exception("httpx.ConnectError", "refused")],
        source=resource("graph"),
    )._replace(parent_span_id=entry)
    store_spans(batch(planner, graph), received_at=now)
    chains_build(now=now + timedelta(minutes=1))
    return trace


def asking(site: LiveSite, key: str) -> ErrorCorrelator:
    reader = SiteReader(site.url, key, service="planner", timeout=20)
    return ErrorCorrelator(variables=ClientVariables({}), site=lambda: reader)


async def test_the_site_adds_the_other_services_and_the_root_cause(
    site: LiveSite, trace: str
) -> None:
    tracker = asking(site, site.operator_key)
    await tracker.track_error_chain("", RuntimeError("no plan"), {"trace_id": trace})
    (own,) = tracker.events()
    assert own.service == "planner"
    result = await tracker.correlate_errors([own])
    assert (result.source, result.why) == ("site", "")
    (group,) = result.groups
    assert group.root_cause.type == "httpx.ConnectError"
    assert group.root_cause.service == "graph"
    assert own in group.events

    patterns = await tracker.analyze_error_patterns(timedelta(hours=1))
    assert {each.source for each in patterns} == {"site"}
    assert {(each.service, each.type, each.count) for each in patterns} == {
        ("planner", "PlanError", 1),
        ("graph", "httpx.ConnectError", 1),
    }


async def test_the_sites_impact_names_users_tiers_and_services(site: LiveSite, trace: str) -> None:
    tracker = asking(site, site.operator_key)

    class PlanError(Exception):
        """As the site knows it."""

    await tracker.track_error_chain("", PlanError("no plan"), {"trace_id": trace})
    (own,) = tracker.events()
    report = await tracker.generate_error_impact_report(own.id)
    assert (report.source, report.error) == ("site", own)
    assert (report.requests, report.users, report.tiers) == (1, 1, ("premium",))
    assert set(report.services) == {"planner", "graph"}
    assert report.served_degraded == 0
    with pytest.raises(KeyError, match="neither here nor to the site"):
        await tracker.generate_error_impact_report("00000000-0000-8000-8000-000000000000")


async def test_a_key_that_may_not_read_leaves_it_to_this_process(
    site: LiveSite, trace: str
) -> None:
    tracker = asking(site, site.ingest_key)
    await tracker.track_error_chain("", OSError("x"), {"trace_id": trace})
    result = await tracker.correlate_errors(tracker.events())
    assert result.source == "local"
    assert "refuses the key (403)" in result.why
    assert "read_key" in result.why


async def test_what_the_site_does_not_know_yet_is_said(site: LiveSite, trace: str) -> None:
    tracker = asking(site, site.operator_key)
    await tracker.track_error_chain("", OSError("x"), {"trace_id": "f" * 32})
    result = await tracker.correlate_errors(tracker.events())
    assert (result.source, result.why) == ("local", "the site does not know these errors (yet)")
