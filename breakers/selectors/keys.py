"""Which breakers there are, to link to."""

from __future__ import annotations

from breakers.models import Breaker


def breaker_keys() -> set[str]:
    """The keys of all breakers that ever reported."""
    return set(Breaker.objects.order_by().values_list("key", flat=True).distinct())
