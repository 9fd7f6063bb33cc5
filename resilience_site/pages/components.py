"""The gallery of components at `/dev/components`, for whoever writes the next screen."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone

from resilience_site.core import journal
from resilience_site.core.badges import BADGES
from resilience_site.core.choices import Role
from resilience_site.core.permissions import require_role

WAVE = [None if 18 <= n <= 20 else 4 + 3 * math.sin(n / 4) + (n % 5) / 3 for n in range(48)]


def _rows(now: datetime) -> list[dict[str, Any]]:
    names = ("HTTPStatusError", "ReadTimeout", "ConnectionResetError", "TokenExpired")
    states = ("escalating", "new", "regressed", "resolved")
    return [
        {
            "name": f"{name}: Graph answered 503 for /v1.0/planner/plans/<id>/tasks",
            "service": "planner-mcp-server",
            "state": state,
            "count": 4200 // (n * n + 1),
            "at": now - timedelta(seconds=7 + n * n * 340),
            "values": WAVE[n * 3 :],
        }
        for n, (name, state) in enumerate(zip(names, states, strict=True))
    ]


_FRAMES = [
    {
        "function": "list_tasks",
        "module": "planner.tools",
        "file": "planner/tools.py",
        "line": 48,
        "in_app": True,
        "context": '    response = await graph.get(f"/v1.0/planner/plans/{plan_id}/tasks")',
    },
    {
        "function": "get",
        "module": "httpx",
        "file": "httpx/_client.py",
        "line": 1768,
        "in_app": False,
    },
    {
        "function": "send",
        "module": "httpx",
        "file": "httpx/_client.py",
        "line": 1629,
        "in_app": False,
    },
    {
        "function": "raise_for_status",
        "module": "planner.graph",
        "file": "planner/graph.py",
        "line": 91,
        "in_app": True,
    },
]

_SPANS = [
    {"name": "tools/call plan_summary", "depth": 0, "offset": 0.0, "length": 1.0, "took": 1.24},
    {"name": "GET cache plan:7", "depth": 1, "offset": 0.01, "length": 0.02, "took": 0.021},
    {
        "name": "GET /v1.0/planner/plans/{id}/tasks",
        "depth": 1,
        "offset": 0.05,
        "length": 0.92,
        "took": 1.14,
        "root_cause": True,
    },
    {"name": "SELECT plans", "depth": 1, "offset": 0.97, "length": 0.02, "took": 0.018},
]


@require_role(Role.ADMIN)
def gallery(request: HttpRequest) -> HttpResponse:
    """Every component with its usage."""
    cursor = journal.latest_cursor()
    now = timezone.now()
    context = {
        "live_cursor": cursor,
        "kinds": {kind: list(values) for kind, values in BADGES.items()},
        "now": now,
        "rows": _rows(now),
        "wave": WAVE,
        "frames": _FRAMES,
        "spans": _SPANS,
        "attributes": {
            "service.name": "planner-mcp-server",
            "http.response.status_code": 503,
            "url.full": "http://127.0.0.1:8002/v1.0/planner/plans/3fd5b1e2/tasks?$top=100",
        },
    }
    return render(request, "dev/components.html", context)


@require_role(Role.ADMIN)
def gallery_rows(request: HttpRequest) -> HttpResponse:
    """The live part of the gallery, as the page pulls it."""
    return render(request, "dev/_rows.html", {"rows": _rows(timezone.now())})


@require_role(Role.ADMIN)
def gallery_figure(request: HttpRequest) -> JsonResponse:
    """A figure as charts expect it: colours by token, gaps as nulls, links as custom data."""
    start = datetime(2026, 1, 31, 8, tzinfo=UTC)
    at = [(start + timedelta(minutes=n)).isoformat() for n in range(len(WAVE))]
    errors = [None if value is None else max(0.0, value - 4) for value in WAVE]
    return JsonResponse(
        {
            "data": [
                {"type": "scatter", "mode": "lines", "name": "calls", "x": at, "y": WAVE},
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": "errors",
                    "x": at,
                    "y": errors,
                    "line": {"color": "var(--series-bad)"},
                    "customdata": [f"/dev/components?at={moment}" for moment in at],
                },
            ],
            "layout": {"yaxis": {"ticksuffix": "/s"}},
        }
    )
