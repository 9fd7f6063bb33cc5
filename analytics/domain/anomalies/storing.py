"""What is known of a series as bytes: plain numbers, compressed, that nothing can be run from."""

from __future__ import annotations

import json
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analytics.domain.anomalies.detector import VERSION as DETECTOR_VERSION
from analytics.domain.anomalies.detector import Detector
from analytics.domain.anomalies.watching import Spell, Watch

VERSION: Final = DETECTOR_VERSION
# A state is well under 100 KB; more was not written here.
_LARGEST: Final = 4_000_000
_LENGTH: Final = 4


class Unreadable(ValueError):
    """Bytes that are no state of this version."""


def packed(watch: Watch) -> bytes:
    """The state as bytes."""
    arrays = watch.detector.dump()
    spell = watch.spell
    header = json.dumps(
        {
            "arrays": [[name, len(array)] for name, array in arrays.items()],
            "spell": [getattr(spell, name) for name in Spell.__slots__] if spell else None,
        }
    ).encode()
    body = b"".join(array.astype("<f8").tobytes() for array in arrays.values())
    return zlib.compress(len(header).to_bytes(_LENGTH, "little") + header + body, 1)


def unpacked(data: bytes) -> Watch:
    """What `packed` wrote; raises `Unreadable` for anything else."""
    try:
        inflate = zlib.decompressobj()
        raw = inflate.decompress(data, _LARGEST)
        start = _LENGTH + int.from_bytes(raw[:_LENGTH], "little")
        header = json.loads(raw[_LENGTH:start])
        arrays: dict[str, NDArray[np.float64]] = {}
        for name, length in header["arrays"]:
            arrays[name] = np.frombuffer(raw, "<f8", length, start).astype(np.float64)
            start += 8 * length
        spell = Spell(*header["spell"]) if header["spell"] else None
        return Watch(Detector.load(arrays), spell)
    except (zlib.error, ValueError, KeyError, TypeError, IndexError, AttributeError) as problem:
        raise Unreadable(f"The bytes are no state of version {VERSION}: {problem}") from problem
