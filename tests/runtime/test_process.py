"""What can only be seen in a process of its own: imports, global providers, exit."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from tests.patience import PATIENCE
from tests.runtime.sink import Sink, attributes

ROOT = Path(__file__).resolve().parents[2]


def run(code: str, *arguments: str) -> Any:
    """Run the code in a fresh interpreter; the JSON of its last output line."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_importing_the_runtime_loads_neither_the_site_nor_heavy_libraries() -> None:
    loaded = run("""
        import sys
        before = set(sys.modules)
        import breakers.runtime
        loaded = sorted(set(sys.modules) - before)
        import json
        print(json.dumps(loaded))
    """)
    # So that it is fast: the standard library alone, without its slow parts.
    roots = {name.split(".")[0] for name in loaded}
    assert {name for name in roots if name not in sys.stdlib_module_names} == {"breakers"}
    assert not roots & {
        "difflib", "email", "fnmatch", "http", "json", "multiprocessing", "pathlib", "platform",
        "sqlite3", "unittest", "urllib", "uuid", "xml", "zlib",
    }  # fmt: skip
    # And none of the library's own that no protected call needs.
    own = {name.rpartition(".")[2] for name in loaded if name.startswith("breakers.")}
    assert own >= {"circuit_breaker", "resilience", "retry"}
    assert not own & {
        "adaptive_limit", "commands", "connection", "control", "error_correlator", "error_events",
        "export", "healing_types", "hedging", "redis_cache", "self_healing", "shared_state",
        "site_answers", "site_healing", "site_reader", "telemetry",
    }  # fmt: skip


def test_protecting_and_calling_loads_no_more_than_importing() -> None:
    added = run("""
        import sys
        import breakers.runtime as resilience
        before = set(sys.modules)
        called = resilience.protect("graph", bulkhead="user_operations", timeout=60)(lambda: 1)()
        added = sorted(set(sys.modules) - before)
        import json
        print(json.dumps([called, added]))
    """)
    assert added == [1, []]


def test_every_public_name_is_there_also_those_that_are_imported_when_they_are_asked_for() -> None:
    run("""
        import breakers.runtime as resilience
        public = set(resilience.__all__)
        assert public <= set(dir(resilience)), public - set(dir(resilience))
        from breakers.runtime import *
        assert public <= set(globals()), public - set(globals())
        for name in public:
            assert globals()[name] is getattr(resilience, name), name
        assert connect.__module__ == "breakers.runtime.connection"
        assert isinstance(default().errors, ErrorCorrelator)
        assert isinstance(default().healing, SelfHealingManager)
        for part in ("errors", "healing", "commands"):
            assert getattr(default(), part) is getattr(default(), part), part
        try:
            resilience.conect
        except AttributeError as error:
            assert "conect" in str(error)
        else:
            raise AssertionError("a name that is no name")
        print(0)
    """)


def test_connecting_twice_is_connecting_once() -> None:
    with Sink().listening() as sink:
        outcome = run(
            """
            import json, sys
            import breakers.runtime as resilience
            from opentelemetry import trace
            def connect(service):
                return resilience.connect(sys.argv[1], key="k" * 20, service=service)
            first, second = connect("planner"), connect("planner")
            trace.get_tracer("test").start_span("call").end()
            flushed = first.flush(60)
            try:
                connect("mailer")
            except resilience.ConfigError as error:
                refused = "one service" in str(error)
            print(json.dumps([first is second, flushed, refused]))
            """,
            sink.url,
        )
        assert outcome == [True, True, True]
        assert [span.name for span in sink.spans()] == ["call"]


def test_a_connection_can_move_and_be_opened_again() -> None:
    with Sink().listening() as old, Sink().listening() as new:
        run(
            """
            import sys
            import breakers.runtime as resilience
            from opentelemetry import metrics, trace
            resilience.Connection.shutdown.__defaults__ = (60.0,)  # a busy machine is slow
            calls = 0
            def connect(url):
                return resilience.connect(url, key="k" * 20, service="planner")
            def work():
                global calls
                calls += 1
                trace.get_tracer("test").start_span(f"call-{calls}").end()
                metrics.get_meter("test").create_counter("calls").add(1)
            connect(sys.argv[1]); work()
            moved = connect(sys.argv[2]); work()
            moved.shutdown(60); work()
            assert moved.flush(60)
            connect(sys.argv[2]); work()
            print(0)
            """,
            old.url,
            new.url,
        )
        assert [span.name for span in old.spans()] == ["call-1"]
        assert [span.name for span in new.spans()] == ["call-2", "call-4"]
        assert old.of("/v1/metrics")
        assert new.of("/v1/metrics")


def test_a_program_with_its_own_tracing_keeps_it_and_reports_here_too() -> None:
    with Sink().listening() as sink:
        kept = run(
            """
            import json, sys
            from opentelemetry import trace
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            own = TracerProvider(resource=Resource.create({"service.name": "theirs"}))
            trace.set_tracer_provider(own)
            import breakers.runtime as resilience
            connection = resilience.connect(sys.argv[1], key="k" * 20, service="planner")
            trace.get_tracer("test").start_span("call").end()
            connection.shutdown(60)
            print(json.dumps(trace.get_tracer_provider() is own))
            """,
            sink.url,
        )
        assert kept is True
        [(_, _, message)] = sink.of("/v1/traces")
        resource = attributes(message.resource_spans[0].resource.attributes)
        assert resource["service.name"] == "theirs"


def test_telemetry_of_a_program_that_simply_ends_is_sent() -> None:
    with Sink().listening() as sink:
        run(
            """
            import sys
            import breakers.runtime as resilience
            from opentelemetry import trace
            resilience.Connection.shutdown.__defaults__ = (60.0,)  # a busy machine is slow
            resilience.connect(sys.argv[1], key="k" * 20, service="planner")
            trace.get_tracer("test").start_span("last words").end()
            print(0)
            """,
            sink.url,
        )
        assert [span.name for span in sink.spans()] == ["last words"]


def test_a_child_after_a_fork_keeps_its_own_telemetry_and_not_its_parents() -> None:
    with Sink().listening() as sink:
        sink.status = 503
        waiting = run(
            """
            import json, os, sys
            import breakers.runtime as resilience
            connection = resilience.connect(
                sys.argv[1], key="k" * 20, service="planner", control=False, metric_interval=3600
            )
            spans = connection._pipeline.keeping[0]
            tracer = connection.tracer_provider.get_tracer("test")

            def one_more():
                tracer.start_span("call").end()
                connection.flush(60)
                return spans.waiting

            found = [one_more(), one_more()]
            read, write = os.pipe()
            # As while a request waits for its answer.
            spans._sending.acquire()
            child = os.fork()
            if not child:
                os.write(write, json.dumps([spans.waiting, one_more()]).encode())
                os._exit(0)
            spans._sending.release()
            os.waitpid(child, 0)
            found += json.loads(os.read(read, 100)), spans.waiting
            connection.shutdown(60)
            print(json.dumps(found))
            """,
            sink.url,
        )
    assert waiting == [1, 2, [0, 1], 2]
