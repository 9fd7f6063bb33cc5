"""What is to become of a check: read and judged (which may ask name servers), nothing written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from health.checks.base import CheckKind
from health.models import Check
from health.services.check_fields import fields_read, flag_read, pace_check
from health.services.hosts import hosts_judge
from health.services.targets import Target, kind_named, opened, target_read
from resilience_site.config import config
from resilience_site.core.problems import Invalid


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
    past = opened(former.sealed_target) if former is not None else None
    return Draft(found, fields, _target(found, target, past), depends_on, flag_read("hard", hard))


def draft_changed(check: Check, changes: Mapping[str, Any]) -> Draft:
    """A change of a check. Raises `Invalid`."""
    values = dict(changes)
    kind = kind_named(check.kind)
    kind_refuse(check, values.pop("kind", check.kind))
    target = None
    if "target" in values:
        target = _target(kind, values.pop("target"), opened(check.sealed_target))
    depends_on = values.pop("depends_on", None)
    hard = flag_read("hard", values.pop("hard", True))
    return Draft(kind, fields_read(values), target, depends_on, hard)


def kind_refuse(check: Check, kind: Any) -> None:
    """Refuse to make a check another kind of check. Raises `Invalid`."""
    if kind != check.kind:
        raise Invalid.field(
            "kind", f"The kind of a check never changes: {check.name} is {check.kind}."
        )


def _target(kind: CheckKind[Any], given: Any, former: Mapping[str, Any] | None = None) -> Target:
    target = target_read(kind, given, former)
    if target.options is not None and target.whole != former:
        hosts_judge(kind, target.options)
    return target
