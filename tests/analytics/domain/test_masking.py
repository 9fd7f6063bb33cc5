"""What varies in a message does not change its mask, and what says what went wrong stays."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analytics.domain.masking import MAX_LENGTH, mask

# Everything that any rule reacts to, in small pieces, so that rules meet each other.
pieces = st.sampled_from(
    [
        *"'\"/\\@:.-_ \n()[]{}<>,=%+#&~`",
        "a", "b", "f", "0", "5", "12", "é", "x", "<num>", "<str>", "<path>", "http://", "s3://",
        "://", "::", "0x", "ms", "GB", "C:\\", "2026-01-01", "10:20:30", "deadbeef", "10.0.0.1",
        "ada@example.org", "TooMany", "429 Not Found", "eyJ", "aB3", "../", "v1.2",
        "3f2a1b9c-1111-4222-8333-123456789abc", "GET ", " HTTP/1.1", "Sun", "Jul", "1994",
    ]
)  # fmt: skip
mixtures = st.lists(pieces, max_size=40).map("".join)


@pytest.mark.parametrize(
    ("message", "masked"),
    [
        (
            "Task 4711 of ada@example.org timed out after 12.5s",
            "Task <num> of <email> timed out after <num>",
        ),
        (
            "Client error '429 Too Many Requests' for url "
            "'https://graph.microsoft.com/v1.0/planner/plans/xqQg5FS2LkCp935s/tasks?$top=5'",
            "Client error '<num> Too Many Requests' for url 'https://graph.microsoft.com/<path>'",
        ),
        (
            "Error 111 connecting to localhost:6379. Connection refused.",
            "Error <num> connecting to localhost:<num>. Connection refused.",
        ),
        (
            'connection to server at "127.0.0.1", port 5432 failed: FATAL: too many clients',
            "connection to server at <str>, port <num> failed: FATAL: too many clients",
        ),
        (
            "'NoneType' object has no attribute 'plan_id'",
            "'NoneType' object has no attribute 'plan_id'",
        ),
        ("<planner.Client object at 0x7f3a2b1c4d5e>", "<planner.Client object at <hex>>"),
        (
            "request 3f2a1b9c-1111-4222-8333-123456789abc from 10.0.0.3:5432",
            "request <uuid> from <ip>",
        ),
        ("no route to 10.0.0.1.", "no route to <ip>."),
        ("peers [fe80::1%eth0]:443, ::1, 2001:db8::8a2e:370:7334", "peers <ip>, <ip>, <ip>"),
        (
            "bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0",
            "bearer <token>",
        ),
        ("plan xqQg5FS2LkCp935s-FIFm2QAFkHM is gone", "plan <token> is gone"),
        ("cannot open C:\\Users\\ada\\notes.txt", "cannot open <path>"),
        ("cannot open \\\\files\\share\\notes.txt", "cannot open <path>"),
        ("cannot open /var/lib/planner/db.sqlite, ~/x or ./y/z", "cannot open <path>, <path> or <path>"),
        ("at src/planner/client.py:42", "at <path>:<num>"),
        ("2026-01-01T10:00:00.123Z down since 12:34:56", "<time> down since <time>"),
        ("2026-01-01 10:00:00,123 +0100 down", "<time> down"),
        ("trace 4bf92f3577b34da6a3ce929d0e0e4736 commit a1b2c3d", "trace <hex> commit <hex>"),
        ("used 3.5GB of 1,234,567 bytes (99.9%) in 250ms", "used <num> of <num> bytes (<num>) in <num>"),
        ("offset -5, factor 1e-5", "offset <num>, factor <num>"),
        ("worker-3 on node12, pod planner-7d9f8b6c5-x2k4q", "worker-<num> on node<num>, pod planner-<hex>-<id>"),
        ("mac aa:bb:cc:dd:ee:01", "mac <mac>"),
        (
            "postgres://user:secret@db-1.example.com:5432/planner refused",
            "postgres://db-<num>.example.com/<path> refused",
        ),
        ("http://10.0.0.3:8080/health answered 503", "http://<ip>/<path> answered <num>"),
        ("GET /v1.0/planner/plans/{id}/tasks failed", "GET <path> failed"),
        ('{"code": "TooManyRequests", "after": 10}', '{<str>: "TooManyRequests", <str>: <num>}'),
        ('answered "GET /v2/54fadb41/tasks HTTP/1.1" in 3ms', 'answered "GET <path>" in <num>'),
        ("block blk_-6952295868487656571 gone", "block blk_<num> gone"),
        ("retry after Sun, 06 Nov 1994 08:49:37 GMT", "retry after <time>"),
        ("since Sun Jul 10 03:55:15 2005, again Jun 7", "since <time>, again <time>"),
        ("Plan 'Buy 3 apples' of \"ada\" not found", "Plan <str> of <str> not found"),
    ],
)  # fmt: skip
def test_what_varies_is_named_and_the_rest_stays(message: str, masked: str) -> None:
    assert mask(message) == masked


@pytest.mark.parametrize(
    "message",
    [
        "",
        "dictionary changed size during iteration",
        "application/json and/or N/A",
        "std::vector and ActiveRecord::Base",
        "can't open the user's file, don't retry",
        "no such column: planner.tasks.title",
        "résumé naïve 任务失败",
    ],
)
def test_a_message_of_plain_words_stays_as_it_is(message: str) -> None:
    assert mask(message) == message


@given(
    st.uuids(),
    st.integers(),
    st.from_regex(r"[a-z][a-z0-9.+-]{0,20}@example\.(org|com)", fullmatch=True),
    st.ip_addresses().filter(lambda address: any(char.isdigit() for char in str(address))),
)
def test_ids_numbers_addresses_do_not_split(
    key: object, number: int, email: str, address: object
) -> None:
    message = mask(f"task {key} ({number}) of {email} failed at {address} in /srv/{number}/{key}")
    assert message == "task <uuid> (<num>) of <email> failed at <ip> in <path>"


@given(st.one_of(st.text(max_size=300), mixtures))
@example("'a\"b'c\" d'")
@example("s3://@")
@example("'" * 50)
def test_masking_twice_is_masking_once(text: str) -> None:
    masked = mask(text)
    assert mask(masked) == masked


@given(mixtures, st.integers(MAX_LENGTH - 60, MAX_LENGTH + 60))
def test_masking_twice_is_masking_once_at_the_length_limit(piece: str, length: int) -> None:
    text = (piece or "1 ") * (length // max(1, len(piece)) + 1)
    masked = mask(text[:length])
    assert len(masked) <= MAX_LENGTH
    assert mask(masked) == masked


@given(st.one_of(st.text(max_size=300), mixtures))
def test_no_number_survives(text: str) -> None:
    left = [word for word in mask(text).split() if "://" not in word]
    assert not any(char in "0123456789" for word in left for char in word)


def test_only_the_beginning_of_a_huge_message_is_read() -> None:
    assert mask("x" * 10_000_000) == "x" * MAX_LENGTH


@pytest.mark.parametrize(
    "unit",
    [
        "a", "a.", "a-", "a_", "a1", "1", "1.", "1,", "1:", "1e", "-", "/", "/a", "a/", "//", "\\",
        "'", '"', "'a", "'\"", "@", "a@", "a@a.", ":", "::", "a:", "f:", "1::", "0x", "aB1-", "<",
        "C:\\", "http://", "a://", "[", "[::", "{", "..", "./", "eyJ.", "ab-12", "1/1/", "'a\"b'c\"",
    ],
)  # fmt: skip
def test_hostile_repetitions_take_no_longer_than_the_time_limit(unit: str) -> None:
    """A pattern that backtracks without bound would not end before the suite's time limit."""
    for ending in ("", "!", "x", "0", "'"):
        mask(unit * (MAX_LENGTH // len(unit)) + ending)
        mask(ending + unit * (MAX_LENGTH // len(unit)))
