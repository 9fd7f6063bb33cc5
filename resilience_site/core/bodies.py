"""Bodies of writes whose fields are told as what they should be, and taken as anything.

What is wrong with a body is said, and audited, by the services, in better words than a schema has.
The description of the API tells types, bounds and what is needed all the same:

    ends_in: Annotated[Any, Like(float, ge=60, needed=True)] = None
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from ninja import Field, Schema
from pydantic import GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Like:
    """How a field that takes anything is described: as `kind` within `bounds`, those of a pydantic
    field. One that is `needed` is marked as required, though the service asks for it."""

    def __init__(self, kind: Any, *, needed: bool = False, **bounds: Any) -> None:
        told: Any = Annotated[kind, Field(**bounds)] if bounds else kind
        self._as: CoreSchema = TypeAdapter(told).core_schema
        self.needed = needed

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(self._as)


class Body(Schema):
    """A body of a write, some of whose fields are told by `Like`."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        made = handler(core_schema)
        form = handler.resolve_ref_schema(made)
        needed = [name for name, told in _told(cls) if told.needed]
        for name, told in form.get("properties", {}).items():
            # None stands for what is not sent; of a field that is needed there is no default.
            if name in needed or told.get("default", "") is None:
                told.pop("default", None)
        if needed:
            all_needed = {*form.get("required", ()), *needed}
            form["required"] = [name for name in form["properties"] if name in all_needed]
        return made


def read_by_itself(form: dict[str, Any]) -> dict[str, Any]:
    """What tells the body, as JSON of this form, of an operation that reads its body itself."""
    content = {"application/json": {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


def one_of(values: Iterable[str]) -> Any:
    """The type of a text that is one of `values`, where these are no enumeration."""
    return Literal[tuple(str(each) for each in values)]


# No type at all would say the same, and read like one that was forgotten.
AnyJson = dict[str, Any] | list[Any] | str | float | bool | None


def _told(model: type[Schema]) -> list[tuple[str, Like]]:
    fields = model.model_fields.items()
    return [(name, each) for name, field in fields for each in field.metadata
            if isinstance(each, Like)]  # fmt: skip
