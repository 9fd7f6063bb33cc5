"""The same failure is one group; other failures are other groups."""

from __future__ import annotations

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.domain.fingerprints import (
    FRAMES_RULE,
    GROUPING_VERSION,
    MAX_TEMPLATE,
    MESSAGE_RULE,
    TYPE_RULE,
    fingerprint,
    stack_signature,
)
from analytics.domain.stacktraces import Frame, ParsedException, ParsedStack, parse
from tests.analytics.domain.fixtures import stack


def signature(name: str, language: str = "") -> str:
    return stack_signature(parse(stack(name), language))


def of_frames(language: str, *frames: tuple[str, str]) -> str:
    """The signature of (module or file, function) frames of the service's own code."""
    found = [
        Frame(function, place, "", 1, True)
        if language in ("java", "go")
        else Frame(function, "", place, 1, True)
        for place, function in frames
    ]
    return stack_signature(ParsedStack([ParsedException("T", "", found)], language))


def test_the_same_failure_with_another_message_is_the_same_group() -> None:
    one = fingerprint("planner", "HTTPStatusError", "429 for plan 7", signature("python-status"))
    two = fingerprint("planner", "HTTPStatusError", "503: down", signature("python-status-503"))
    assert one.key == two.key
    assert one.rule == FRAMES_RULE
    assert one.template == "<num> for plan <num>"


def test_another_type_or_service_at_the_same_place_is_another_group() -> None:
    place = signature("python-status")
    keys = {
        fingerprint(service, type_, "m", place).key
        for service in ("planner", "graph")
        for type_ in ("429", "503", "TimeoutError")
    }
    assert len(keys) == 6


def test_another_place_is_another_group() -> None:
    names = ["python-status", "python-chain", "python-group", "java-sync", "node-type", "go-panic"]
    assert len({signature(name) for name in names}) == len(names)


def test_line_numbers_do_not_count() -> None:
    raw = stack("python-chain")
    moved = re.sub(r"line \d+, in", "line 999, in", raw)
    assert moved != raw
    assert stack_signature(parse(moved, "python")) == signature("python-chain")


def test_neither_the_folder_of_the_deployment_nor_library_versions_count() -> None:
    raw = stack("python-status")
    moved = raw.replace("/srv/planner", "/opt/releases/20260101/planner")
    moved = moved.replace("python3.11", "python3.13").replace("_models.py", "_moved.py")
    assert stack_signature(parse(moved, "python")) == signature("python-status")


def test_the_depth_of_a_recursion_does_not_count() -> None:
    deep = [("a.Tree", "walk"), ("a.Tree", "visit")]
    assert of_frames("java", *deep) == of_frames("java", *deep * 50)
    assert of_frames("java", *deep) != of_frames("java", ("a.Tree", "walk"))


def test_causes_count() -> None:
    raw = stack("java-sync")
    other = raw.replace("Caused by: java.lang.NumberFormatException", "Caused by: a.B")
    assert stack_signature(parse(other, "java")) != signature("java-sync")


def test_suppressed_exceptions_do_not_count() -> None:
    raw = stack("java-sync")
    assert stack_signature(parse(raw.partition("\tSuppressed:")[0], "java")) == signature(
        "java-sync"
    )


def test_how_many_members_of_a_group_failed_does_not_count() -> None:
    frames = [Frame("both", "", "app/a.py", 1, True)]
    member = ParsedException("TimeoutError", "x", frames, "member")
    other = ParsedException("OSError", "x", frames, "member")

    def of(*members: ParsedException) -> str:
        return stack_signature(
            ParsedStack([ParsedException("ExceptionGroup", "", frames), *members], "python")
        )

    assert of(member, other) == of(other, member, member)
    assert of(member) != of(member, other)


@pytest.mark.parametrize(
    ("language", "one", "two"),
    [
        ("java", ("a.B", "lambda$load$0"), ("a.B", "lambda$load$17")),
        ("java", ("a.B$1", "run"), ("a.B$2", "run")),
        ("java", ("a.B$$Lambda$14/0x0000000800c03000", "run"), ("a.B$$Lambda$9/0x00000001", "run")),
        ("java", ("a.B$$EnhancerBySpringCGLIB$$1a2b", "f"), ("a.B$$EnhancerBySpringCGLIB$$9f", "f")),
        ("java", ("jdk.proxy2.$Proxy12", "f"), ("jdk.proxy2.$Proxy7", "f")),
        ("go", ("main", "main.func1"), ("main", "main.func2")),
        ("go", ("main", "(*T).f.func1.2"), ("main", "(*T).f.func3")),
        ("go", ("main", "Each[...]"), ("main", "Each[go.shape.int_0]")),
        ("javascript", ("https://a.example/assets/app.3f2a1b9c.js", "f"),
         ("https://b.example/assets/app.0099aabb.js?v=2", "f")),
        ("javascript", ("/dist/index-BxQakd9P.mjs", "f"), ("/dist/index-Zz81kPqa.mjs", "f")),
        ("javascript", ("webpack:///./src/plan.ts?1a2b", "f"), ("webpack:///./src/plan.ts", "f")),
        ("python", ("C:\\app\\planner\\a.py", "<lambda>"), ("/srv/app/planner/a.py", "<lambda>")),
        ("python", ("/srv/planner-1.2.3/a.py", "f"), ("/srv/planner-1.3.0/a.py", "f")),
    ],
)  # fmt: skip
def test_names_made_by_compilers_and_builds_do_not_split(
    language: str, one: tuple[str, str], two: tuple[str, str]
) -> None:
    assert of_frames(language, one) == of_frames(language, two)


@pytest.mark.parametrize(
    ("language", "one", "two"),
    [
        ("java", ("a.B", "lambda$load$0"), ("a.B", "lambda$store$0")),
        ("go", ("main", "(*T).f.func1"), ("main", "(*T).g.func1")),
        ("javascript", ("/src/error-handlers.js", "f"), ("/src/error-boundary.js", "f")),
        ("javascript", ("/src/tasks/index.js", "f"), ("/src/plans/index.js", "f")),
        ("python", ("/srv/planner/a.py", "f"), ("/srv/planner/b.py", "f")),
    ],
)
def test_names_that_people_gave_do_split(
    language: str, one: tuple[str, str], two: tuple[str, str]
) -> None:
    assert of_frames(language, one) != of_frames(language, two)


def test_frames_of_libraries_alone_leave_it_to_the_message() -> None:
    library = [Frame("get", "", "/usr/lib/python3/dist-packages/x.py", 1, False)]
    assert stack_signature(ParsedStack([ParsedException("T", "", library)], "python")) == ""
    assert stack_signature(ParsedStack([], "")) == ""


@given(
    st.uuids(),
    st.integers(),
    # Hex without any digit is a word.
    st.binary(min_size=6, max_size=20).map(lambda data: f"0{data.hex()}"),
    st.ip_addresses(v=4),
)
def test_ids_numbers_and_addresses_do_not_split_messages(
    key: object, number: int, digest: str, address: object
) -> None:
    def of(*values: object) -> uuid.UUID:
        return fingerprint("s", "T", "task {} ({}) at {} from {}: gone".format(*values)).key

    assert of(key, number, digest, address) == of(uuid.UUID(int=7), 1, "a1b2c3d4", "10.0.0.1")


def test_the_length_of_a_list_does_not_split_messages() -> None:
    assert (
        fingerprint("s", "T", "no tasks [1, 2, 'x y', 4]").key
        == fingerprint("s", "T", "no tasks [7]").key
    )


def test_other_words_are_other_groups() -> None:
    messages = [
        "plan not found", "plan not readable", "'429 Too Many Requests'", "'404 Not Found'",
        "no attribute 'plan_id'", "no attribute 'task_id'", "https://graph.example/1 timed out",
        "https://login.example/1 timed out",
    ]  # fmt: skip
    assert len({fingerprint("s", "T", message).key for message in messages}) == len(messages)
    assert fingerprint("s", "T", messages[0]).rule == MESSAGE_RULE


def test_without_a_message_the_type_is_the_template() -> None:
    found = fingerprint("s", "java.lang.NullPointerException", "")
    assert found.template == "java.lang.NullPointerException"
    assert found.rule == TYPE_RULE


def test_a_template_is_one_short_line() -> None:
    assert fingerprint("s", "T", "first 1\n\tsecond  2").template == "first <num> second <num>"
    assert len(fingerprint("s", "T", "word " * 1_000).template) <= MAX_TEMPLATE


@given(st.text(), st.text(), st.text(), st.text())
def test_a_key_is_the_same_in_every_process(
    service: str, type_: str, message: str, place: str
) -> None:
    found = fingerprint(service, type_, message, place)
    assert found == fingerprint(service, type_, message, place)
    assert found.key.variant == uuid.RFC_4122
    assert found.key.version == 8


def test_keys_stay_what_they_are_while_the_version_stays() -> None:
    """Keys are stored: a change here needs a new `GROUPING_VERSION`."""
    assert GROUPING_VERSION == 1
    assert {
        "message": str(fingerprint("planner", "T", "task 1 failed").key),
        "frames": str(fingerprint("planner", "T", "x", "abc").key),
        "python": signature("python-chain"),
        "java": signature("java-sync"),
        "javascript": signature("node-cause"),
        "go": signature("go-recovered"),
        "dotnet": signature("dotnet-inner"),
    } == {
        "message": "ef3bf998-bb27-8ec3-a0f0-36b4846ba8a8",
        "frames": "8ee03914-f920-8861-b4e9-780968a004f8",
        "python": "f9f92b12079607c6274a7bad97fc0e4a",
        "java": "8b083e55fe78a4ad707d1d595d7240a1",
        "javascript": "ba254259fa5825ebc90f7bebf414d7ad",
        "go": "ec2818a06167f21f1b6c31b4b2bfbfae",
        "dotnet": "e593670a79e516021124080d9e628d86",
    }
