"""Small traces of a shop, in which one thing goes wrong at a time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from analytics.domain.causes.incident import Call, Incident, Line, Suspect, Window
from analytics.domain.causes.ranking import rank

MS = 1_000_000


class Traffic:
    """Calls and lines of a window, written down as they would be traced."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.lines: list[Line] = []
        self._ids = count(1)

    def call(
        self,
        service: str,
        parent: Call | None = None,
        *,
        took: float,
        at: float = 0,
        failed: bool = False,
        operation: str = "",
    ) -> Call:
        """A span that took so many milliseconds; a trace of its own without a parent."""
        number = next(self._ids)
        made = Call(
            parent.trace_id if parent else f"t{number}",
            f"s{number}",
            parent.span_id if parent else "",
            service,
            operation or f"{service}.do",
            int(at * MS),
            int((at + took) * MS),
            failed,
        )
        self.calls.append(made)
        return made

    def line(self, call: Call, event: str, *, severe: bool = False) -> None:
        self.lines.append(Line(call.service, severe, call.trace_id, call.span_id, event))

    def window(self) -> Window:
        return Window(self.calls, self.lines)


def shop(traces: int = 20, *, network: float = 1, stock_fails: bool = False) -> Window:
    """web → orders → stock, each with a line; the network to stock takes so many milliseconds."""
    traffic = Traffic()
    for _ in range(traces):
        web = traffic.call("web", took=60 + network, failed=stock_fails)
        client = traffic.call("web", web, took=40 + network, operation="GET orders")
        orders = traffic.call("orders", client, took=39 + network, failed=stock_fails)
        client = traffic.call("orders", orders, took=20 + network, operation="GET stock")
        stock = traffic.call("stock", client, took=20, failed=stock_fails)
        traffic.line(orders, "Order taken")
        traffic.line(stock, "Stock looked up")
        if stock_fails:
            traffic.line(stock, "Stock table is locked", severe=True)
            traffic.line(orders, "Stock answered 500", severe=True)
        else:
            traffic.line(stock, "Stock counted")
            traffic.line(orders, "Order stored")
    return traffic.window()


def suspects(window: Window, normal: Window, **known: object) -> list[Suspect]:
    return rank(Incident(window, normal, **known))  # type: ignore[arg-type]


def names(found: Sequence[Suspect]) -> list[str]:
    return [suspect.service for suspect in found]
