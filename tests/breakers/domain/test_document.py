"""The control document: what wins where decisions overlap, and what each instance is told."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from breakers.domain import document
from breakers.domain.document import (
    CommandGiven,
    Decided,
    DegradedGiven,
    OverrideGiven,
    ToggleGiven,
)

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
NAMES = ["graph", "redis", "database"]
INSTANCES = ["a", "b"]
DOMAINS = {"eu": ["graph", "redis"], "us": ["graph"]}

ends = st.none() | st.integers(-60, 3600).map(lambda s: NOW + timedelta(seconds=s))
decided = st.builds(Decided, st.just("why"), st.sampled_from(["ana", "ben"]), ends)
moments = st.integers(0, 50).map(lambda s: NOW - timedelta(seconds=s))
states = st.sampled_from(["forced_open", "forced_closed", "disabled", "metrics_only"])


def override(scope: str, name: str = "", instance: str = "", domain: str = "") -> Any:
    return st.builds(
        OverrideGiven,
        scope=st.just(scope),
        name=st.sampled_from(NAMES) if name else st.just(""),
        instance=st.sampled_from(INSTANCES) if instance else st.just(""),
        domain=st.sampled_from([*DOMAINS, "elsewhere"]) if domain else st.just(""),
        state=states,
        at=moments,
        decided=decided,
    )


def place(given: OverrideGiven) -> tuple[str, ...]:
    return (given.scope, given.name, given.instance, given.domain)


# At one place there is one override at a time.
overrides = st.lists(
    override("service", name="x")
    | override("instance", name="x", instance="x")
    | override("domain", domain="x"),
    max_size=8,
    unique_by=place,
)
toggles = st.lists(
    st.builds(
        ToggleGiven,
        st.sampled_from(["write", "search", "beta"]),
        st.booleans() | st.integers() | st.text(max_size=3) | st.none(),
        st.just(False),
        st.floats(0, 1),
        st.sets(st.sampled_from(INSTANCES)).map(tuple),
        decided,
    ),
    max_size=3,
    unique_by=lambda each: each.key,
)
levels = st.sampled_from(["normal", "reduced", "offline"])
degraded = st.lists(
    st.builds(DegradedGiven, st.just("planner"), levels, st.text(max_size=5), decided), max_size=1
)
commands = st.lists(
    st.builds(
        CommandGiven, st.uuids().map(str), st.sampled_from(["", *INSTANCES]),
        st.just("reset_breaker"), st.just({"breaker": "graph"}), decided,
    ),
    max_size=3, unique_by=lambda each: each.id,
)  # fmt: skip
policies = st.dictionaries(
    st.sampled_from(NAMES), st.dictionaries(st.just("failure_threshold"), st.integers(1, 9))
)
bulkheads = st.dictionaries(
    st.sampled_from(["pool", "graph"]),
    st.dictionaries(st.sampled_from(["max_concurrent_calls", "max_queue"]), st.integers(1, 9)),
)


@st.composite
def decisions(draw: Any) -> dict[str, Any]:
    return {
        "overrides": draw(overrides),
        "domains": DOMAINS,
        "policies": draw(policies),
        "bulkheads": draw(bulkheads),
        "toggles": draw(toggles),
        "degraded": draw(degraded),
        "commands": draw(commands),
    }


def in_force(given: OverrideGiven) -> bool:
    return given.decided.expires_at is None or given.decided.expires_at > NOW


@given(decisions(), st.randoms(use_true_random=False))
def test_the_same_decisions_in_any_order_make_the_same_document(given: Any, chance: Any) -> None:
    shuffled = {
        name: chance.sample(value, len(value)) if isinstance(value, list) else value
        for name, value in given.items()
    }
    assert document.build(**shuffled) == document.build(**given)


@given(decisions(), st.sampled_from([*INSTANCES, "unheard of"]))
def test_what_is_served_can_be_stored_and_sent_and_holds_nothing_that_is_over(
    given: Any, instance: str
) -> None:
    whole = json.loads(json.dumps(document.build(**given)))
    served = document.view(whole, instance=instance, now=NOW)
    assert set(served) == {*document.SECTIONS, "commands"}
    told = [
        *(each["override"] for each in served["breakers"].values() if each["override"]),
        *served["toggles"].values(),
        *served["degraded"].values(),
        *served["isolated"].values(),
        *served["commands"],
    ]
    for each in told:
        if each["expires_at"] is None:
            assert each["expires_in"] is None
        else:
            left = datetime.fromisoformat(each["expires_at"]) - NOW
            assert each["expires_in"] == left.total_seconds() > 0
        assert "instances" not in each
        assert "instance" not in each


@given(overrides, st.sampled_from(INSTANCES), st.sampled_from(NAMES))
def test_the_narrowest_override_wins(given: list[OverrideGiven], instance: str, name: str) -> None:
    """The rule in words, worked out without the merge: instance, else service, else domain."""
    # What has expired loses its place only once the document is written anew.
    given = [each for each in given if in_force(each)]
    whole = document.build(overrides=given, domains=DOMAINS)
    entry = document.view(whole, instance=instance, now=NOW)["breakers"].get(name)
    own = [e for e in given if (e.scope, e.name, e.instance) == ("instance", name, instance)]
    service = [e for e in given if (e.scope, e.name) == ("service", name)]
    domain = [e for e in given if e.scope == "domain" and name in DOMAINS.get(e.domain, [])]
    forced = [e for e in domain if e.state == "forced_open"]
    narrowest = own or service or forced or domain
    if not narrowest:
        assert entry is None
    else:
        assert entry is not None
        newest = max(each.at for each in narrowest)
        assert entry["override"]["state"] in {e.state for e in narrowest if e.at == newest}


@given(overrides)
def test_a_domain_that_is_forced_open_is_isolated_where_it_has_members(
    given: list[OverrideGiven],
) -> None:
    whole = document.build(overrides=given, domains=DOMAINS)
    expected = {
        each.domain
        for each in given
        if each.scope == "domain" and each.state == "forced_open" and each.domain in DOMAINS
    }
    assert set(whole["isolated"]) == expected


@given(toggles, st.sampled_from(INSTANCES))
def test_a_toggle_is_told_to_the_instances_that_it_names(
    given: list[ToggleGiven], instance: str
) -> None:
    served = document.view(document.build(toggles=given), instance=instance, now=NOW)["toggles"]
    expected = {
        each.key: each.value
        for each in given
        if (not each.instances or instance in each.instances)
        and (each.decided.expires_at is None or each.decided.expires_at > NOW)
    }
    assert {key: each["value"] for key, each in served.items()} == expected


def test_nothing_decided_is_an_empty_document() -> None:
    assert document.build() == document.empty()
    assert document.view({}, instance="a", now=NOW) == document.empty()


@given(bulkheads, st.sampled_from(INSTANCES))
def test_every_instance_is_told_the_limits_of_bulkheads_that_have_any(
    given: dict[str, dict[str, int]], instance: str
) -> None:
    whole = document.build(bulkheads=given)
    served = document.view(whole, instance=instance, now=NOW)
    assert served["bulkheads"] == {name: {"policy": of} for name, of in given.items() if of}
    assert served["breakers"] == {}
