"""What changed: the attributes that failures of a window share, and those of its baseline do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from analytics.domain.differences.proportions import Change, change
from analytics.selectors.call_attributes import Call, Calls, calls_read, errors_read
from resilience_site.core.timerange import TimeRange

BASELINE = timedelta(hours=1)
# Failures below which nothing is compared.
FEWEST = 5
EXAMPLES = 3
_NO_CHANGE = (Change.SAME, Change.BETTER)


@dataclass(frozen=True)
class FailureFilter:
    """Which failures are explained; empty fields do not narrow."""

    service: str = ""
    type: str = ""
    pattern: UUID | None = None


@dataclass(frozen=True)
class ChangedSet:
    """A set of attributes and how it stands out.

    `share` is the set's part of all failures of the window, `share_before` of those of the
    baseline; `ratio` and `ratio_before` are its failures per call. `contrast` is its part of the
    failures minus its part of the calls, -1..1. `also` are further attributes that all its calls
    have. `examples` are trace ids, or ids of errors where errors were compared.
    """

    attributes: Mapping[str, str]
    also: Mapping[str, str]
    score: float
    leading: bool
    p_value: float
    failed: int
    total: int
    failed_before: int
    total_before: int
    share: float
    share_before: float | None
    ratio: float
    ratio_before: float | None
    contrast: float
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """The sets that explain the failures of a window, best first.

    `source` is `spans` (entry calls, failed ones against all) or `errors` (error events of the
    failures in question against others). `cut` is whether only a part of them was read, evenly over
    time. `missing` says what is not there, "" where a comparison was possible.
    """

    within: TimeRange
    baseline: TimeRange
    source: str
    failed: int
    total: int
    failed_before: int
    total_before: int
    cut: bool
    sets: tuple[ChangedSet, ...]
    left_out: tuple[tuple[str, str], ...]
    missing: str


def difference(within: TimeRange, baseline: TimeRange, wanted: FailureFilter) -> Difference:
    """Compare the failures of a window with a baseline. Failed entry calls where no pattern and no
    type is asked for and spans hold failures; else error events. Raises `Invalid` where reading
    takes too long."""
    source = "spans"
    now, before = Calls(), Calls()
    if not wanted.type and wanted.pattern is None:
        now = calls_read(within, wanted.service)
        if any(call.failed for call in now.calls):
            before = calls_read(baseline, wanted.service)
            return _compared(within, baseline, source, now, before)
    errors = errors_read(within, wanted.service, wanted.type, wanted.pattern)
    if now.calls and not errors.calls:
        return _compared(within, baseline, source, now, before)
    earlier = errors_read(baseline, wanted.service, wanted.type, wanted.pattern)
    return _compared(within, baseline, "errors", *_against_others(errors, earlier))


def _against_others(now: Calls, before: Calls) -> tuple[Calls, Calls]:
    """Errors have no calls that went well: those in question are set against all others of the
    window, and all of the baseline. Which of them are many among all tells them apart."""
    others = [Call(call.attributes, False, call.key) for call in before.calls]
    together = Calls([*now.calls, *others], now.cut or before.cut, now.left_out | before.left_out)
    return together, Calls()


def _compared(
    within: TimeRange, baseline: TimeRange, source: str, now: Calls, before: Calls
) -> Difference:
    failed = sum(call.failed for call in now.calls)
    failed_before = sum(call.failed for call in before.calls)
    sets: tuple[ChangedSet, ...] = ()
    left_out = [(name, "says how a call ended") for name in sorted(now.left_out | before.left_out)]
    missing = ""
    if failed < FEWEST:
        missing = f"needs {FEWEST} failures in the window, has {failed}"
    else:
        sets, folded = _sets(now, before, failed, failed_before)
        left_out += folded
        if not sets:
            missing = _nothing_found(failed, len(now.calls) + len(before.calls))
    return Difference(
        within=within,
        baseline=baseline,
        source=source,
        failed=failed,
        total=len(now.calls),
        failed_before=failed_before,
        total_before=len(before.calls),
        cut=now.cut or before.cut,
        sets=sets,
        left_out=tuple(left_out),
        missing=missing,
    )


def _nothing_found(failed: int, compared: int) -> str:
    if failed == compared:
        return "there is nothing that they could be compared with: no others are in both ranges"
    return "no set of attributes differs from the baseline by more than chance"


def _sets(
    now: Calls, before: Calls, failed: int, failed_before: int
) -> tuple[tuple[ChangedSet, ...], list[tuple[str, str]]]:
    # Only here, as the arithmetic on arrays takes memory that idle processes need not have.
    from analytics.domain.differences.explanation import explain
    from analytics.domain.differences.table import Row, table_of

    rows = [Row(call.attributes, float(call.failed), 1.0) for call in now.calls]
    rows += [Row(call.attributes, 0.0, 0.0, float(call.failed), 1.0) for call in before.calls]
    table = table_of(rows)
    # A name may be cut first and left out then: what came of it last is said of all its values.
    values: dict[str, int] = {}
    kept: dict[str, int] = {}
    for each in table.folded:
        values[each.name] = max(values.get(each.name, 0), each.values)
        kept[each.name] = each.kept
    folded = [(name, _left_out(values[name], kept[name])) for name in values]
    sets: list[ChangedSet] = []
    for one in explain(table):
        count, count_before = round(one.failed), round(one.failed_before)
        # What fails as often as in the baseline explains failures, but is no change.
        if change(count, round(one.total), count_before, round(one.total_before)) in _NO_CHANGE:
            continue
        sets.append(
            ChangedSet(
                attributes=one.attributes,
                also={name: value for name, value in one.also.items() if value},
                score=one.score,
                leading=one.leading or not sets,
                p_value=one.p_value,
                failed=count,
                total=round(one.total),
                failed_before=count_before,
                total_before=round(one.total_before),
                share=count / failed,
                share_before=count_before / failed_before if failed_before else None,
                ratio=one.failed / one.total if one.total else 0.0,
                ratio_before=one.failed_before / one.total_before if one.total_before else None,
                contrast=count / failed - one.total / len(now.calls),
                examples=_examples(now, one.attributes),
            )
        )
    return tuple(sets), folded


def _left_out(values: int, kept: int) -> str:
    if kept:
        return f"the {kept} of its {values} values with most failures were compared"
    if values:
        return f"its {values} values tell calls apart no better than others do"
    return "fewer failures have them than those that were compared"


def _examples(calls: Calls, attributes: Mapping[str, str]) -> tuple[str, ...]:
    """The newest failures of a set."""
    found: list[str] = []
    for call in reversed(calls.calls):
        if call.failed and call.key not in found and _has(call.attributes, attributes):
            found.append(call.key)
            if len(found) == EXAMPLES:
                break
    return tuple(found)


def _has(attributes: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(attributes.get(name, "") == value for name, value in wanted.items())
