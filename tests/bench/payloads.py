"""What is sent: OTLP requests of failing spans, each with an exception and a 12-frame trace."""

from __future__ import annotations

import random
import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

SPANS_PER_REQUEST = 512
FRAMES = 12
DISTINCT_STACKS = 40
STATUS_ERROR, KIND_SERVER = 2, 2


def _stack(number: int) -> str:
    lines = ["Traceback (most recent call last):"]
    for depth in range(FRAMES):
        folder = "/srv/app" if depth > 3 else "/usr/lib/python3.11/site-packages/framework"
        lines.append(
            f'  File "{folder}/module_{number}_{depth}.py", line {10 + depth}, in step_{depth}'
        )
        lines.append(f"    return call_{depth}(argument, number={number})")
    lines.append("planner.errors.GraphUnavailable: Microsoft Graph answered 503 to request 4711")
    return "\n".join(lines)


def _attributes(**values: str | int) -> list[KeyValue]:
    found = []
    for key, value in values.items():
        name = key.replace("__", ".")
        any_value = (
            AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value)
        )
        found.append(KeyValue(key=name, value=any_value))
    return found


def request(source: random.Random, service: str = "bench") -> bytes:
    """One protobuf request of 512 failing spans, each in a trace of its own."""
    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    resource.resource.attributes.extend(
        _attributes(
            service__name=service,
            service__instance__id="bench-1",
            deployment__environment__name="bench",
            telemetry__sdk__language="python",
        )
    )
    scope = resource.scope_spans.add()
    scope.scope.name = "bench"
    now = time.time_ns()
    for index in range(SPANS_PER_REQUEST):
        span = scope.spans.add()
        span.trace_id = source.randbytes(16)
        span.span_id = source.randbytes(8)
        span.name = f"tools/call plan_{index % 20}"
        span.kind = KIND_SERVER
        span.start_time_unix_nano = now - source.randrange(1_000_000, 2_000_000_000)
        span.end_time_unix_nano = now
        span.status.code = STATUS_ERROR
        span.attributes.extend(
            _attributes(
                http__route="/planner/tasks",
                http__response__status_code=503,
                server__address="graph.example",
                enduser__id=f"user-{source.randrange(1000)}",
                gen_ai__tool__name="plan_summary",
            )
        )
        event = span.events.add()
        event.name = "exception"
        event.time_unix_nano = now - source.randrange(1_000_000)
        number = source.randrange(DISTINCT_STACKS)
        event.attributes.extend(
            _attributes(
                exception__type="planner.errors.GraphUnavailable",
                exception__message=f"Microsoft Graph answered 503 to request {source.randrange(10**6)}",
                exception__stacktrace=_stack(number),
            )
        )
    return message.SerializeToString()
