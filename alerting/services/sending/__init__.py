"""The sender: takes due deliveries from the outbox, sends them, and writes down what came of it.

Each is claimed with a lease, sent, then marked. A sender that dies in between leaves the lease to
lapse, and the same message goes again under the same id: at least once, never lost.
"""

from __future__ import annotations

from alerting.services.sending.background import sending_begin
from alerting.services.sending.turn import deliveries_send, delivery_send_now

__all__ = ["deliveries_send", "delivery_send_now", "sending_begin"]
