"""Workflows: reading them, writing them, how far they may go."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.http import HttpResponse
from ninja import Query, Router, Status

from healing.api.shown import workflow_shown
from healing.domain.definition import definition_form
from healing.models import Workflow
from healing.schemas.workflows import (
    CheckedOut,
    EnabledIn,
    ModeIn,
    TextIn,
    WorkflowDetailOut,
    WorkflowIn,
    WorkflowOut,
    WorkflowQuery,
)
from healing.selectors.workflows import (
    version_list,
    workflow_find,
    workflow_list,
    workflows_for_errors,
)
from healing.services.workflows.modes import workflow_mode_set
from healing.services.workflows.store import (
    workflow_create,
    workflow_delete,
    workflow_switch,
    workflow_update,
)
from healing.services.workflows.texts import definition_read, text_of
from health.api.shown import of_body, sent
from resilience_site.core.choices import Scope
from resilience_site.core.formatting import printable
from resilience_site.core.pagination import Page, PageOut, keyset_page
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.problems import Invalid, NotFound
from resilience_site.core.versions import if_match, set_version

router = Router(tags=["healing"])

_ONE = "/healing/workflows/{slug:name}"


@router.get("/healing/workflows", auth=ApiAuth(Scope.READ), response=PageOut[WorkflowOut])
def workflows(request: ApiRequest, query: Query[WorkflowQuery]) -> Page:
    """Workflows by name; with `type`, those that would answer to errors of it, in one page."""
    if query.type:
        found = workflows_for_errors(query.service, query.type, datetime.now(UTC))
        return Page([workflow_shown(each) for each in found], None)
    page = keyset_page(
        workflow_list(), by=("name",), types=(str,), cursor=query.cursor, limit=query.limit
    )
    return Page([workflow_shown(each) for each in page.items], page.next_cursor)


@router.post("/healing/workflows", auth=ApiAuth(Scope.OPERATE), response={201: WorkflowDetailOut})
def workflow_post(
    request: ApiRequest, response: HttpResponse, body: WorkflowIn
) -> Status[dict[str, Any]]:
    """Write a new workflow, in the mode approve. Faults are 422, each with its line."""
    given = sent(request, body)
    with of_body():
        row = workflow_create(
            text=_text(given), reason=_words(given), actor=request.auth, now=datetime.now(UTC)
        )
    return Status(201, _detail(response, row))


@router.post("/healing/workflows/check", auth=ApiAuth(Scope.READ), response=CheckedOut)
def check(request: ApiRequest, body: TextIn) -> dict[str, Any]:
    """Judge the text of a workflow; nothing is kept."""
    with of_body():
        definition = definition_read(_text(sent(request, body)))
    return {"definition": definition_form(definition)}


@router.get(_ONE, auth=ApiAuth(Scope.READ), response=WorkflowDetailOut)
def workflow(request: ApiRequest, response: HttpResponse, name: str) -> dict[str, Any]:
    """One workflow with its text and its versions. Its ETag is the version."""
    found = workflow_find(name)
    if found is None:
        raise NotFound(f"There is no workflow {printable(name[:100])}.")
    return _detail(response, found)


@router.put(_ONE, auth=ApiAuth(Scope.OPERATE), response=WorkflowDetailOut)
def workflow_put(
    request: ApiRequest, response: HttpResponse, name: str, body: WorkflowIn
) -> dict[str, Any]:
    """Give a workflow another text. Runs that have begun keep the one that they began with."""
    given = sent(request, body)
    with of_body():
        row = workflow_update(
            name=name, text=_text(given), reason=_words(given), if_match=if_match(request),
            actor=request.auth, now=datetime.now(UTC),
        )  # fmt: skip
    return _detail(response, row)


@router.delete(_ONE, auth=ApiAuth(Scope.OPERATE), response={204: None})
def workflow_remove(request: ApiRequest, name: str) -> Status[None]:
    """Delete a workflow that a person wrote; its runs stay."""
    workflow_delete(
        name=name, if_match=if_match(request), actor=request.auth, now=datetime.now(UTC)
    )
    return Status(204, None)


@router.post(f"{_ONE}/mode", auth=ApiAuth(Scope.OPERATE), response=WorkflowDetailOut)
def mode(request: ApiRequest, response: HttpResponse, name: str, body: ModeIn) -> dict[str, Any]:
    """Say how far a workflow may go without a person."""
    given = sent(request, body)
    with of_body():
        row = workflow_mode_set(
            name=name, mode=given.get("mode", ""), reason=given.get("reason", ""),
            if_match=if_match(request), actor=request.auth, now=datetime.now(UTC),
        )  # fmt: skip
    return _detail(response, row)


@router.post(f"{_ONE}/enabled", auth=ApiAuth(Scope.OPERATE), response=WorkflowDetailOut)
def enabled(
    request: ApiRequest, response: HttpResponse, name: str, body: EnabledIn
) -> dict[str, Any]:
    """Switch a workflow on or off; switched off, it answers to nothing."""
    given = sent(request, body)
    if not isinstance(given.get("enabled"), bool):
        raise Invalid.field("body.enabled", "enabled is true or false.")
    with of_body():
        row = workflow_switch(
            name=name, enabled=given["enabled"], reason=_words(given), if_match=if_match(request),
            actor=request.auth, now=datetime.now(UTC),
        )  # fmt: skip
    return _detail(response, row)


def _detail(response: HttpResponse, row: Workflow) -> dict[str, Any]:
    set_version(response, row.version)
    versions = version_list(row)
    return {
        **workflow_shown(row),
        "definition": row.definition,
        "text": row.text,
        "versions": [{"number": each.number, "at": each.at, "by": each.by} for each in versions],
    }


def _text(given: dict[str, Any]) -> str:
    definition = given.get("definition")
    if isinstance(definition, dict):
        return text_of(definition)
    text = given.get("text")
    if not isinstance(text, str):
        raise Invalid.field("text", "Give the workflow as YAML in `text`, or in `definition`.")
    return text


def _words(given: dict[str, Any]) -> str:
    reason = given.get("reason", "")
    if not isinstance(reason, str):
        raise Invalid.field("reason", "The reason must be a text.")
    return reason
