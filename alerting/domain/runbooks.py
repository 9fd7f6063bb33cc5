"""Links to the runbooks of this site: what is to be done about an alert."""

from __future__ import annotations

import re
from typing import Final

# The name of a runbook is that of its rule.
_LINK: Final = re.compile(r"/runbooks/([a-z][a-z0-9_-]{0,99})")


def runbook_path(name: str) -> str:
    """Where the site shows the runbook of that name."""
    return f"/runbooks/{name}"


def runbook_named(link: str) -> str:
    """The name of the runbook of this site that a link leads to, empty for any other link."""
    found = _LINK.fullmatch(link)
    return found[1] if found else ""
