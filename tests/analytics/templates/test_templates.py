"""Messages are grouped by the template that they were written from."""

from __future__ import annotations

import itertools
import random
import string
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.domain.templates.miner import OTHERS, Miner, tally
from analytics.domain.templates.refining import Limits, refine
from analytics.domain.templates.tokens import MAX_LENGTH, VARIABLE, mask, shape

NAMES = ("ada", "grace", "edsger", "barbara", "donald", "niklaus", "tony", "leslie")


def groups(messages: Sequence[str], **options: int) -> list[int]:
    return list(Miner(**options).group(messages))


def together(messages: Sequence[str]) -> bool:
    return len(set(groups(messages))) == 1


def apart(messages: Sequence[str]) -> bool:
    return len(set(groups(messages))) == len(messages)


@pytest.mark.parametrize(
    "messages",
    [
        ["took 12 ms", "took 1.5s", "took 900 us", "took <1 sec"],
        ["read 1301 bytes (1.27 KB) of it", "read 17 bytes of it", "read 2 MB of it"],
        ["lifetime 00:12 of pool", "lifetime 3 of pool"],
        ["call from 10.0.0.1 () at 7", "call from 10.0.0.2 (mail.example.org) at 8"],
        ["call from 10.0.0.1:80 at Fri Jun 17 07:07:00 2005", "call from a.b.example.org at 9"],
        ["wrote /var/lib/app/data.bin now", "wrote /srv/x/y/z/ now", "wrote C:\\Temp\\a\\b now"],
        ["got https://a.example/x?y=z&q=w ok", "got http://b.example:8080/ ok"],
        ["moved parts 4, 5, 6 to 7", "moved parts 1 to 2"],
        ["at [10.0.0.1:80, 10.0.0.2:81] now", "at [10.0.0.1:80] now"],
        ["nodes n-1 0xff <ok> n-2 0xfe <ok> n-3 0x1 <ok> left", "nodes n-9 0xff <ok> left"],
        [
            "on 6ba7b810-9dad-11d1-80b4-00c04fd430c8 off",
            "on f47ac10b-58cc-4372-a567-0e02b2c3d479 off",
        ],
        [
            "seen fe80::1:2:abcd today",
            "seen 00:1f:a0:b7:c8:d9 today",
        ],
        ["ready=true in cache", "ready=false in cache", "ready=null in cache"],
        ["mail to ada@example.org sent", "mail to grace.h@mail.example.com sent"],
        [f"login of account {name}" for name in NAMES[:2]],
        [f"session of {name} was closed" for name in NAMES],
        ["Job_1_b done. Next one", "Job_77_c done Next one"],
        ["checks enable......1", "checks enable....0"],
        ["wl0 joined fa:c2:6b:cc:dd:ee", "wl0 joined 00:11:22:33:44:55"],
        ["cannot open config.yaml at all", "cannot open server.log at all"],
        ["act of name=org.example.planner", "act of name=org.example.mail"],
        [f"vote {a} of 7 for {b} now" for a in ("LEAD", "JOIN", "LOOK") for b in ("A", "B", "C")],
        ["steps = 15##69##54", "steps = 16##70"],
        ["train G1235 is late", "train 77 is late", "train D9 is late"],
        [f'ticket "{name} asks {"again " * n}" was opened' for n, name in enumerate(NAMES * 2)],
    ],
    ids=lambda messages: messages[0],
)
def test_what_varies_by_its_looks_or_its_number_does_not_part_messages(messages: list[str]) -> None:
    assert together(messages)


@pytest.mark.parametrize(
    "messages",
    [
        ['"GET /a/b/c" took 7', '"POST /a/b/c" took 9', '"DELETE /a/d/e" took 3'],
        ["machine started well", "machine paused well", "machine resumed well"],
        ["pool of 4 is full", "pool of 4 is empty"],
        ["login failed", "login failed for 7"],
        ["step one: java.io.IOException: x", "step one: java.net.ConnectException: x"],
        [f"{name} startup succeeded" for name in NAMES],
        ["in Pool.acquire: gave up", "in Pool.release: gave up"],
        ["shown is system.time.now", "shown is system.charge.now"],
        [f"{a} the pool's {b}" for a in ("start", "end") for b in ("setup", "loop")],
        [f"moved from {a} to {b}" for a, b in itertools.pairwise(["NEW", "READY", "RUN", "DONE"])],
        ["", "-", "x", "7"],
    ],
    ids=lambda messages: messages[0],
)
def test_what_tells_messages_apart_is_kept(messages: list[str]) -> None:
    assert apart(messages)


def test_few_frequent_words_are_constants_and_rare_ones_are_values() -> None:
    often = [f"machine {verb} at last" for verb in ("made", "grew", "slept", "woke", "left")]
    assert len(set(groups(often * 20))) == 5
    assert len(set(groups(often))) == 1


def test_two_positions_that_vary_at_once_are_found() -> None:
    draw = random.Random(7)

    def word() -> str:
        return "".join(draw.choices(string.ascii_lowercase, k=7))

    messages = [f"the gate let {word()} pass through to {word()}" for _ in range(40)]
    assert together(messages)


def test_a_position_that_was_a_variable_takes_new_words_in_later_buffers() -> None:
    early = [f"session of {name} was closed" for name in NAMES]
    ids = groups([*early, *early, "session of alonzo was closed"], buffer_messages=len(early))
    assert set(ids) == {1}


def test_ids_are_final_and_what_a_later_buffer_learns_goes_to_the_known_group() -> None:
    early, late = NAMES[:2], NAMES[2:]
    messages = [f"session of {name} was closed" for name in (*early, *late)]
    ids = groups(messages, buffer_messages=2)
    assert ids[:2] == [1, 2]
    assert ids == groups(messages[:2], buffer_messages=2) + ids[2:]
    whole = groups(messages[:2] + messages, buffer_messages=2)
    assert whole[2:4] == [1, 2]
    # Eight names are values: with both known templates counted in, the rest is one group.
    one_more_buffer = list(Miner(buffer_messages=2).group(messages[:2])) and groups(
        [*messages[:2], *messages[2:]], buffer_messages=6
    )
    assert set(one_more_buffer) == {1}


def test_past_the_limit_of_templates_the_rest_is_one_group() -> None:
    words = ["".join(p) for p in itertools.product("abcdefgh", repeat=3)]
    miner = Miner(buffer_messages=10, max_templates=50)
    ids = list(miner.group(words))
    assert len(ids) == len(words)
    assert len(set(ids)) == 51
    assert ids[-1] == OTHERS
    assert (miner.groups, miner.others) == (50, ids.count(OTHERS))


def test_long_messages_cost_no_more_than_their_beginning() -> None:
    beginning = "list " + "item-7 " * 1_000
    assert len(beginning) > MAX_LENGTH
    assert mask(beginning * 100) == mask(beginning)
    assert shape(mask(beginning)) == shape(mask("list " + "item-9 " * 3))


_TEXT = st.text(
    alphabet=string.ascii_letters + string.digits + " /\\.:,=()[]<>\"'-_@%*?é", max_size=60
)


@given(st.lists(_TEXT, max_size=40), st.integers(1, 50), st.integers(1, 10))
@settings(max_examples=60, deadline=None)
def test_each_message_gets_one_id_and_equal_messages_the_same(
    messages: list[str], buffer_messages: int, buffer_shapes: int
) -> None:
    options = {"buffer_messages": buffer_messages, "buffer_shapes": buffer_shapes}
    ids = groups(messages, **options)
    assert len(ids) == len(messages)
    assert ids == groups(messages, **options)
    by_message = defaultdict(set)
    for message, group in zip(messages, groups(messages), strict=True):
        by_message[message].add(group)
    assert all(len(found) == 1 for found in by_message.values())
    # What was written does not change with what comes later.
    half = len(messages) // buffer_messages * buffer_messages
    assert (
        groups(messages[:half], buffer_messages=buffer_messages)
        == groups(messages, buffer_messages=buffer_messages)[:half]
    )


_WORDS = st.sampled_from(
    ["disk", "pool", "full", "failed", "for", "user", "node", "GET", "POST", "to"]
)
_MESSAGES = st.lists(
    st.lists(
        st.one_of(_WORDS, st.sampled_from(NAMES), st.integers(0, 99).map(str)), max_size=6
    ).map(" ".join),
    max_size=40,
)


def partition(messages: Iterable[tuple[int, int]]) -> set[frozenset[int]]:
    members = defaultdict(set)
    for place, group in messages:
        members[group].add(place)
    return {frozenset(found) for found in members.values()}


@given(_MESSAGES, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_within_a_buffer_is_no_matter(messages: list[str], draw: random.Random) -> None:
    order = list(range(len(messages)))
    draw.shuffle(order)
    shuffled = groups([messages[place] for place in order])
    assert partition(zip(order, shuffled, strict=True)) == partition(enumerate(groups(messages)))


@given(_MESSAGES, _MESSAGES, _MESSAGES)
@settings(max_examples=40, deadline=None)
def test_tallies_of_parts_add_up_in_any_order(a: list[str], b: list[str], c: list[str]) -> None:
    whole = refine(tally([*a, *b, *c]))
    for parts in itertools.permutations((tally(a), tally(b), tally(c))):
        merged = sum(parts, Counter())
        assert refine(merged) == whole


@given(_MESSAGES)
@settings(max_examples=40, deadline=None)
def test_a_template_differs_from_its_shapes_by_variables_and_folding_only(
    messages: list[str],
) -> None:
    for found, template in refine(tally(messages)).items():
        assert set(template) <= {*found, VARIABLE}


def test_more_words_are_asked_for_where_less_is_in_common() -> None:
    limits = Limits(values=3)
    messages = [f"session of {name} was closed" for name in NAMES[:3]]
    assert len(set(refine(tally(messages), limits).values())) == 1
    assert len(set(refine(tally(messages)).values())) == 3
