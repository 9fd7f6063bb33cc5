"""The forms know the kind `sample` too."""

from __future__ import annotations

from tests.health import scenes  # noqa: F401  # registers the kind `sample`
