"""The site's settings without a database, for checks that read no more than the code."""

from __future__ import annotations

from resilience_site.settings import *  # noqa: F403

DATABASES = {"default": {"ENGINE": "django.db.backends.dummy"}}
