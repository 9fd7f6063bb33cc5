"""The site's settings for tests, which need the engines' addresses before they are read."""

from __future__ import annotations

from tests import engines

engines.start_missing()

from resilience_site.settings import *  # noqa: E402, F403

# A machine that stands still for a while makes no thread of a test go without a connection.
_OPTIONS = DATABASES["default"]["OPTIONS"]  # noqa: F405
_OPTIONS["pool"] = {**_OPTIONS["pool"], "timeout": 60}
# Pages in tests take static files from where they are written; only the `site` fixture collects.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# WhiteNoise warns where the folder is missing, and a warning fails a test.
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # noqa: F405
# One round of the real hasher takes longer than most tests.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
