"""What the paths of alerting share: bodies as they were sent, and times in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import orjson
from django.http import HttpRequest
from ninja import Schema

from resilience_site.core.problems import FieldError, Invalid


def sent(request: HttpRequest, body: Schema) -> dict[str, Any]:
    """The fields that a body holds. Raises `Invalid` for one that there is not."""
    strange = sorted(set(orjson.loads(request.body)) - set(type(body).model_fields))
    if strange:
        raise Invalid.field(f"body.{strange[0]}", f"There is no field {strange[0]!r}.")
    return {name: getattr(body, name) for name in body.model_fields_set}


@contextmanager
def of_body() -> Iterator[None]:
    """Name the fields of a refusal as those of the body that was sent."""
    try:
        yield
    except Invalid as problem:
        problem.errors = tuple(
            FieldError(f"body.{each.field}", each.message) for each in problem.errors
        )
        raise


def moment(value: Any) -> Any:
    """A text that is a time becomes one; anything else is left for the service to refuse."""
    if not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return value
