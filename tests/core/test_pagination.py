from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilience_site.core.audit import Actor, audit_record
from resilience_site.core.models import AuditEntry
from resilience_site.core.pagination import decode_cursor, encode_cursor, keyset_page
from resilience_site.core.problems import Malformed

KEYS: dict[type, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**63), 2**63 - 1),
    str: st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50),
    float: st.floats(allow_nan=False, allow_infinity=False),
    datetime: st.datetimes(timezones=st.just(UTC)),
    UUID: st.uuids(),
}


@given(st.data(), st.lists(st.sampled_from(list(KEYS)), min_size=1, max_size=4))
def test_a_cursor_gives_back_its_sort_key(data: st.DataObject, types: list[type]) -> None:
    key = tuple(data.draw(KEYS[kind]) for kind in types)
    assert decode_cursor(encode_cursor(key), types) == key


@given(st.text(max_size=60))
def test_a_made_up_cursor_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        decode_cursor(text + "!", (datetime, int))


@given(st.data())
def test_a_tampered_cursor_is_refused_or_means_a_valid_key(data: st.DataObject) -> None:
    cursor = encode_cursor((datetime(2026, 1, 1, tzinfo=UTC), 5))
    position = data.draw(st.integers(0, len(cursor) - 1))
    forged = cursor[:position] + data.draw(st.characters()) + cursor[position + 1 :]
    try:
        moment, number = decode_cursor(forged, (datetime, int))
    except Malformed:
        return
    assert moment.tzinfo is UTC
    assert isinstance(number, int)


@pytest.mark.parametrize("key", [(1, 2, 3), (1,), ("a", 1), (1.5, 1), (None, 1), (True, 1)])
def test_a_cursor_of_another_list_is_refused(key: tuple[Any, ...]) -> None:
    with pytest.raises(Malformed):
        decode_cursor(encode_cursor(key), (int, int))


@pytest.mark.django_db
@pytest.mark.parametrize("descending", [True, False])
def test_pages_hold_every_row_once_even_when_rows_share_the_first_field(descending: bool) -> None:
    for number in range(23):
        audit_record(
            actor=Actor.system(f"t{number // 5}"), action="a.b", object_type="x", object_id=number
        )
    by = ("-actor", "-id") if descending else ("actor", "id")
    seen: list[int] = []
    cursor: str | None = None
    while True:
        page = keyset_page(
            AuditEntry.objects.all(), by=by, types=(str, int), cursor=cursor, limit=5
        )
        seen += [row.pk for row in page.items]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert seen == sorted(seen, reverse=descending)
    assert len(seen) == len(set(seen)) == 23


@pytest.mark.django_db
def test_a_page_that_holds_the_last_row_has_no_next() -> None:
    for number in range(5):
        audit_record(actor=Actor.system("t"), action="a.b", object_type="x", object_id=number)
    page = keyset_page(AuditEntry.objects.all(), by=("-id",), types=(int,), cursor=None, limit=5)
    assert len(page.items) == 5
    assert page.next_cursor is None
