"""A server that speaks Microsoft Graph's planner paths, with faults that can be switched on.

    python -m deploy.demo.graph_simulator --port 8002
    curl -X PUT localhost:8002/_faults -d '{"kind": "throttle", "rate": 0.5, "seconds": 30}'

Faults are drawn in this order for each planner request: latency, reset, unavailable, throttle,
token. `auth` hits the token endpoint.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import socket
import struct
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from urllib.parse import parse_qs, quote

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from deploy.demo import signals
from deploy.demo.graph_faults import Fault, FaultError, FaultKind, Faults
from deploy.demo.graph_http import (
    GraphError,
    NoAnswer,
    entity,
    graph_error,
    json_body,
    listed,
    paging,
    token_error,
)
from deploy.demo.graph_tasks import ME, InvalidTaskError, Json, TaskStore
from deploy.demo.graph_tokens import Tokens
from deploy.demo.inbox import Inbox

Handler = Callable[[Request], Awaitable[Response]]

_NOT_FOUND = GraphError(404, "", "The requested item is not found.")


class GraphSimulator:
    """The routes; state lies in the store, the tokens and the faults that are passed in."""

    def __init__(
        self,
        *,
        rng: random.Random,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
        token_lifetime: float = 3599.0,
        tasks_per_plan: int = 40,
    ) -> None:
        self._rng = rng
        self._now = now
        self.tasks = TaskStore(rng, now, tasks_per_plan=tasks_per_plan)
        self.tokens = Tokens(rng, clock, token_lifetime)
        self.faults = Faults(rng, clock)
        self.inbox = Inbox(now)
        self.requests: Counter[tuple[str, str, str]] = Counter()

    def app(self) -> Starlette:
        def graph(path: str, **handlers: Handler) -> Route:
            return Route(path, self._planner(path, handlers), methods=list(handlers))

        return Starlette(
            routes=[
                graph("/v1.0/me/planner/tasks", GET=self._my_tasks),
                graph("/v1.0/planner/plans/{id}", GET=self._plan),
                graph("/v1.0/planner/plans/{id}/tasks", GET=self._plan_tasks),
                graph("/v1.0/planner/tasks", POST=self._create),
                graph(
                    "/v1.0/planner/tasks/{id}",
                    GET=self._task,
                    PATCH=self._update,
                    DELETE=self._delete,
                ),
                Route("/{tenant}/oauth2/v2.0/token", self._token, methods=["POST"]),
                Route("/_faults", self._switch, methods=["GET", "PUT", "DELETE"]),
                Route("/_requests", self._counts, methods=["GET", "DELETE"]),
                Route("/healthz", _healthy),
                *self.inbox.routes(),
            ],
            exception_handlers={HTTPException: self._unrouted},
        )

    # Planner ---------------------------------------------------------------------------------

    def _planner(self, path: str, handlers: dict[str, Handler]) -> Handler:
        async def endpoint(request: Request) -> Response:
            request_id = self._uuid()
            client_request_id = request.headers.get("client-request-id") or request_id
            try:
                # Read first: a write whose sender gives up while waiting still takes effect.
                await request.body()
                await self._apply_faults(request)
                self._authorize(request)
                # Starlette answers HEAD wherever it answers GET.
                method = "GET" if request.method == "HEAD" else request.method
                response = await handlers[method](request)
            except GraphError as failure:
                response = graph_error(
                    failure,
                    request_id=request_id,
                    client_request_id=client_request_id,
                    at=self._now(),
                )
            except ConnectionResetError:
                self.requests[request.method, path, "reset"] += 1
                return NoAnswer()
            except ClientDisconnect:
                self.requests[request.method, path, "abandoned"] += 1
                return NoAnswer()
            response.headers["request-id"] = request_id
            response.headers["client-request-id"] = client_request_id
            self.requests[request.method, path, str(response.status_code)] += 1
            return response

        return endpoint

    async def _apply_faults(self, request: Request) -> None:
        faults = self.faults
        if fault := faults.strike(FaultKind.LATENCY):
            await asyncio.sleep(fault.value or 0)
        if faults.strike(FaultKind.RESET):
            await _reset(request)
        if fault := faults.strike(FaultKind.UNAVAILABLE):
            raise GraphError(
                503,
                "serviceNotAvailable",
                "The service is temporarily unavailable. Please try again after a delay.",
                _retry_after(fault),
            )
        if fault := faults.strike(FaultKind.THROTTLE):
            raise GraphError(
                429,
                "TooManyRequests",
                "Too many requests have been sent. Please retry after the time in Retry-After.",
                _retry_after(fault),
            )
        if faults.strike(FaultKind.TOKEN):
            raise _unauthorized("Lifetime validation failed, the token is expired.")

    def _authorize(self, request: Request) -> None:
        problem = self.tokens.problem(request.headers.get("authorization", ""))
        if problem:
            raise _unauthorized(problem)

    async def _my_tasks(self, request: Request) -> Response:
        start, limit = paging(request)
        return listed(request, self.tasks.of_user(ME, start, limit))

    async def _plan_tasks(self, request: Request) -> Response:
        plan = self._found(self.tasks.plan, request)
        start, limit = paging(request)
        return listed(request, self.tasks.of_plan(plan["id"], start, limit))

    async def _plan(self, request: Request) -> Response:
        plan = self._found(self.tasks.plan, request)
        shown = {name: value for name, value in plan.items() if name != "buckets"}
        return entity(request, "planner/plans/$entity", shown)

    async def _task(self, request: Request) -> Response:
        return entity(request, "planner/tasks/$entity", self._found(self.tasks.task, request))

    async def _create(self, request: Request) -> Response:
        properties = await json_body(request)
        try:
            task = self.tasks.create(properties)
        except InvalidTaskError as error:
            raise GraphError(400, "", str(error)) from error
        except KeyError as error:
            raise _NOT_FOUND from error
        location = f"{request.base_url}v1.0/planner/tasks/{quote(task['id'])}"
        response = entity(request, "planner/tasks/$entity", task, 201)
        response.headers["Location"] = location
        return response

    async def _update(self, request: Request) -> Response:
        task = self._matched(request)
        properties = await json_body(request)
        try:
            changed = self.tasks.update(task["id"], properties)
        except InvalidTaskError as error:
            raise GraphError(400, "", str(error)) from error
        if "return=representation" not in request.headers.get("prefer", "").replace(" ", ""):
            return Response(status_code=204)
        response = entity(request, "planner/tasks/$entity", changed)
        response.headers["Preference-Applied"] = "return=representation"
        return response

    async def _delete(self, request: Request) -> Response:
        self.tasks.delete(self._matched(request)["id"])
        return Response(status_code=204)

    def _found(self, look_up: Callable[[str], Json | None], request: Request) -> Json:
        found = look_up(request.path_params["id"])
        if found is None:
            raise _NOT_FOUND
        return found

    def _matched(self, request: Request) -> Json:
        """The task of a write whose If-Match names its present version."""
        given = request.headers.get("if-match", "")
        if not given:
            # Planner's own answer: a missing condition counts as a failed one.
            raise GraphError(
                412, "", "The If-Match header must be specified for this kind of request."
            )
        task = self._found(self.tasks.task, request)
        if not (given.startswith('W/"') and given.endswith('"') and len(given) > 4):
            raise GraphError(400, "", "The If-Match header contains an invalid value.")
        if given != task["@odata.etag"]:
            raise GraphError(412, "", "The item was changed since the version in If-Match.")
        return task

    async def _unrouted(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        failure = (
            GraphError(405, "Request_BadRequest", "Specified HTTP method is not allowed.")
            if error.status_code == 405
            else GraphError(
                error.status_code, "BadRequest", f"Resource not found: {request.url.path}"
            )
        )
        request_id = self._uuid()
        return graph_error(
            failure, request_id=request_id, client_request_id=request_id, at=self._now()
        )

    # Tokens ----------------------------------------------------------------------------------

    async def _token(self, request: Request) -> Response:
        response = self._grant(parse_qs((await request.body()).decode("utf-8", "replace")))
        self.requests["POST", "/{tenant}/oauth2/v2.0/token", str(response.status_code)] += 1
        return response

    def _grant(self, form: dict[str, list[str]]) -> Response:
        if self.faults.strike(FaultKind.AUTH):
            return self._refused(
                503,
                "temporarily_unavailable",
                90033,
                "A transient error has occurred. Please try again.",
            )
        if form.get("grant_type") != ["client_credentials"]:
            return self._refused(
                400,
                "unsupported_grant_type",
                70003,
                "The app requested an unsupported grant type.",
            )
        for name in ("client_id", "client_secret", "scope"):
            if name not in form:
                return self._refused(
                    400,
                    "invalid_request",
                    900144,
                    f"The request body must contain the following parameter: '{name}'.",
                )
        lifetime = int(self.tokens.lifetime)
        return JSONResponse(
            {
                "token_type": "Bearer",
                "expires_in": lifetime,
                "ext_expires_in": lifetime,
                "access_token": self.tokens.issue(),
            },
            headers={"Cache-Control": "no-store"},
        )

    def _refused(self, status: int, error: str, number: int, text: str) -> Response:
        return token_error(
            status,
            error,
            number,
            text,
            trace=self._uuid(),
            correlation=self._uuid(),
            at=self._now(),
        )

    # The switch ------------------------------------------------------------------------------

    async def _switch(self, request: Request) -> Response:
        try:
            if request.method == "PUT":
                self.faults.put(_parsed(await request.body()))
            elif request.method == "DELETE":
                self.faults.clear(request.query_params.get("kind"))
        except FaultError as error:
            return JSONResponse({"error": {"code": "badRequest", "message": str(error)}}, 400)
        return JSONResponse(self.faults.as_json())

    async def _counts(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.requests.clear()
        rows = [
            {"method": method, "path": path, "outcome": outcome, "count": count}
            for (method, path, outcome), count in sorted(self.requests.items())
        ]
        return JSONResponse({"items": rows})

    def _uuid(self) -> str:
        return str(uuid.UUID(bytes=self._rng.randbytes(16), version=4))


async def _healthy(request: Request) -> Response:
    return JSONResponse({"status": "pass"})


def _unauthorized(message: str) -> GraphError:
    challenge = 'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"'
    return GraphError(401, "InvalidAuthenticationToken", message, {"WWW-Authenticate": challenge})


def _retry_after(fault: Fault) -> dict[str, str]:
    return {} if fault.value is None else {"Retry-After": f"{fault.value:.0f}"}


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FaultError('the body must be JSON such as {"kind": "throttle"}') from error


async def _reset(request: Request) -> None:
    transport: asyncio.Transport = request.state.transport
    if transport.is_closing():
        raise ConnectionResetError
    connection = transport.get_extra_info("socket")
    # With a linger time of zero, closing sends RST instead of FIN.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await asyncio.sleep(0)
    raise ConnectionResetError


class _Protocol(HttpToolsProtocol):
    """Hands the connection's transport to the request, which ASGI does not."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


def server(simulator: GraphSimulator, host: str, port: int) -> uvicorn.Server:
    """A server for the simulator that is not running yet."""
    return uvicorn.Server(
        uvicorn.Config(
            simulator.app(),
            host=host,
            port=port,
            http=_Protocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8002)
    parser.add_argument("--seed", type=int, default=2, help="of tasks, ids and fault draws")
    parser.add_argument("--token-seconds", type=float, default=3599.0)
    options = parser.parse_args()
    simulator = GraphSimulator(
        rng=random.Random(options.seed), token_lifetime=options.token_seconds
    )
    signals.exit_on_signals()
    server(simulator, options.host, options.port).run()


if __name__ == "__main__":
    main()
