"""Request bodies put together with a limit that holds after decompression too."""

from __future__ import annotations

import zlib

_STEP = 1 << 20
_GZIP = 16 + zlib.MAX_WBITS


class TooLarge(Exception):
    """The body, raw or decompressed, is past the limit."""


class Undecodable(Exception):
    """The body is not what its content encoding says."""


class PlainBody:
    """A body that is sent as it is."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self.size = 0

    def feed(self, data: bytes) -> None:
        self.size += len(data)
        if self.size > self._limit:
            raise TooLarge
        self._parts.append(data)

    def finish(self) -> bytes:
        return b"".join(self._parts)


class GzipBody(PlainBody):
    """A gzip body of one or more members; never holds more than the limit inflated."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._inflater = zlib.decompressobj(_GZIP)
        self._raw = 0

    def feed(self, data: bytes) -> None:
        self._raw += len(data)
        if self._raw > self._limit:
            raise TooLarge
        while data:
            if self._inflater.eof:
                self._inflater = zlib.decompressobj(_GZIP)
            try:
                super().feed(self._inflater.decompress(data, _STEP))
            except zlib.error as error:
                raise Undecodable(f"the body is not gzip: {error}") from None
            data = self._inflater.unconsumed_tail or self._inflater.unused_data

    def finish(self) -> bytes:
        if self._raw and not self._inflater.eof:
            raise Undecodable("the gzip body ends too early")
        return super().finish()
