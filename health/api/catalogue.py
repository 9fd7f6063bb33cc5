"""The catalogue as a file: what it would change, and changing it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from health.services.catalogue_apply import catalogue_apply
from health.services.catalogue_diff import changes_summary
from resilience_site.core.choices import Scope
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.problems import Malformed

router = Router(tags=["health checks"])


class ApplyQuery(Schema):
    dry_run: bool = Field(False, description="Tell what would change, and change nothing")
    prune: bool = Field(False, description="Remove what this file made and no longer names")
    name: str = Field("api", max_length=200, description="By which the site knows the file")


class ChangeOut(Schema):
    """`kind` says what became of `what`; `details` are lines for people, without secrets."""

    kind: str
    what: str
    details: list[str]


class ApplyOut(Schema):
    dry_run: bool
    summary: str
    changes: list[ChangeOut]


@router.post(
    "/health/apply",
    auth=ApiAuth(Scope.OPERATE),
    response=ApplyOut,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/yaml": {"schema": {"type": "string"}}},
        }
    },
)
def apply(request: ApiRequest, query: Query[ApplyQuery]) -> dict[str, Any]:
    """Bring services, checks and dependencies in line with a YAML file, as `health_apply` does.

    All of it or nothing; a refusal names the path in the file.
    """
    changes = catalogue_apply(
        text=_text(request),
        source=query.name,
        dry_run=query.dry_run,
        prune=query.prune,
        actor=request.auth,
        now=datetime.now(UTC),
    )
    return {"dry_run": query.dry_run, "summary": changes_summary(changes), "changes": changes}


def _text(request: HttpRequest) -> str:
    try:
        return request.body.decode()
    except UnicodeDecodeError:
        raise Malformed("The file is not UTF-8.") from None
