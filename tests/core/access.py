"""Who may pass: the kinds of policy that rows of the access table state."""

from __future__ import annotations

from typing import NamedTuple

from resilience_site.core.choices import Role, Scope


class Everybody(NamedTuple):
    """Open without session or key."""


class SignOut(NamedTuple):
    """Takes everybody to the login page."""


class Page(NamedTuple):
    """A screen for people from this role upward; keys are not people."""

    role: Role = Role.VIEWER


class Api(NamedTuple):
    """Keys whose scope includes this one, and sessions of the matching role."""

    scope: Scope


class Admin(NamedTuple):
    """The stock admin: staff only, with its own login."""


Policy = Everybody | SignOut | Page | Api | Admin


class Row(NamedTuple):
    method: str
    route: str
    path: str
    policy: Policy


UUID = "01890a5d-ac96-774b-bcce-b302099a8057"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
