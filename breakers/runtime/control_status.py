"""How a process stands with the site's control document."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

Status = Literal["connecting", "current", "unreachable", "refused", "off"]


class ControlStatus(NamedTuple):
    """The state of the way down, and since when (UTC).

    `connecting` until the first answer; `current` while the site says that `applied_version` is
    the newest one; `unreachable` where no usable answer comes; `refused` where the site does not
    take the key; `off` where nothing is fetched. `last_error` says why it is not current.
    `applied_version` (None before the first document) stays in force whatever the status is.
    """

    status: Status
    applied_version: int | None
    since: datetime
    last_error: str = ""
