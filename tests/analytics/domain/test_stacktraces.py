"""Real stack traces become exceptions and frames; anything else becomes nothing, quietly."""

from __future__ import annotations

import json
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.domain.stacktraces import (
    DEFAULT_LIBRARIES,
    MAX_FRAMES,
    MAX_LINES,
    MAX_RAW,
    Frame,
    Library,
    ParsedStack,
    parse,
)
from tests.analytics.domain.fixtures import stack

FIXTURES = sorted(path.stem for path in Path(__file__).parent.glob("fixtures/*.txt"))
LANGUAGES = ["python", "java", "nodejs", "webjs", "go", "dotnet", "", "ruby"]


def heads(parsed: ParsedStack) -> list[tuple[str, str]]:
    return [(each.relation, each.type) for each in parsed.exceptions]


def own(parsed: ParsedStack, index: int = 0) -> list[str]:
    return [each.function for each in parsed.exceptions[index].frames if each.in_app]


def test_python_frames_run_to_the_one_that_raised() -> None:
    parsed = parse(stack("python-status"), "python")
    (exception,) = parsed.exceptions
    assert parsed.language == "python"
    assert exception.type == "httpx.HTTPStatusError"
    assert exception.message.startswith("Client error '429 Too Many Requests' for url")
    assert "\nFor more information check: " in exception.message
    assert [frame.function for frame in exception.frames] == [
        "<module>", "<lambda>", "run", "run", "run_until_complete", "list_tasks",
        "raise_for_status",
    ]  # fmt: skip
    assert exception.frames[5] == Frame(
        "list_tasks", "", "/srv/planner/client.py", 18, True, "response.raise_for_status()"
    )
    assert own(parsed) == ["<module>", "<lambda>", "list_tasks"]


def test_python_chains_begin_with_the_reported_exception() -> None:
    parsed = parse(stack("python-chain"), "python")
    assert heads(parsed) == [
        ("", "RuntimeError"),
        ("cause", "json.decoder.JSONDecodeError"),
        ("context", "httpx.HTTPStatusError"),
    ]
    assert parsed.exceptions[0].message == "no cached plan Zz81"
    assert own(parsed, 1) == ["summary"]
    assert own(parsed, 2) == ["planner", "list_tasks"]


def test_python_groups_are_followed_by_their_members() -> None:
    parsed = parse(stack("python-group"), "python")
    assert heads(parsed) == [
        ("", "ExceptionGroup"),
        ("member", "httpx.HTTPStatusError"),
        ("member", "httpx.HTTPStatusError"),
    ]
    assert own(parsed)[-1] == "both"
    assert own(parsed, 2) == ["list_tasks"]
    assert "503" in parsed.exceptions[2].message


def test_python_groups_within_groups_and_chains_keep_their_order() -> None:
    def fail() -> None:
        try:
            raise KeyError("plan")
        except KeyError as error:
            inner = ExceptionGroup("inner", [TypeError("t"), OSError("o")])
            raise ExceptionGroup("outer", [ValueError("v"), inner, ValueError("w")]) from error

    with pytest.raises(ExceptionGroup) as caught:
        fail()
    parsed = parse("".join(traceback.format_exception(caught.value)), "python")
    assert [(each.relation, each.type, each.message) for each in parsed.exceptions] == [
        ("", "ExceptionGroup", "outer (3 sub-exceptions)"),
        ("member", "ValueError", "v"),
        ("member", "ExceptionGroup", "inner (2 sub-exceptions)"),
        ("member", "TypeError", "t"),
        ("member", "OSError", "o"),
        ("member", "ValueError", "w"),
        ("cause", "KeyError", "'plan'"),
    ]


def test_python_tracebacks_may_stand_below_other_text() -> None:
    raw = f"Task failed\n{stack('python-status')}"
    assert parse(raw, "python") == parse(stack("python-status"), "python")


def test_python_recursion_is_shown_as_printed() -> None:
    parsed = parse(stack("python-recursion"), "python")
    assert own(parsed) == ["<module>", "<lambda>", "depth", "depth", "depth"]
    assert parsed.exceptions[0].type == "RecursionError"


def test_java_causes_and_suppressed_exceptions() -> None:
    parsed = parse(stack("java-async"), "java")
    assert heads(parsed) == [
        ("", "java.util.concurrent.ExecutionException"),
        ("cause", "java.lang.RuntimeException"),
        ("cause", "java.lang.NumberFormatException"),
        ("suppressed", "java.lang.IllegalStateException"),
    ]
    assert parsed.exceptions[1].message == "plan could not be loaded\nfrom the cache"
    assert own(parsed, 2) == ["load", "lambda$load$0", "parse"]
    assert parsed.exceptions[2].frames[-1] == Frame(
        "forInputString",
        "java.lang.NumberFormatException",
        "NumberFormatException.java",
        67,
        False,
    )


@pytest.mark.parametrize(
    ("line", "module", "function"),
    [
        ("\tat app//org.example.A.b(A.java:1)", "org.example.A", "b"),
        ("\tat java.base@17.0.1/java.lang.A.b(A.java:1)", "java.lang.A", "b"),
        ("\tat org.example.A$$Lambda$14/0x0000000800c03000.run(Unknown Source)",
         "org.example.A$$Lambda$14/0x0000000800c03000", "run"),
        ("\tat org.example.A.<init>(A.kt:7) ~[planner.jar:1.2]", "org.example.A", "<init>"),
        ("    at org.example.A.b(Native Method)", "org.example.A", "b"),
    ],
)  # fmt: skip
def test_java_frames_in_every_form(line: str, module: str, function: str) -> None:
    (exception,) = parse(f"org.example.Oops: no\n{line}\n", "java").exceptions
    assert [(frame.module, frame.function) for frame in exception.frames] == [(module, function)]


def test_node_causes() -> None:
    parsed = parse(stack("node-cause"), "nodejs")
    assert parsed.language == "javascript"
    assert heads(parsed) == [("", "GraphError"), ("cause", "SyntaxError")]
    assert own(parsed) == ["listTasks", "fetchPlan"]
    assert own(parsed, 1) == ["listTasks", "fetchPlan", "readToken"]
    assert parsed.exceptions[1].frames[-1] == Frame("JSON.parse", "", "", 0, False)


def test_node_aggregates_are_followed_by_their_members() -> None:
    parsed = parse(stack("node-aggregate"), "nodejs")
    assert heads(parsed) == [("", "AggregateError"), ("member", "Error"), ("member", "TypeError")]
    assert parsed.exceptions[0].message == "All promises were rejected"


def test_node_source_excerpts_are_not_part_of_the_message() -> None:
    parsed = parse(stack("node-uncaught"), "nodejs")
    assert heads(parsed) == [("", "RangeError")]
    assert parsed.exceptions[0].message == "budget is spent\nsecond line"
    assert own(parsed) == ["Timeout._onTimeout", "explode"]
    assert [frame.in_app for frame in parsed.exceptions[0].frames] == [False, False, True, True]


def test_javascript_of_browsers() -> None:
    chromium = (
        "TypeError: x is null\n    at async load (https://planner.example/assets/app.3f2a1b9c.js:1:99)"
        "\n    at new Plan [as make] (webpack:///./src/plan.ts?1a2b:4:5)\n    at https://planner.example/a.js:1:2"
    )
    gecko = "load@https://planner.example/app.js:1:99\nasync*main/<@https://planner.example/app.js:7:1\n"
    assert own(parse(chromium, "webjs")) == ["<anonymous>", "new Plan", "load"]
    (exception,) = parse(gecko, "webjs").exceptions
    assert [(frame.function, frame.line) for frame in exception.frames] == [
        ("async*main/<", 7),
        ("load", 1),
    ]


def test_go_frames_end_where_the_panic_began() -> None:
    parsed = parse(stack("go-recovered"), "go")
    (exception,) = parsed.exceptions
    assert [(frame.module, frame.function, frame.in_app) for frame in exception.frames] == [
        ("net/http", "(*Server).Serve", False),
        ("net/http", "(*conn).serve", False),
        ("net/http", "serverHandler.ServeHTTP", False),
        ("main", "(*server).ServeHTTP", True),
        ("example.org/planner/store", "Each[...]", True),
        ("main", "(*server).ServeHTTP.func2", True),
        ("example.org/planner/store", "(*Tasks[...]).At", True),
    ]
    assert exception.frames[-1].line == 5


def test_go_panics_have_type_and_message() -> None:
    (exception,) = parse(stack("go-nil"), "go").exceptions
    assert exception.type == "panic"
    assert exception.message == "runtime error: invalid memory address or nil pointer dereference"
    assert [frame.function for frame in exception.frames] == ["main", "main.func1"]


@pytest.mark.parametrize(
    ("call", "file", "in_app"),
    [
        ("github.com/acme/sdk.(*Client).Do(0x1)", "/root/go/pkg/mod/github.com/acme/sdk@v1.2/c.go", False),
        ("example.org/planner/vendor/github.com/acme/sdk.Do()", "/src/vendor/github.com/acme/sdk/c.go", False),
        ("encoding/json.Unmarshal({0x1, 0x2})", "encoding/json/decode.go", False),
        ("golang.org/x/sync/errgroup.(*Group).Go.func1()", "/x/errgroup.go", False),
        ("planner/internal/store.Load(...)", "/home/ada/go/src/planner/internal/store/load.go", True),
        ("gopkg.in/yaml%2ev3.Unmarshal()", "/home/ada/yaml.go", True),
    ],
)  # fmt: skip
def test_go_tells_own_code_from_modules_and_the_standard_library(
    call: str, file: str, in_app: bool
) -> None:
    raw = f"goroutine 1 [running]:\n{call}\n\t{file}:7 +0x1d\n"
    (exception,) = parse(raw, "go").exceptions
    assert [frame.in_app for frame in exception.frames] == [in_app]


def test_only_the_failing_goroutine_is_told() -> None:
    raw = stack("go-panic") + "\ngoroutine 1 [semacquire]:\nmain.wait()\n\t/srv/planner/w.go:1\n"
    assert parse(raw, "go") == parse(stack("go-panic"), "go")


def test_dotnet_inner_exceptions() -> None:
    parsed = parse(stack("dotnet-inner"), "dotnet")
    assert heads(parsed) == [
        ("", "System.InvalidOperationException"),
        ("cause", "System.Net.Http.HttpRequestException"),
    ]
    assert own(parsed) == ["LoadAllAsync", "LoadAllAsync", "GetPlanAsync"]
    assert own(parsed, 1) == ["GetPlanAsync"]
    assert parsed.exceptions[0].frames[-1] == Frame(
        "GetPlanAsync", "Planner.GraphClient", "/src/Planner/GraphClient.cs", 36, True
    )


def test_dotnet_aggregates() -> None:
    parsed = parse(stack("dotnet-aggregate"), "dotnet")
    assert heads(parsed) == [
        ("", "System.AggregateException"),
        ("cause", "System.InvalidOperationException"),
        ("member", "System.ArgumentException"),
    ]
    assert own(parsed) == ["Main"]
    assert own(parsed, 2) == ["Main"]


@pytest.mark.parametrize(
    ("name", "module", "function"),
    [
        ("Planner.A.<LoadAsync>d__3.MoveNext", "Planner.A", "LoadAsync"),
        ("Planner.A.<>c.<Main>b__0_1", "Planner.A", "Main"),
        ("Planner.A.<Main>g__Helper|0_2", "Planner.A", "Helper"),
        ("Planner.A`1.Get[T]", "Planner.A`1", "Get"),
        ("Planner.A..ctor", "Planner.A", ".ctor"),
    ],
)
def test_dotnet_names_written_by_the_compiler(name: str, module: str, function: str) -> None:
    (exception,) = parse(f"System.Exception: x\n   at {name}(String s)\n", "dotnet").exceptions
    assert [(each.module, each.function) for each in exception.frames] == [(module, function)]


@pytest.mark.parametrize("name", FIXTURES)
def test_the_language_is_found_by_the_form(name: str) -> None:
    language = name.partition("-")[0].replace("node", "javascript")
    expected = parse(stack(name), language)
    assert expected.language == language
    for wrong in ("", "ruby", "python", "nodejs", "java", "go", "dotnet"):
        assert parse(stack(name), wrong) == expected


def test_what_counts_as_library_code_can_be_told() -> None:
    libraries = {**DEFAULT_LIBRARIES, "python": Library(files=("/srv/planner/client.py",))}
    parsed = parse(stack("python-status"), "python", libraries)
    assert "list_tasks" not in own(parsed)
    assert "raise_for_status" in own(parsed)


def test_frames_become_json() -> None:
    frames = parse(stack("java-sync"), "java").exceptions[0].frames
    assert json.loads(json.dumps([frame._asdict() for frame in frames]))[0]["function"] == "main"


@pytest.mark.parametrize(
    "raw", ["", "no stack trace at all", "Error", "at the end", "\n\n", "{}", "Traceback"]
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_text_without_frames_gives_no_frames(raw: str, language: str) -> None:
    assert not any(exception.frames for exception in parse(raw, language).exceptions)


def test_endless_stacks_are_read_in_part_and_keep_what_failed() -> None:
    python = (
        "Traceback (most recent call last):\n"
        + "".join(f'  File "/srv/a.py", line {n}, in f{n}\n' for n in range(1, 3_000))
        + "ValueError: x"
    )
    java = "a.B: x\n" + "".join(f"\tat a.B.f{n}(B.java:1)\n" for n in range(2_999))
    for raw, language, last in ((python, "python", "f2999"), (java, "java", "f0")):
        (exception,) = parse(raw, language).exceptions
        assert len(exception.frames) == MAX_FRAMES
        assert exception.frames[-1].function == last


fragments = st.sampled_from(
    [
        "Traceback (most recent call last):\n", '  File "a.py", line 3, in f\n', "ValueError: x\n",
        "\nDuring handling of the above exception, another exception occurred:\n\n",
        "\nThe above exception was the direct cause of the following exception:\n\n",
        "  + Exception Group Traceback (most recent call last):\n", "  +-+---------------- 1 ----\n",
        "    | ", "    +------------------------------------\n", "  [Previous line repeated 3 more times]\n",
        "Caused by: ", "\tSuppressed: ", "\tat a.b.C.d(E.java:3)\n", "\t... 3 more\n", "a.b.C: x\n",
        "    at f (a.js:1:2)\n", "  [cause]: ", "  [errors]: [\n", "f@http://a/b.js:1:2\n",
        "    at eval (eval at f (a.js:1:2), <anonymous>:1:1)\n",
        "goroutine 1 [running]:\n", "main.f(0x1)\n", "\t/a/b.go:3 +0x1\n", "panic: ", "created by ",
        " ---> ", "   at A.B.C(D e) in f.cs:line 3\n", "<---\n", "(Inner Exception #1) ",
        "   --- End of inner exception stack trace ---\n", "\n", " ", ":", "(", ")", "[", "é", "\0",
        "\u2028", "99999999999999999999", "\ud800",
    ]
)  # fmt: skip
garbage = st.one_of(st.text(), st.lists(fragments, max_size=30).map("".join))


@given(garbage, st.sampled_from(LANGUAGES))
def test_nothing_makes_the_parser_fail(raw: str, language: str) -> None:
    parsed = parse(raw, language)
    assert parsed.language in {"python", "java", "javascript", "go", "dotnet", ""}
    assert sum(len(exception.frames) for exception in parsed.exceptions) <= MAX_FRAMES


@given(fragments, st.sampled_from(LANGUAGES))
def test_no_repetition_outlasts_the_time_limit(fragment: str, language: str) -> None:
    repeated = fragment * (MAX_RAW // len(fragment))
    for raw in (repeated, repeated.replace("\n", "")):
        parsed = parse(raw, language)
        assert sum(len(exception.frames) for exception in parsed.exceptions) <= MAX_FRAMES


def test_only_so_many_lines_are_read() -> None:
    late = "\n" * MAX_LINES + "a.B: x\n\tat a.B.f(B.java:1)\n"
    assert not any(exception.frames for exception in parse(late, "java").exceptions)
