"""What the form of a maintenance window holds, and what is read from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo, available_timezones

from django.http import HttpRequest

from health.choices import MaintenanceKind
from health.models import Maintenance
from health.selectors.catalogue import service_list
from health.selectors.planned import planned
from health.views.option_fields import Field, number_of
from resilience_site.core.problems import Invalid, Problem

WEEKDAYS: Final = (
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
)  # fmt: skip
KINDS: Final = (
    (MaintenanceKind.SINGLE.value, "Once", "from one moment to another"),
    (MaintenanceKind.WEEKLY.value, "Weekly", "on the same days at the same time"),
    (MaintenanceKind.CRON.value, "By a cron expression", "for everything else that repeats"),
)
SERVICES_SHOWN: Final = 200
_LOCAL: Final = "%Y-%m-%dT%H:%M"


@dataclass
class WindowForm:
    """The form of a new window, or of one that is there."""

    request: HttpRequest
    window: Maintenance | None = None
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def _sent(self) -> bool:
        return self.request.method == "POST"

    def given(self, *, scoped: bool = True) -> dict[str, Any]:
        """The fields of a window; what cannot be read is left for the service to refuse. Raises
        `Invalid` where nothing is named that it covers, unless that is not asked for (`scoped`)."""
        post = self.request.POST
        kind = post.get("kind", "")
        zone = post.get("timezone", "").strip() or "UTC"
        given: dict[str, Any] = {
            "name": post.get("name", "").strip(),
            "kind": kind,
            "reason": post.get("reason", ""),
            "public_text": post.get("public_text", ""),
            "timezone": zone,
            "starts_at": _moment(post.get("starts_at", ""), zone),
            "ends_at": _moment(post.get("ends_at", ""), zone),
            **(self._scope() if scoped else {}),
        }
        if kind == MaintenanceKind.WEEKLY:
            given |= {
                "weekdays": [int(day) for day in post.getlist("weekdays") if day in "0123456"],
                "start_time": _time(post.get("start_time", "")),
            }
        if kind == MaintenanceKind.CRON:
            given["cron"] = post.get("cron", "")
        if kind in (MaintenanceKind.WEEKLY, MaintenanceKind.CRON):
            given["duration_seconds"] = _seconds(post.get("duration_minutes", ""))
        return given

    def changes(self) -> dict[str, Any]:
        """What is to change. The beginning of a recurring window is changed only where somebody
        changed it, as that tells what its past was."""
        given = self.given()
        same = self.window is not None and self.request.POST.get(
            "starts_at"
        ) == self.request.POST.get("starts_at_before")
        if same and given["kind"] != MaintenanceKind.SINGLE:
            del given["starts_at"]
        return given

    def refuse(self, problem: Problem) -> None:
        """Put what a refusal says beside the fields that it names."""
        for each in getattr(problem, "errors", ()):
            name = "duration_minutes" if each.field == "duration_seconds" else each.field
            self.errors.setdefault(name, each.message)

    def _scope(self) -> dict[str, list[str]]:
        post = self.request.POST
        if post.get("covers") == "everything":
            return {"services": [], "checks": []}
        checks = [line.strip() for line in post.get("checks", "").splitlines() if line.strip()]
        services = post.getlist("services")
        if not checks and not services:
            raise Invalid.field("checks", "Name what it covers, or let it cover everything.")
        return {"services": services, "checks": checks}

    # --- What the page shows

    def shown(self) -> dict[str, Any]:
        """The parts of the page."""
        values = self._values()
        return {
            "values": values,
            "kinds": KINDS,
            "days": [(str(n), name, str(n) in values["weekdays"]) for n, name in enumerate(WEEKDAYS)],
            "named": self._field("name", "Name", values, "Only people of this site read it."),
            "zone": self._field("timezone", "Time zone", values, "Of all times in this form.",
                                suggestions="zones"),
            "cron": self._field("cron", "Cron expression", values,
                                "Minute, hour, day of month, month, day of week: 30 2 * * sun"),
            "duration": self._field("duration_minutes", "Lasts (minutes)", values,
                                    widget="number"),
            "checks": self._field("checks", "Checks", values, "Names, one a line.", widget="area"),
            "texts": [
                self._field("reason", "Reason", values, "Kept in the audit trail.", widget="area",
                            required=True),
                self._field("public_text", "Public text", values,
                            "Everybody can read it on the status page: what users notice, no "
                            "internal names. Empty keeps the window off that page.",
                            widget="area"),
            ],
            "services": self._services(values["services"]),
            "zones": _zones(),
            "errors": self.errors,
            "error_list": [(_id(name), message) for name, message in self.errors.items()],
        }  # fmt: skip

    def _field(
        self,
        name: str,
        label: str,
        values: Mapping[str, Any],
        help: str = "",
        *,
        widget: str = "text",
        required: bool = False,
        suggestions: str = "",
    ) -> Field:
        return Field(
            name, label, widget, values[name], help, self.errors.get(name, ""), required,
            suggestions=suggestions,
        )  # fmt: skip

    def _services(self, chosen: list[str]) -> list[tuple[str, bool]]:
        names = list(service_list().values_list("name", flat=True)[:SERVICES_SHOWN])
        return [(name, name in chosen) for name in sorted({*names, *chosen})]

    def _values(self) -> dict[str, Any]:
        if self._sent:
            return self._values_sent()
        return self._values_stored(self.window) if self.window else dict(_EMPTY)

    def _values_sent(self) -> dict[str, Any]:
        post = self.request.POST
        texts = {name: post.get(name, "") for name, value in _EMPTY.items() if value != []}
        return {
            **texts,
            "weekdays": post.getlist("weekdays"),
            "services": post.getlist("services"),
            "starts_at_before": post.get("starts_at_before", ""),
        }

    def _values_stored(self, window: Maintenance) -> dict[str, Any]:
        zone = ZoneInfo(window.timezone)
        each = planned([window], datetime.now(UTC))[0]
        begins = _local(window.starts_at, zone)
        length = window.duration_seconds
        return {
            "name": window.name,
            "kind": window.kind,
            "timezone": window.timezone,
            "starts_at": begins,
            "starts_at_before": begins,
            "ends_at": _local(window.ends_at, zone),
            "start_time": f"{window.start_time:%H:%M}" if window.start_time else "",
            "cron": window.cron,
            "duration_minutes": f"{length / 60:.15g}" if length else "",
            "covers": "everything" if window.everything else "some",
            "checks": "\n".join(each.checks),
            "reason": window.reason,
            "public_text": window.public_text,
            "weekdays": [str(day) for day in window.weekdays],
            "services": list(each.services),
        }


_EMPTY: Final[Mapping[str, Any]] = {
    "name": "", "kind": MaintenanceKind.SINGLE.value, "timezone": "UTC", "starts_at": "",
    "starts_at_before": "", "ends_at": "", "start_time": "", "cron": "", "duration_minutes": "",
    "covers": "some", "checks": "", "reason": "", "public_text": "", "weekdays": [],
    "services": [],
}  # fmt: skip


@cache
def _zones() -> tuple[str, ...]:
    return tuple(sorted(available_timezones()))


def _id(name: str) -> str:
    return f"f-{name.replace('_', '-')}"


def _local(moment: datetime | None, zone: ZoneInfo) -> str:
    return "" if moment is None else f"{moment.astimezone(zone):{_LOCAL}}"


def _moment(text: str, zone: str) -> datetime | str | None:
    """A time on the wall of `zone`; of an hour that comes twice, the first."""
    if not text.strip():
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None and zone in available_timezones():
            moment = moment.replace(tzinfo=ZoneInfo(zone), fold=0)
    except ValueError:
        return text
    return moment


def _time(text: str) -> time | str:
    try:
        return time.fromisoformat(text.strip())
    except ValueError:
        return text


def _seconds(text: str) -> Any:
    try:
        return number_of(text) * 60
    except ValueError:
        return text
