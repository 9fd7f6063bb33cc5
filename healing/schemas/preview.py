"""What would heal now, as the API gives it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from ninja import Schema

from healing.choices import Mode, TargetKind, TriggerKind
from healing.schemas.runs import VerdictOut


class EffectOut(Schema):
    """What a step would do: `text` is its exact effect, or why it would be skipped or cannot be;
    `verification` what it would be verified by, if by anything of its own."""

    name: str
    action: str
    resolved: str
    state: Literal["would", "skipped", "cannot"]
    text: str
    verification: str


class WouldRunOut(Schema):
    """A workflow that answers to a failure. `begins`: by itself, or after a person's yes."""

    workflow: str
    title: str
    mode: Mode
    target_kind: TargetKind
    target: str
    begins: bool
    refused_by: str
    unable: str
    guardrails: list[VerdictOut]
    steps: list[EffectOut]
    opportunity: UUID | None


class WouldHealOut(Schema):
    """Something that fails now; without `answers` nothing would heal it."""

    kind: TriggerKind
    key: str
    service: str
    since: datetime
    text: str
    link: str
    answers: list[WouldRunOut]


class PreviewOut(Schema):
    """A dry run over the present state; `left_off` more fail and are not told of."""

    at: datetime
    items: list[WouldHealOut]
    left_off: int
