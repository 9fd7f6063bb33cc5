"""Ways: what can be done to a service, by names that are the same for all of them.

A workflow that asks for `restart` works for every service whose target says how it is restarted:
by a supervisor, in a cluster, or by a signed request to whoever can.
"""

from __future__ import annotations

import re
from typing import Final

WAY_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,99}")
WAYS: Final = {
    "restart": "Restart one instance",
    "restart_all": "Restart every instance, one after the other",
    "recycle_pool": "Close the pooled connections and open new ones",
    "terminate_idle": "End database sessions that sit idle in a transaction",
    "warm_cache": "Fill the cache again",
    "drain": "Take no new work",
    "resume": "Take new work again",
    "recycle_worker": "Replace the worker's processes",
    "relieve_queue": "Give the queue more workers",
    "degrade": "Do without what can be done without",
    "scale_out": "Add an instance",
    "failover": "Go over to the standby",
}
