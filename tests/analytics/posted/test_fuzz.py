"""Whatever is posted as errors, each item is stored or told why not, and nothing breaks."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.models import ErrorEvent
from tests.analytics.posted.conftest import PATH

fuzz = settings(
    max_examples=150,
    deadline=None,
    # The site keeps what earlier examples stored, and each example looks at what it added.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# Halves of surrogate pairs too: JSON can say them.
texts = st.text(st.characters(exclude_categories=[]), max_size=20)
finite = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers() | finite | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)
FIELDS = {
    "id": texts,
    "service": st.sampled_from(["till", "bank", "", "\0"]) | texts,
    "type": texts,
    "message": texts,
    "stacktrace": texts | st.just('Traceback (most recent call last):\n  File "a", line 1, in b'),
    "occurred_at": st.datetimes().map(lambda at: at.isoformat()) | st.integers() | finite,
    "severity": st.integers(-1, 26),
    "environment": texts,
    "operation": texts,
    "trace_id": st.sampled_from(["", "ab" * 16, "AB" * 16, "0" * 32, "ab"]),
    "span_id": st.sampled_from(["", "cd" * 8, "x" * 16]),
    "correlation_id": texts,
    "attributes": st.dictionaries(texts, values, max_size=4),
}
# Mostly right, here and there anything at all.
items = st.fixed_dictionaries(
    {"service": FIELDS["service"], "type": texts},
    optional={
        name: st.one_of(kind, kind, kind, values)
        for name, kind in FIELDS.items()
        if name not in ("service", "type")
    },
)


documents = (values | items).map(lambda value: json.dumps(value).encode())


def is_name(given: Any) -> bool:
    return isinstance(given, str) and bool(given.replace("\0", ""))


@fuzz
@given(batch=st.lists(items | values, max_size=6))
def test_each_item_of_a_list_is_stored_or_rejected(http: httpx.Client, batch: list[Any]) -> None:
    before = ErrorEvent.objects.count()
    answer = http.post(PATH, content=json.dumps(batch))

    document = answer.json()
    assert answer.status_code == 202, document
    assert document["accepted"] + len(document["rejected"]) == len(batch)
    assert len(document["ids"]) == len(batch)
    rejected = [each["index"] for each in document["rejected"]]
    assert rejected == [n for n, error_id in enumerate(document["ids"]) if error_id is None]
    assert all(each["reason"] for each in document["rejected"])
    stored = ErrorEvent.objects.count() - before
    assert stored == document["accepted"] - document["duplicates"]
    ids = {each for each in document["ids"] if each is not None}
    assert ErrorEvent.objects.filter(id__in=ids).count() == len(ids)
    # Sent again, what can be told apart is told apart.
    named = [each for each in batch if isinstance(each, dict) and is_name(each.get("id"))]
    again = http.post(PATH, content=json.dumps(named)).json()
    assert again["duplicates"] == again["accepted"]


@fuzz
@given(body=st.binary(max_size=60) | documents)
@pytest.mark.parametrize("coding", ["", "gzip"])
def test_no_body_breaks_anything(http: httpx.Client, coding: str, body: bytes) -> None:
    before = ErrorEvent.objects.count()
    answer = http.post(PATH, content=body, headers={"Content-Encoding": coding})

    assert answer.status_code in (202, 400, 422)
    if answer.status_code != 202:
        assert answer.headers["content-type"] == "application/problem+json"
        assert ErrorEvent.objects.count() == before
