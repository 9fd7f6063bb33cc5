"""Plans and tasks as Microsoft Graph shows them, kept in memory."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]

ME = "8d6e1f0a-4c53-4b7e-9a2f-6d1c0e5b7a90"
_PLANS = ("Website relaunch", "Quarterly close", "Customer onboarding")
_BUCKETS = ("To do", "In progress", "Review")
_VERBS = ("Prepare", "Review", "Update", "Draft", "Schedule", "Check", "Publish", "Plan")
_THINGS = (
    "the release notes", "the budget sheet", "the landing page", "the contract", "the migration",
    "the survey", "the training", "the invoice run", "the access list", "the kick-off",
)  # fmt: skip
_WRITABLE: dict[str, type | tuple[type, ...]] = {
    "title": str,
    "bucketId": str,
    "percentComplete": int,
    "priority": int,
    "dueDateTime": (str, type(None)),
    "startDateTime": (str, type(None)),
    "assignments": dict,
    "appliedCategories": dict,
    "orderHint": str,
    "assigneePriority": str,
    "conversationThreadId": (str, type(None)),
}
_RANGES = {"percentComplete": (0, 100), "priority": (0, 10)}


class InvalidTaskError(ValueError):
    """The properties sent for a task cannot be used."""


@dataclass(frozen=True)
class Page:
    """Some tasks in the order of their creation; `next_from` is the rest's first, if there is one."""

    tasks: list[Json]
    next_from: int | None


class TaskStore:
    """The plans of one tenant. The oldest completed tasks are archived beyond `capacity`."""

    def __init__(
        self,
        rng: random.Random,
        now: Callable[[], datetime],
        *,
        tasks_per_plan: int = 40,
        capacity: int = 2000,
    ) -> None:
        self._rng = rng
        self._now = now
        self._capacity = capacity
        self._sequence = 0
        self._plans: dict[str, Json] = {}
        self._tasks: dict[str, tuple[int, Json]] = {}
        for title in _PLANS:
            plan = self._new_plan(title)
            self._plans[plan["id"]] = plan
            for _ in range(tasks_per_plan):
                self._seed(plan["id"])

    def plan(self, plan_id: str) -> Json | None:
        return self._plans.get(plan_id)

    def task(self, task_id: str) -> Json | None:
        found = self._tasks.get(task_id)
        return found[1] if found else None

    def of_plan(self, plan_id: str, start: int, limit: int) -> Page:
        return self._page(lambda task: task["planId"] == plan_id, start, limit)

    def of_user(self, user_id: str, start: int, limit: int) -> Page:
        return self._page(lambda task: user_id in task["assignments"], start, limit)

    def create(self, properties: Json) -> Json:
        """Add a task. Raises InvalidTaskError, and KeyError for a plan that does not exist."""
        values = dict(properties)
        plan_id = values.pop("planId", None)
        if not isinstance(plan_id, str) or not plan_id:
            raise InvalidTaskError(_missing("PlanId"))
        if not values.get("title"):
            raise InvalidTaskError(_missing("Title"))
        _check(values)
        if plan_id not in self._plans:
            raise KeyError(plan_id)
        task = self._new_task(plan_id, values)
        self._archive()
        return task

    def update(self, task_id: str, properties: Json) -> Json:
        """Change a task; it gets a new etag. Raises InvalidTaskError."""
        _check(properties)
        sequence, task = self._tasks[task_id]
        changed = {**task, **properties}
        percent = changed["percentComplete"]
        if percent != task["percentComplete"]:
            done = percent == 100
            changed["completedDateTime"] = _instant(self._now()) if done else None
            changed["completedBy"] = _identity() if done else None
        changed["@odata.etag"] = self._etag("Task")
        self._tasks[task_id] = (sequence, changed)
        return changed

    def delete(self, task_id: str) -> None:
        del self._tasks[task_id]

    def _page(self, wanted: Callable[[Json], bool], start: int, limit: int) -> Page:
        # Insertion order is the order of the sequence numbers; an update keeps a task's place.
        rows = [row for row in self._tasks.values() if row[0] >= start and wanted(row[1])]
        rest = rows[limit : limit + 1]
        return Page([task for _, task in rows[:limit]], rest[0][0] if rest else None)

    def _archive(self) -> None:
        if len(self._tasks) <= self._capacity:
            return
        for task_id, (_, task) in self._tasks.items():
            if task["percentComplete"] == 100:
                del self._tasks[task_id]
                return
        del self._tasks[next(iter(self._tasks))]

    def _id(self) -> str:
        return base64.urlsafe_b64encode(self._rng.randbytes(21)).decode()

    def _etag(self, kind: str) -> str:
        self._sequence += 1
        token = base64.b64encode(f"'1-{kind}  {self._sequence:016d}'".encode()).decode()
        return f'W/"{token}"'

    def _new_plan(self, title: str) -> Json:
        group = str(self._id())
        return {
            "@odata.etag": self._etag("Plan"),
            "id": self._id(),
            "title": title,
            "owner": group,
            "createdDateTime": _instant(self._now()),
            "createdBy": _identity(),
            "container": {"containerId": group, "type": "group"},
            "buckets": {self._id(): name for name in _BUCKETS},
        }

    def _seed(self, plan_id: str) -> None:
        rng = self._rng
        due = self._now() + timedelta(days=rng.randint(-10, 30))
        self._new_task(
            plan_id,
            {
                "title": f"{rng.choice(_VERBS)} {rng.choice(_THINGS)}",
                "percentComplete": rng.choice((0, 0, 50, 100)),
                "priority": rng.choice((1, 3, 5, 9)),
                "dueDateTime": _instant(due),
                "assignments": _assigned() if rng.random() < 0.5 else {},
            },
        )

    def _new_task(self, plan_id: str, values: Json) -> Json:
        done = values.get("percentComplete") == 100
        now = _instant(self._now())
        task = {
            "@odata.etag": self._etag("Task"),
            "id": self._id(),
            "planId": plan_id,
            "bucketId": next(iter(self._plans[plan_id]["buckets"])),
            "title": "",
            "orderHint": "8585 !",
            "assigneePriority": "",
            "percentComplete": 0,
            "priority": 5,
            "startDateTime": None,
            "createdDateTime": now,
            "dueDateTime": None,
            "completedDateTime": now if done else None,
            "completedBy": _identity() if done else None,
            "createdBy": _identity(),
            "hasDescription": False,
            "previewType": "automatic",
            "referenceCount": 0,
            "checklistItemCount": 0,
            "activeChecklistItemCount": 0,
            "conversationThreadId": None,
            "appliedCategories": {},
            "assignments": {},
            **values,
        }
        self._tasks[task["id"]] = (self._sequence, task)
        return task


def _check(properties: Json) -> None:
    for name, value in properties.items():
        expected = _WRITABLE.get(name)
        if expected is None:
            raise InvalidTaskError(
                f"The property '{name}' does not exist on type 'microsoft.graph.plannerTask' "
                "or cannot be written."
            )
        if not _usable(name, value, expected):
            raise InvalidTaskError(_invalid(name))


def _usable(name: str, value: object, expected: type | tuple[type, ...]) -> bool:
    if isinstance(value, bool) or not isinstance(value, expected):
        return False
    if isinstance(value, int):
        low, high = _RANGES[name]
        return low <= value <= high
    if isinstance(value, str) and name.endswith("DateTime"):
        try:
            datetime.fromisoformat(value)
        except ValueError:
            return False
    return True


def _invalid(name: str) -> str:
    field = name[:1].upper() + name[1:]
    return (
        f"Schema validation has failed. Validation for field '{field}', on entity 'Task' "
        "has failed: The value provided is not valid."
    )


def _missing(field: str) -> str:
    return (
        f"Schema validation has failed. Validation for field '{field}', on entity 'Task' "
        "has failed: A required value has not been provided."
    )


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _identity() -> Json:
    return {"user": {"displayName": None, "id": ME}}


def _assigned() -> Json:
    return {
        ME: {"@odata.type": "#microsoft.graph.plannerAssignment", "orderHint": "8585 !"},
    }
