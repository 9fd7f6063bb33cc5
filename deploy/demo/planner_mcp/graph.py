"""Microsoft Graph's planner over HTTP, with a token that is fetched and kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor, RequestInfo
from opentelemetry.trace import Span

import breakers.runtime as resilience
from deploy.demo.planner_mcp.errors import (
    PASSING,
    GraphError,
    GraphUnavailableError,
    graph_error,
    token_error,
)
from deploy.demo.planner_mcp.protection import GRAPH

Json = dict[str, Any]

_SCOPE = "https://graph.microsoft.com/.default"
_RENEW_BEFORE = 300.0  # seconds of lifetime left at which a token is renewed
_MAX_PAGES = 10
_TRY_AGAIN = 5.0  # seconds, where Graph names none
_REPRESENTATION = {"Prefer": "return=representation"}


class _StatusTransport(httpx.AsyncHTTPTransport):
    """Raises for 4xx and 5xx inside the traced call, so that its span carries the exception."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if response.is_error:
            response.request = request
            try:
                await response.aread()
            finally:
                await response.aclose()
            response.raise_for_status()
        return response


class GraphClient:
    """`timeout` is in seconds for each request; `clock` is monotonic."""

    def __init__(
        self,
        base_url: str,
        *,
        tenant: str,
        client_id: str,
        client_secret: str,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tenant = tenant
        self._credentials = {"client_id": client_id, "client_secret": client_secret}
        self._clock = clock
        self._token = ""
        self._renew_at = 0.0
        self._fetching = asyncio.Lock()
        self._http = httpx.AsyncClient(
            base_url=base_url, timeout=timeout, transport=_StatusTransport()
        )
        HTTPXClientInstrumentor.instrument_client(self._http, request_hook=_describe)
        # A change names the version it changes, so it may be sent twice, as a read may; a task that
        # may have been created is not created again.
        self._again = resilience.protect(GRAPH, criticality="high", idempotent=True)(self._ask)
        self._once = resilience.protect(GRAPH, criticality="high", idempotent=False)(self._ask)

    async def close(self) -> None:
        await self._http.aclose()

    async def plan(self, plan_id: str) -> Json:
        answer = await self._call("GET", "/v1.0/planner/plans/{id}", id=plan_id)
        return _object(answer)

    async def plan_tasks(self, plan_id: str) -> list[Json]:
        return await self._list("/v1.0/planner/plans/{id}/tasks", id=plan_id)

    async def my_tasks(self) -> list[Json]:
        return await self._list("/v1.0/me/planner/tasks")

    async def task(self, task_id: str) -> Json:
        return _object(await self._call("GET", "/v1.0/planner/tasks/{id}", id=task_id))

    async def create_task(self, properties: Json) -> Json:
        return _object(await self._call("POST", "/v1.0/planner/tasks", json=properties))

    async def update_task(self, task_id: str, etag: str, properties: Json) -> Json:
        """Change the version named by `etag`. Raises GraphConflictError where it is not the last."""
        answer = await self._call(
            "PATCH",
            "/v1.0/planner/tasks/{id}",
            id=task_id,
            json=properties,
            headers={"If-Match": etag, **_REPRESENTATION},
        )
        return _object(answer)

    async def _list(self, template: str, id: str = "") -> list[Json]:
        answer = _object(await self._call("GET", template, id=id))
        tasks = list(answer["value"])
        for _ in range(_MAX_PAGES - 1):
            following = answer.get("@odata.nextLink")
            if not following:
                break
            answer = _object(await self._call("GET", template, url=following))
            tasks += answer["value"]
        return tasks

    async def _call(self, method: str, template: str, **more: Any) -> httpx.Response:
        protected = self._once if method == "POST" else self._again
        try:
            return await protected(method, template, **more)
        except GraphError as error:
            repeatable = method != "POST" or isinstance(error, GraphUnavailableError)
            if error.retry_after is None and repeatable and isinstance(error, PASSING):
                error.retry_after = _TRY_AGAIN
            raise

    async def _ask(
        self,
        method: str,
        template: str,
        *,
        id: str = "",
        url: str = "",
        json: Json | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        doing = f"{method} {template}"
        target = httpx.URL(url or template.replace("{id}", id))
        base = self._http.base_url
        if target.is_absolute_url and (target.host, target.port) != (base.host, base.port):
            raise GraphError(f"Microsoft Graph's next link leads elsewhere: {target.host}")
        for last in (False, True):
            token = await self._access_token()
            try:
                return await self._http.request(
                    method,
                    target,
                    json=json,
                    headers={"Authorization": f"Bearer {token}", **(headers or {})},
                    extensions={"template": template},
                )
            except httpx.HTTPStatusError as error:
                # A token can end before its time; one fresh one is worth a try.
                if error.response.status_code == 401 and not last:
                    self._forget(token)
                    continue
                raise graph_error(error, doing=doing) from error
            except httpx.HTTPError as error:
                raise graph_error(error, doing=doing) from error
        raise AssertionError("the second attempt returns or raises")

    async def _access_token(self) -> str:
        async with self._fetching:
            if not self._token or self._clock() >= self._renew_at:
                await self._fetch_token()
            return self._token

    async def _fetch_token(self) -> None:
        template = "/{tenant}/oauth2/v2.0/token"
        form = {"grant_type": "client_credentials", "scope": _SCOPE, **self._credentials}
        try:
            answer = await self._http.post(
                template.replace("{tenant}", self._tenant),
                data=form,
                extensions={"template": template},
            )
        except httpx.HTTPError as error:
            raise token_error(error) from error
        granted = _object(answer)
        lifetime = float(granted["expires_in"])
        self._token = granted["access_token"]
        self._renew_at = self._clock() + max(lifetime - _RENEW_BEFORE, lifetime / 2)

    def _forget(self, token: str) -> None:
        # Another call may have fetched a new one already.
        if self._token == token:
            self._token = ""


def _object(answer: httpx.Response) -> Json:
    body = answer.json()
    if not isinstance(body, dict):
        raise GraphError("Microsoft Graph answered with something that is no object")
    return body


async def _describe(span: Span, request: RequestInfo) -> None:
    template = (request.extensions or {}).get("template", "")
    signing_in = "oauth2" in template
    span.update_name(f"{request.method.decode()} {template}")
    span.set_attribute("url.template", template)
    span.set_attribute("peer.service", "microsoft-entra-id" if signing_in else "microsoft-graph")
