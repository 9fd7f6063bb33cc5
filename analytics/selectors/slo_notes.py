"""What is to be said of a new objective beside its figures."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

from health.selectors import service_list

# What is longer is refused.
_LONGEST: Final = 255


def unknown_service(service: str) -> str:
    """What is said of an objective for a service that nothing is known of, which may come later;
    empty for others. Its service comes into the catalogue with it: ask before it is set."""
    if not 0 < len(service) <= _LONGEST:
        return ""
    names = list(service_list().values_list("name", flat=True))
    if service in names:
        return ""
    near = get_close_matches(service, names, 3, 0.6)
    like = f" Of similar names there {'is' if len(near) == 1 else 'are'} {', '.join(near)}."
    return (
        f"Nothing is known of a service {service} yet: nothing counts until it sends something."
        f"{like if near else ''}"
    )
