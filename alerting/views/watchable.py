"""What rules can watch: the fields of conditions, topics, figures, and what texts may name."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from alerting.domain.rules.measures import FIGURES
from alerting.domain.rules.watchable import facts_told, forms_told, topics_told
from alerting.services.rules.texts import text_render
from resilience_site.core.choices import Role
from resilience_site.core.permissions import require_role

# Each filter that texts may use, on a fact as there may be one.
FILTERS: Final = (
    ("{{ facts.seconds|duration }}", {"seconds": 90}),
    ("{{ facts.at|moment }}", {"at": "2026-01-01T00:00:00+00:00"}),
    ("{{ facts.value|percent }}", {"value": 0.052}),
    ("{{ facts.value|number }}", {"value": 0.05237}),
    ("{{ facts.reason|words }}", {"reason": "failure_rate"}),
    ('{{ facts.members|join:", " }}', {"members": ["planner-1", "planner-2"]}),
    ('{{ facts.instance|default:"an unnamed instance" }}', {"instance": ""}),
    ("{{ facts.count }} time{{ facts.count|pluralize }}", {"count": 3}),
    ("{{ facts.output|truncatechars:12 }}", {"output": "connection refused"}),
    ("{{ facts.name|lower }}", {"name": "Redis"}),
    ("{{ facts.name|upper }}", {"name": "redis"}),
    ("{% if facts.reason %} ({{ facts.reason }}){% endif %}", {"reason": "failure_rate"}),
)


@require_GET
@require_role(Role.VIEWER)
def watchable(request: HttpRequest) -> HttpResponse:
    """All that a rule can name, with examples."""
    context = {
        "forms": forms_told(),
        "topics": topics_told(),
        "figures": FIGURES,
        "facts": facts_told(),
        "filters": [
            (text, next(iter(facts.values())), text_render(text, {}, facts))
            for text, facts in FILTERS
        ],
    }
    return render(request, "alerting/rules/watchable.html", context)
