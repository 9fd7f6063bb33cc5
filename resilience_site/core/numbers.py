"""Numbers as JSON can carry them everywhere."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final

_END: Final = 2**63


def within_64_bits(value: Any) -> Any:
    """`value` with floats in place of whole numbers beyond 64 bits: PostgreSQL keeps any number
    in JSON and gives `1e300` back as a whole one, which orjson refuses to write."""
    if isinstance(value, Mapping):
        return {name: within_64_bits(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [within_64_bits(each) for each in value]
    if isinstance(value, int) and not -_END <= value < _END:
        return float(value) if abs(value) <= sys.float_info.max else str(value)
    return value
