"""Parts of paths. Importing this registers them."""

from __future__ import annotations

from django.urls import register_converter
from django.urls.converters import StringConverter


class AnythingConverter(StringConverter):
    """Whatever senders call themselves, slashes included."""

    regex = "(?s:.+)"


register_converter(AnythingConverter, "anything")
