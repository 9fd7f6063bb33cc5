"""Tuning of breakers: what the site gives them, with its history."""

from __future__ import annotations

from ninja import Query, Router

from breakers.api.breakers import MAY_ASK
from breakers.api.shown import located
from breakers.models import PolicyChange
from breakers.schemas import PolicyIn, PolicyOut, RollbackIn
from breakers.selectors.names import breaker_check
from breakers.selectors.policies import policy_list
from breakers.services.policies import policy_roll_back, policy_set
from resilience_site.core.choices import Scope
from resilience_site.core.pagination import Page, PageOut, PageQuery
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.versions import if_match

router = Router(tags=["breakers"])


@router.get(
    "/breakers/{path:service}/{path:name}/policy",
    auth=ApiAuth(Scope.READ),
    response=PageOut[PolicyOut],
)
def policies(request: ApiRequest, service: str, name: str, query: Query[PageQuery]) -> Page:
    """What the site gave a breaker, newest first; the first one is in force."""
    service, name = located(service, name)
    breaker_check(service, name)
    return policy_list(service=service, name=name, limit=query.limit, cursor=query.cursor)


@router.put("/breakers/{path:service}/{path:name}/policy", auth=MAY_ASK, response=PolicyOut)
def policy_put(request: ApiRequest, service: str, name: str, body: PolicyIn) -> PolicyChange:
    """Give a breaker these settings, in place of all that the site gave before."""
    service, name = located(service, name)
    return policy_set(
        service=service,
        name=name,
        policy=body.policy,
        reason=body.reason,
        actor=request.auth,
        role=request.role,
        if_match=if_match(request),
    )


@router.post(
    "/breakers/{path:service}/{path:name}/policy/rollback", auth=MAY_ASK, response=PolicyOut
)
def policy_rollback(request: ApiRequest, service: str, name: str, body: RollbackIn) -> PolicyChange:
    """Give a breaker again what an earlier change gave it."""
    service, name = located(service, name)
    return policy_roll_back(
        service=service,
        name=name,
        number=body.number,
        reason=body.reason,
        actor=request.auth,
        role=request.role,
        if_match=if_match(request),
    )
