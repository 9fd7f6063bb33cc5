"""Ways to tell somebody: one folder for each kind of channel, all with one interface.

`alerting.channels.base` says what a kind is; whoever needs them all calls `kinds_known`.
"""

from __future__ import annotations

from alerting.channels.base import KINDS, Envelope, Kind, Outcome
from alerting.channels.kinds import kind_named, kinds_known

__all__ = ["KINDS", "Envelope", "Kind", "Outcome", "kind_named", "kinds_known"]
