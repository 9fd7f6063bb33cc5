"""Alert rules: what is watched, and what a rule would have said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import HttpResponse
from ninja import Query, Router, Status

from alerting.models import AlertRule
from alerting.schemas.rules import (
    NewTrialIn,
    RuleIn,
    RuleNewIn,
    RuleOut,
    RuleQuery,
    RuleTrialOut,
    TrialRangeIn,
)
from alerting.selectors.rules import rule_find, rule_list
from alerting.services.rules.store import (
    rule_create,
    rule_delete,
    rule_form,
    rule_shown,
    rule_update,
)
from alerting.services.rules.trial import Trial, TriedAlert, rule_of, rule_trial
from health.api.shown import of_body, sent
from resilience_site.core.choices import Scope
from resilience_site.core.links import absolute
from resilience_site.core.pagination import Page, PageOut, keyset_page
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.problems import FieldError, Invalid, NotFound
from resilience_site.core.timerange import parse_range
from resilience_site.core.versions import if_match, set_version

router = Router(tags=["rules"])

_ONE = "/alerts/rules/{str:name}"
_WEEK = timedelta(days=7)


@router.get("/alerts/rules", auth=ApiAuth(Scope.READ), response=PageOut[RuleOut])
def rules(request: ApiRequest, query: Query[RuleQuery]) -> Page:
    """All rules by name."""
    return keyset_page(
        rule_list(severity=query.severity, enabled=query.enabled, faulty=query.faulty),
        by=("name",),
        types=(str,),
        cursor=query.cursor,
        limit=query.limit,
    )


@router.post("/alerts/rules", auth=ApiAuth(Scope.OPERATE), response={201: RuleOut})
def rule_post(request: ApiRequest, response: HttpResponse, body: RuleNewIn) -> Status[AlertRule]:
    """Make a rule; what holds already fires as of now. Try it first: see trial."""
    given = _given(sent(request, body))
    with of_body():
        rule = rule_create(fields=given, actor=request.auth, now=datetime.now(UTC))
    return Status(201, _answer(response, rule.name))


@router.post("/alerts/rules/trial", auth=ApiAuth(Scope.READ), response=RuleTrialOut)
def new_rule_trial(request: ApiRequest, body: NewTrialIn) -> dict[str, Any]:
    """What a rule that is not stored would have said of a range of the past. Nothing is written."""
    with of_body():
        rule = rule_of(rule_form(_fields(body.rule)))
        return _trial(rule, body.since, body.until)


@router.get(_ONE, auth=ApiAuth(Scope.READ), response=RuleOut)
def rule(request: ApiRequest, response: HttpResponse, name: str) -> AlertRule:
    """One rule; its ETag is the version that a write may name in `If-Match`."""
    return _answer(response, name)


@router.put(_ONE, auth=ApiAuth(Scope.OPERATE), response=RuleOut)
def rule_put(request: ApiRequest, response: HttpResponse, name: str, body: RuleIn) -> AlertRule:
    """Change the fields that are sent; unless they are words alone, the rule is evaluated anew."""
    with of_body():
        rule_update(
            name=_known(name).name,
            fields=_given(sent(request, body)),
            if_match=if_match(request),
            actor=request.auth,
            now=datetime.now(UTC),
        )
    return _answer(response, name)


@router.delete(_ONE, auth=ApiAuth(Scope.OPERATE), response={204: None})
def rule_remove(request: ApiRequest, name: str) -> Status[None]:
    """Delete a rule that a person made; its alerts end. Shipped ones can be switched off."""
    rule_delete(
        name=_known(name).name,
        if_match=if_match(request),
        actor=request.auth,
        now=datetime.now(UTC),
    )
    return Status(204, None)


@router.post(f"{_ONE}/trial", auth=ApiAuth(Scope.READ), response=RuleTrialOut)
def one_rule_trial(request: ApiRequest, name: str, body: TrialRangeIn) -> dict[str, Any]:
    """What a rule would have said of a range, or said of it; nothing is written. Over a range in
    which the rule was live as it is, these are the alerts that it made."""
    found = _known(name)
    with of_body():
        if body.rule is not None:
            fields = {**rule_shown(found), **_fields(body.rule), "name": found.name}
            found = rule_of(rule_form(fields), found)
        return _trial(found, body.since, body.until)


def _trial(rule: AlertRule, since: str, until: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    try:
        within = parse_range(since, until, now=now, default=_WEEK)
    except Invalid as problem:
        # The range came in the body.
        problem.errors = tuple(
            FieldError(each.field.removeprefix("query."), each.message) for each in problem.errors
        )
        raise
    trial = rule_trial(rule, since=within.since, until=within.until, now=now)
    return trial_shown(trial)


def trial_shown(trial: Trial) -> dict[str, Any]:
    """The fields of `RuleTrialOut`."""
    shown = {name: getattr(trial, name) for name in RuleTrialOut.model_fields if name != "alerts"}
    return {**shown, "alerts": [_tried(each) for each in trial.alerts]}


def _tried(each: TriedAlert) -> dict[str, Any]:
    names = (name for name in TriedAlert.__dataclass_fields__)
    shown = {name: getattr(each, name) for name in names}
    url = absolute(f"/alerts/{each.alert_id}") if each.alert_id else ""
    return {**shown, "link": absolute(each.link) if each.link else "", "url": url}


def _fields(body: RuleIn) -> dict[str, Any]:
    return _given({name: getattr(body, name) for name in body.model_fields_set})


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    """What was sent and is not null, which stands for what is not sent."""
    return {name: value for name, value in fields.items() if value is not None}


def _known(name: str) -> AlertRule:
    found = rule_find(name)
    if found is None:
        raise NotFound(f"There is no alert rule {name[:100]}.")
    return found


def _answer(response: HttpResponse, name: str) -> AlertRule:
    found = _known(name)
    set_version(response, found.version)
    return found
