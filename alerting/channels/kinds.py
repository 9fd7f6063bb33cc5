"""The kinds there are; to read this loads each folder."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any, Final

from alerting.channels.base import KINDS, Kind
from alerting.choices import ChannelKind

_FOLDERS: Final = tuple(ChannelKind.values)


@cache
def kinds_known() -> dict[str, Kind[Any]]:
    """Every kind by its name, in the order of `ChannelKind`."""
    for name in _FOLDERS:
        importlib.import_module(f"alerting.channels.{name}")
    return {name: KINDS[name] for name in _FOLDERS}


def kind_named(name: str) -> Kind[Any] | None:
    return kinds_known().get(name)
