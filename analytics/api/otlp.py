"""The three OTLP paths, behind the gateway that has checked key, encodings and size."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any

import psycopg
from django.core.handlers.asgi import ASGIRequest
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpResponse
from ninja import NinjaAPI, Router
from opentelemetry.instrumentation.utils import suppress_instrumentation
from psycopg_pool import PoolTimeout

from analytics.domain import otlp_json, otlp_protobuf
from analytics.domain.otlp_responses import PROTOBUF, Violation, status, success
from analytics.domain.otlp_values import DecodeError
from analytics.domain.telemetry import Decoded
from analytics.services.ingest import StoreResult, store_spans
from analytics.services.ingest_logs import store_logs
from analytics.services.ingest_metrics import store_metrics
from resilience_site.core.answering import Line, answered

log = logging.getLogger(__name__)

# What means "the store is down, come back": anything else would be resent for ever in vain.
STORE_ERRORS = (OperationalError, InterfaceError, PoolTimeout, psycopg.OperationalError)
_RETRY_AFTER = "5"

_Decode = Callable[..., Decoded]
_Store = Callable[..., StoreResult]
_DECODERS: dict[str, tuple[_Decode, _Decode]] = {
    "traces": (otlp_protobuf.decode_traces, otlp_json.decode_traces),
    "logs": (otlp_protobuf.decode_logs, otlp_json.decode_logs),
    "metrics": (otlp_protobuf.decode_metrics, otlp_json.decode_metrics),
}
_STORES: dict[str, _Store] = {
    "traces": store_spans,
    "logs": store_logs,
    "metrics": store_metrics,
}
# Decoding is bound by this process's one interpreter; a second thread works while the first
# waits for the database.
_workers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="ingest")

router = Router(tags=["telemetry"])


def _ingest(signal: str, encoding: str, body: bytes, line: Line) -> StoreResult:
    protobuf, json = _DECODERS[signal]
    decode = protobuf if encoding == PROTOBUF else json
    with suppress_instrumentation():
        decoded = decode(body, now_ns=time.time_ns())
        with line:
            return _STORES[signal](decoded, received_at=datetime.now(UTC))


async def _handle(request: Any, signal: str) -> HttpResponse:
    if not isinstance(request, ASGIRequest) or "otlp.body" not in request.scope:
        raise Http404("Telemetry is received through the gateway.")
    encoding: str = request.scope["otlp.encoding"]
    body: bytes = request.scope["otlp.body"]
    try:
        result = await answered(partial(_ingest, signal, encoding, body), _workers)
    except DecodeError as error:
        return _answer(
            400, status(400, str(error), encoding, [Violation("body", str(error))]), encoding
        )
    except STORE_ERRORS as error:
        log.warning("the store does not answer; a sender of %s is asked to wait: %s", signal, error)
        text = "The database does not answer; nothing was stored, send again."
        answer = _answer(503, status(503, text, encoding), encoding)
        answer["retry-after"] = _RETRY_AFTER
        return answer
    return _answer(200, success(signal, encoding, result.rejections), encoding)


def _answer(http_status: int, body: bytes, encoding: str) -> HttpResponse:
    answer = HttpResponse(body, status=http_status, content_type=encoding)
    answer["x-otlp-answer"] = "1"
    return answer


@router.post("/v1/traces")
async def traces(request: Any) -> HttpResponse:
    """`ExportTraceServiceRequest`, as protobuf or JSON."""
    return await _handle(request, "traces")


@router.post("/v1/logs")
async def logs(request: Any) -> HttpResponse:
    """`ExportLogsServiceRequest`, as protobuf or JSON."""
    return await _handle(request, "logs")


@router.post("/v1/metrics")
async def metrics(request: Any) -> HttpResponse:
    """`ExportMetricsServiceRequest`, as protobuf or JSON."""
    return await _handle(request, "metrics")


otlp_api = NinjaAPI(urls_namespace="otlp", docs_url=None, openapi_url=None)
otlp_api.add_router("", router)
