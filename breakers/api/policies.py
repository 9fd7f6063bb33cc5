"""Tuning of breakers and bulkheads: what the site gives them, with its history."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ninja import Query, Router

from breakers.api.breakers import MAY_ASK
from breakers.api.shown import located
from breakers.choices import PolicySubject
from breakers.models import PolicyChange
from breakers.schemas import PolicyIn, PolicyOut, RollbackIn
from breakers.selectors.names import breaker_check, bulkhead_check, bulkhead_locate
from breakers.selectors.policies import policy_list
from breakers.services.policies import policy_roll_back, policy_set
from resilience_site.core.choices import Scope
from resilience_site.core.pagination import Page, PageOut, PageQuery
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.versions import if_match

router = Router(tags=["breakers"])


class _Kind(NamedTuple):
    """What is tuned: where it is found by the path, and what refuses an unknown one."""

    subject: PolicySubject
    locate: Callable[[str, str], tuple[str, str]]
    check: Callable[[str, str], None]


def _bulkhead(service: str, name: str) -> tuple[str, str]:
    return bulkhead_locate(f"{service}/{name}")


_BREAKER = _Kind(PolicySubject.BREAKER, located, breaker_check)
_BULKHEAD = _Kind(PolicySubject.BULKHEAD, _bulkhead, bulkhead_check)


def _history(kind: _Kind, service: str, name: str, query: PageQuery) -> Page:
    service, name = kind.locate(service, name)
    kind.check(service, name)
    return policy_list(
        service=service, name=name, subject=kind.subject, limit=query.limit, cursor=query.cursor
    )


def _give(
    request: ApiRequest, kind: _Kind, service: str, name: str, body: PolicyIn
) -> PolicyChange:
    service, name = kind.locate(service, name)
    return policy_set(
        service=service,
        name=name,
        subject=kind.subject,
        policy=body.policy,
        reason=body.reason,
        actor=request.auth,
        role=request.role,
        if_match=if_match(request),
    )


def _give_again(
    request: ApiRequest, kind: _Kind, service: str, name: str, body: RollbackIn
) -> PolicyChange:
    service, name = kind.locate(service, name)
    return policy_roll_back(
        service=service,
        name=name,
        subject=kind.subject,
        number=body.number,
        reason=body.reason,
        actor=request.auth,
        role=request.role,
        if_match=if_match(request),
    )


@router.get(
    "/breakers/{path:service}/{path:name}/policy",
    auth=ApiAuth(Scope.READ),
    response=PageOut[PolicyOut],
)
def policies(request: ApiRequest, service: str, name: str, query: Query[PageQuery]) -> Page:
    """What the site gave a breaker, newest first; the first one is in force."""
    return _history(_BREAKER, service, name, query)


@router.put("/breakers/{path:service}/{path:name}/policy", auth=MAY_ASK, response=PolicyOut)
def policy_put(request: ApiRequest, service: str, name: str, body: PolicyIn) -> PolicyChange:
    """Give a breaker these settings, in place of all that the site gave before."""
    return _give(request, _BREAKER, service, name, body)


@router.post(
    "/breakers/{path:service}/{path:name}/policy/rollback", auth=MAY_ASK, response=PolicyOut
)
def policy_rollback(request: ApiRequest, service: str, name: str, body: RollbackIn) -> PolicyChange:
    """Give a breaker again what an earlier change gave it."""
    return _give_again(request, _BREAKER, service, name, body)


@router.get(
    "/bulkheads/{path:service}/{path:name}/policy",
    auth=ApiAuth(Scope.READ),
    response=PageOut[PolicyOut],
    tags=["protection"],
)
def bulkhead_policies(
    request: ApiRequest, service: str, name: str, query: Query[PageQuery]
) -> Page:
    """What the site gave a bulkhead, newest first; the first one is in force."""
    return _history(_BULKHEAD, service, name, query)


@router.put(
    "/bulkheads/{path:service}/{path:name}/policy",
    auth=MAY_ASK,
    response=PolicyOut,
    tags=["protection"],
)
def bulkhead_policy_put(
    request: ApiRequest, service: str, name: str, body: PolicyIn
) -> PolicyChange:
    """Give a bulkhead these limits, in place of all that the site gave before."""
    return _give(request, _BULKHEAD, service, name, body)


@router.post(
    "/bulkheads/{path:service}/{path:name}/policy/rollback",
    auth=MAY_ASK,
    response=PolicyOut,
    tags=["protection"],
)
def bulkhead_policy_rollback(
    request: ApiRequest, service: str, name: str, body: RollbackIn
) -> PolicyChange:
    """Give a bulkhead again what an earlier change gave it."""
    return _give_again(request, _BULKHEAD, service, name, body)
