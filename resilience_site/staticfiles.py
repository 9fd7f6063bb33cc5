"""Static files: hashed names, also in the imports of ES modules, and how they are served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import IO, Any

from django.core.handlers.asgi import ASGIRequest
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.storage import CompressedManifestStaticFilesStorage


class ModuleManifestStorage(CompressedManifestStaticFilesStorage):
    """Whitenoise's storage; without the flag `import "./keys.js"` would stay unhashed."""

    support_js_module_import_aggregation = True


class StaticFilesMiddleware(WhiteNoiseMiddleware):
    """Whitenoise, giving an ASGI server the asynchronous iterator that it asks for."""

    @staticmethod
    def serve(static_file: Any, request: Any) -> Any:
        response = WhiteNoiseMiddleware.serve(static_file, request)
        if isinstance(request, ASGIRequest):
            response.streaming_content = _blocks(response.file_to_stream, response.block_size)
        return response


async def _blocks(file: IO[bytes] | None, size: int) -> AsyncIterator[bytes]:
    """A file's content; nothing where there is no file, as in the answer to HEAD."""
    while file and (block := await asyncio.to_thread(file.read, size)):
        yield block
