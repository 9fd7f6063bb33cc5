"""Toggles as a provider of the OpenFeature SDK. Import it only where that SDK is installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider import AbstractProvider, Metadata

from breakers.runtime.toggles import Toggles

T = TypeVar("T")

_REASONS = {
    "static": Reason.STATIC,
    "split": Reason.SPLIT,
    "default": Reason.DEFAULT,
    "expired": Reason.DEFAULT,
    "disabled": Reason.DISABLED,
}


class ResilienceProvider(AbstractProvider):
    """Resolves flags from `Toggles` and tells the SDK when they change."""

    def __init__(self, toggles: Toggles) -> None:
        super().__init__()
        self._toggles = toggles
        toggles.on_change(self._changed)

    def get_metadata(self) -> Metadata:
        return Metadata("resilience")

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        return self._resolve(flag_key, default_value, evaluation_context, bool)

    def resolve_string_details(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        return self._resolve(flag_key, default_value, evaluation_context, str)

    def resolve_integer_details(
        self,
        flag_key: str,
        default_value: int,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        return self._resolve(flag_key, default_value, evaluation_context, int)

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        return self._resolve(flag_key, default_value, evaluation_context, float)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[Any] | Mapping[str, Any],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Any]:
        return self._resolve(flag_key, default_value, evaluation_context, (Sequence, Mapping))

    def _resolve(
        self, key: str, default: T, context: EvaluationContext | None, kind: Any
    ) -> FlagResolutionDetails[T]:
        target = (context.targeting_key if context else None) or ""
        found = self._toggles.resolve(key, default, target)
        reason = _REASONS[found.reason]
        if not found.found:
            error = None if found.reason == "disabled" else ErrorCode.FLAG_NOT_FOUND
            return FlagResolutionDetails(default, error_code=error, reason=reason)
        value = found.value
        if kind is float and type(value) is int:
            value = float(value)
        # True is an int to Python, and no number to a caller.
        fits = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
        if not fits or (kind == (Sequence, Mapping) and isinstance(value, str)):
            return FlagResolutionDetails(
                default,
                error_code=ErrorCode.TYPE_MISMATCH,
                error_message=f"toggle {key!r} is {type(value).__name__}",
                reason=Reason.ERROR,
            )
        return FlagResolutionDetails(value, reason=reason, variant=found.variant or None)

    def _changed(self, keys: list[str]) -> None:
        self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=keys))
