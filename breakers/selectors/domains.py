"""Reads of failure domains: which breakers fail, and are cut off, together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from breakers.models import DomainMember
from breakers.selectors.breaker_view import BreakerView, OverrideView
from breakers.selectors.breakers import breaker_list
from breakers.selectors.overrides import overrides_in_force


@dataclass(frozen=True, slots=True)
class DomainView:
    """A failure domain: the breakers of it that were heard of within a day, and the override that
    holds for all of them."""

    name: str
    breakers: tuple[BreakerView, ...]
    override: OverrideView | None

    @property
    def services(self) -> tuple[str, ...]:
        """The services that it concerns."""
        return tuple(sorted({view.service for view in self.breakers}))

    @property
    def calls(self) -> int:
        """Calls of the last window through all of its breakers, rejected ones too."""
        return sum(view.calls + view.rejected for view in self.breakers)

    @property
    def applied(self) -> tuple[int, int]:
        """How many live instances work by the present document of their service, of how many."""
        known = {
            (view.service, each.instance): view.has_applied(each)
            for view in self.breakers
            for each in view.live
        }
        return sum(known.values()), len(known)


def domain_names() -> list[str]:
    """All failure domains."""
    names = DomainMember.objects.order_by("domain").values_list("domain", flat=True)
    return list(names.distinct())


def domain_list(now: datetime) -> list[DomainView]:
    """All failure domains with their breakers, by name."""
    names = domain_names()
    return _domains(names, breaker_list(now), now) if names else []


def domain_get(name: str, now: datetime) -> DomainView:
    """One failure domain. Raises `DomainMember.DoesNotExist`."""
    if not DomainMember.objects.filter(domain=name).exists():
        raise DomainMember.DoesNotExist(f"there is no failure domain {name!r}")
    return _domains([name], breaker_list(now, domain=name), now)[0]


def _domains(names: Sequence[str], views: Sequence[BreakerView], now: datetime) -> list[DomainView]:
    held = {each.domain: each for each in overrides_in_force(now) if each.domain}
    return [
        DomainView(name, tuple(view for view in views if name in view.domains), held.get(name))
        for name in names
    ]
