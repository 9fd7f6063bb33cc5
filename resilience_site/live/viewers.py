"""Who may listen: people with a session and at least the viewer role."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest

from resilience_site.core.choices import Role
from resilience_site.core.permissions import role_of


class Viewer(NamedTuple):
    user_id: int
    role: Role | None


def viewer_find(session_key: str | None) -> Viewer | None:
    """The person behind a session cookie as the database knows them now, None for nobody."""
    if not session_key:
        return None
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = get_user(request)
    if not user.is_authenticated:
        return None
    return Viewer(user.pk, role_of(user))
