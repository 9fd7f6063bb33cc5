"""Checks to be made in tests: a kind of check that calls what its options say, and a short way to
make some of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from health.checks.base import CheckKind, Context, Finding, kind
from health.checks.options import OptionError
from health.models import Check
from health.services.checks import check_create, check_update
from health.services.targets import kinds_known, opened, secrets_of
from resilience_site.core.audit import Actor
from resilience_site.core.problems import Invalid

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
ACTOR = Actor.system("tests")


@dataclass(frozen=True)
class SampleOptions:
    url: str
    key: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    count: int = 1
    parts: tuple[str, ...] = ()


@kind("sample", "Sample of tests")
class SampleCheck(CheckKind[SampleOptions]):
    """Has every sort of secret and a host; a run finds its target up."""

    Options = SampleOptions
    secrets = frozenset({"key", "headers"})
    url_secrets = frozenset({"url"})

    def validate(self, options: SampleOptions) -> None:
        if not urlsplit(options.url).hostname:
            raise OptionError("url", "must name a host")

    def hosts(self, options: SampleOptions) -> tuple[tuple[str, int], ...]:
        return ((urlsplit(options.url).hostname or "", 80),)

    def members(self, options: SampleOptions) -> tuple[str, ...]:
        return options.parts

    async def run(self, options: SampleOptions, context: Context) -> Finding:
        return Finding()


# A host that never resolves (RFC 6761), so that nothing is asked of the network.
URL = "http://nowhere.invalid/"


# Every sort of secret that a target can hold.
SECRET = {
    "url": "http://user:p%40ss-word@nowhere.invalid/x?token=query-secret&page=2",
    "key": "key-secret",
    "headers": {"Authorization": "Bearer header-secret"},
}


def make(name: str, service: str = "planner", **more: Any) -> Check:
    """A check of the kind `sample`."""
    given: dict[str, Any] = {"kind": "sample", "target": {"url": URL}, "now": NOW, "actor": ACTOR}
    return check_create(name=name, service=service, **given | more)


def chain(*names: str) -> Sequence[Check]:
    """Checks each of which needs the one before."""
    made: list[Check] = []
    for name in names:
        made.append(make(name, depends_on=[made[-1].name] if made else ()))
    return made


def refused(**given: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        make(**{"name": "pg", **given})
    assert not Check.objects.filter(name="pg").exists()
    return caught.value


def field_of(problem: Invalid) -> str:
    return problem.errors[0].field


def update(check: Check, **changes: Any) -> Check:
    return check_update(check_id=check.id, changes=changes, actor=ACTOR, now=NOW)


def check_secrets(check: Check) -> frozenset[str]:
    """What a run of the check would keep out of its words."""
    return secrets_of(kinds_known()[check.kind], opened(check.sealed_target))
