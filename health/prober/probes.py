"""What claims are run with: kinds and options, read once per version of a check."""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import orjson

from health.checks.base import Member
from health.checks.options import OptionError
from health.models import Check, CheckStatus
from health.prober.running import Probe
from health.services.claims import Claim
from health.services.targets import kinds_known, opened, parsed, resolved, secrets_of
from resilience_site.core.sealing import UnsealError

log = logging.getLogger(__name__)

_MOST: Final = 20_000

Work = tuple[Claim, Probe, tuple[Member, ...]]
Broken = tuple[Claim, str]


class Probes:
    """The probes of the checks that were claimed lately."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[UUID, int], Probe | str] = OrderedDict()

    def of(self, claims: Sequence[Claim]) -> tuple[list[Work], list[Broken]]:
        """What each claim is to be run with, and, of those that cannot be run, why not."""
        missing = [each.check_id for each in claims if _key(each) not in self._kept]
        if missing:
            self._read(missing)
        work: list[tuple[Claim, Probe]] = []
        broken: list[Broken] = []
        for claim in claims:
            found = self._kept.get(_key(claim), "the check was changed meanwhile")
            if isinstance(found, str):
                broken.append((claim, found))
            else:
                work.append((claim, found))
        members = members_now([probe for _, probe in work])
        return [(claim, probe, members.get(probe.question, ())) for claim, probe in work], broken

    def _read(self, check_ids: Sequence[UUID]) -> None:
        for check in Check.objects.filter(id__in=check_ids):
            try:
                self._kept[check.id, check.version] = probe_of(check)
            except Exception as error:
                # One check that cannot be read must not keep the others from being run.
                log.error("check %s cannot be read: %s", check.name, type(error).__name__)
                reason = f"internal error: it cannot be read: {type(error).__name__}"
                self._kept[check.id, check.version] = reason
        while len(self._kept) > _MOST:
            self._kept.popitem(last=False)


def _key(claim: Claim) -> tuple[UUID, int]:
    return claim.check_id, claim.version


def probe_of(check: Check) -> Probe | str:
    """What a check is run with, or why it cannot be run."""
    kind = kinds_known().get(check.kind)
    if kind is None:
        return f"there is no kind of check {check.kind!r}"
    kind.load()
    try:
        whole = opened(check.sealed_target)
        options = parsed(kind, whole)
        target = resolved(whole)
        secrets = secrets_of(kind, whole)
    except UnsealError as error:
        return f"the target cannot be read: {error}"
    except OptionError as error:
        return f"the target cannot be used: {error.option} {error.message}"
    return Probe(
        kind=kind,
        options=options,
        question=_question(check, target),
        hosts=tuple(kind.hosts(options)),
        # The longest first: one may be part of another.
        secrets=tuple(sorted(secrets, key=len, reverse=True)),
    )


def _question(check: Check, target: dict[str, Any]) -> str:
    """The same for checks whose runs would ask the same, which then share one run."""
    if not kinds_known()[check.kind].shared:
        return str(check.id)
    asked = [check.kind, check.timeout_seconds, target]
    return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()


def members_now(probes: Sequence[Probe]) -> dict[str, tuple[Member, ...]]:
    """The checks that each probe reads, as they stand, by its question."""
    names = {probe.question: probe.kind.members(probe.options) for probe in probes}
    wanted = {name for each in names.values() for name in each}
    if not wanted:
        return {}
    states = dict(
        CheckStatus.objects.filter(check_row__name__in=wanted).values_list(
            "check_row__name", "state"
        )
    )
    return {
        question: tuple(Member(name, states[name]) for name in each if name in states)
        for question, each in names.items()
    }
