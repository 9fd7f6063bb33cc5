"""Hashed static files, with the imports of ES modules rewritten to their hashed names."""

from __future__ import annotations

from whitenoise.storage import CompressedManifestStaticFilesStorage


class ModuleManifestStorage(CompressedManifestStaticFilesStorage):
    """Whitenoise's storage; without the flag `import "./keys.js"` would stay unhashed."""

    support_js_module_import_aggregation = True
