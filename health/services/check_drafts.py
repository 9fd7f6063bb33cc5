"""What is to become of a check: read and judged (which may ask name servers), nothing written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from health.checks.base import CheckKind
from health.models import Check
from health.services.check_fields import fields_read, flag_read, pace_check
from health.services.hosts import HostJudge
from health.services.targets import Target, kind_named, opened, target_read
from resilience_site.config import config
from resilience_site.core.problems import Invalid
from resilience_site.core.sealing import UnsealError


@dataclass(frozen=True)
class Draft:
    """A change that was read and judged. `depends_on` is None where edges stay as they are."""

    kind: CheckKind[Any]
    fields: Mapping[str, Any]
    target: Target | None = None
    depends_on: Sequence[str] | None = None
    hard: bool = True

    @property
    def target_shown(self) -> dict[str, Any]:
        """The target that is to be, without its secrets, where it is to change."""
        return {} if self.target is None else {"target": self.target.shown}


def draft_new(
    kind: Any,
    target: Any,
    given: Mapping[str, Any],
    *,
    depends_on: Sequence[str] | None = (),
    hard: Any = True,
    former: Check | None = None,
    judge: HostJudge | None = None,
) -> Draft:
    """A whole check to be, which may take the place of a `former` one. Raises `Invalid`."""
    found = kind_named(kind)
    values = dict(given)
    if values.get("interval_seconds") is None:
        values["interval_seconds"] = config.health_check_interval_seconds
    if values.get("timeout_seconds") is None:
        values.pop("timeout_seconds", None)
    fields = fields_read(values)
    usual = min(config.health_check_timeout_seconds, fields["interval_seconds"])
    fields.setdefault("timeout_seconds", usual)
    pace_check(fields["interval_seconds"], fields["timeout_seconds"])
    read = _target(found, target, former, judge or HostJudge())
    return Draft(found, fields, read, depends_on, flag_read("hard", hard))


def draft_changed(check: Check, changes: Mapping[str, Any]) -> Draft:
    """A change of a check. Raises `Invalid`."""
    values = dict(changes)
    kind = kind_named(check.kind)
    kind_refuse(check, values.pop("kind", check.kind))
    target = None
    if "target" in values:
        target = _target(kind, values.pop("target"), check, HostJudge())
    depends_on = values.pop("depends_on", None)
    hard = flag_read("hard", values.pop("hard", True))
    return Draft(kind, fields_read(values), target, depends_on, hard)


def kind_refuse(check: Check, kind: Any) -> None:
    """Refuse to make a check another kind of check. Raises `Invalid`."""
    if kind != check.kind:
        raise Invalid.field(
            "kind", f"The kind of a check never changes: {check.name} is {check.kind}."
        )


def _target(kind: CheckKind[Any], given: Any, former: Check | None, judge: HostJudge) -> Target:
    past = None if former is None else former_target(former)
    target = target_read(kind, given, past)
    if target.options is not None and target.whole != past:
        judge(kind, target.options)
    return target


def former_target(check: Check) -> dict[str, Any]:
    """The whole target of a check; nothing where it was sealed with another SECRET_KEY, and then
    its secrets have to be entered again."""
    try:
        return opened(check.sealed_target)
    except UnsealError:
        return {}
