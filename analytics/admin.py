"""The stock admin's view of telemetry: read only, as only the ingest writes it. Objectives are
edited by the same services as everywhere.

The big tables are searched by exact ids, which have an index, and never counted in full.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from analytics import models
from analytics.services.slos import slo_change, slo_create, slo_delete
from health.admin.serviced import Given, ServicedAdmin, ServiceForm, who
from resilience_site.core.admin import BigTableAdmin, ReadOnlyAdmin


class RollupAdmin(BigTableAdmin):
    """Counts per minute; a row has no page of its own, as its database key is composite."""

    list_display_links = None
    ordering = ["-minute"]


@admin.register(models.ErrorEvent)
class ErrorEventAdmin(BigTableAdmin):
    list_display = ["occurred_at", "service", "type", "message", "trace_id", "source"]
    search_fields = ["trace_id__exact", "correlation_id__exact", "service__exact", "type__exact"]
    ordering = ["-occurred_at"]


@admin.register(models.Span)
class SpanAdmin(BigTableAdmin):
    list_display = ["started_at", "service", "operation", "kind", "status", "trace_id", "span_id"]
    search_fields = ["trace_id__exact"]
    ordering = ["-started_at"]


@admin.register(models.LogRecord)
class LogRecordAdmin(BigTableAdmin):
    list_display = ["time", "service", "severity", "body", "trace_id"]
    search_fields = ["trace_id__exact"]
    ordering = ["-time"]


@admin.register(models.CorrelationChain)
class CorrelationChainAdmin(BigTableAdmin):
    list_display = [
        "started_at", "root_cause_service", "root_cause_type", "error_count", "kind", "trace_id",
    ]  # fmt: skip
    search_fields = ["trace_id__exact", "correlation_id__exact", "root_cause_service__exact"]
    ordering = ["-started_at"]


@admin.register(models.ErrorPattern)
class ErrorPatternAdmin(ReadOnlyAdmin):
    list_display = ["last_seen", "service", "type", "template", "state", "count", "first_seen"]
    list_filter = ["state", "service"]
    search_fields = ["type", "template", "service"]
    ordering = ["-last_seen"]


@admin.register(models.StackTrace)
class StackTraceAdmin(ReadOnlyAdmin):
    list_display = ["hash", "language", "first_seen", "last_seen"]
    list_filter = ["language"]
    search_fields = ["raw"]


@admin.register(models.CallRollup)
class CallRollupAdmin(RollupAdmin):
    list_display = ["minute", "service", "operation", "kind", "calls", "errors"]
    search_fields = ["service__exact", "operation__exact"]


@admin.register(models.EdgeRollup)
class EdgeRollupAdmin(RollupAdmin):
    list_display = ["minute", "caller", "callee", "via", "calls", "errors"]
    search_fields = ["caller__exact", "callee__exact"]


@admin.register(models.ErrorRollup)
class ErrorRollupAdmin(RollupAdmin):
    list_display = ["minute", "service", "pattern_id", "errors"]
    search_fields = ["service__exact"]


@admin.register(models.LateFigure)
class LateFigureAdmin(BigTableAdmin):
    list_display = ["known_from", "minute", "service", "kind", "calls", "errors"]
    list_filter = ["kind"]
    search_fields = ["service__exact"]
    ordering = ["-known_from"]


@admin.register(models.ChainOnset)
class ChainOnsetAdmin(RollupAdmin):
    list_display = ["minute", "service", "chains", "known_from"]
    search_fields = ["service__exact"]


@admin.register(models.FormerSlo)
class FormerSloAdmin(ReadOnlyAdmin):
    list_display = ["slo", "since", "until", "objective", "window_days", "threshold_ms", "enabled"]
    ordering = ["-until"]


@admin.register(models.IngestRollup)
class IngestRollupAdmin(RollupAdmin):
    list_display = ["minute", "signal", "outcome", "reason", "items", "requests"]
    list_filter = ["signal", "outcome"]


class FiguresAdmin(BigTableAdmin):
    """Counts whose columns are told by the model."""

    list_display_links = None

    def get_list_display(self, request: HttpRequest) -> Any:
        return [
            f.name
            for f in self.model._meta.concrete_fields
            if f.name not in ("distribution", "buckets")
        ]


@admin.register(models.LogRollup, models.MetricRollup)
class PerMinuteAdmin(FiguresAdmin):
    ordering = ["-minute"]


@admin.register(
    models.MetricRollupHour,
    models.CallRollupHour,
    models.EdgeRollupHour,
    models.ErrorRollupHour,
    models.FigureHour,
)
class PerHourAdmin(FiguresAdmin):
    ordering = ["-hour"]


@admin.register(models.ErrorTotal)
class ErrorTotalAdmin(BigTableAdmin):
    list_display = ["at", "hours", "service", "errors", "patterns"]
    ordering = ["-at"]


@admin.register(
    models.CallName,
    models.ChainPending,
    models.EdgePending,
    models.EdgeSighting,
    models.PeerAlias,
    models.LogTemplate,
    models.MetricSeries,
    models.MetricStream,
    models.BatchReceipt,
    models.PostedId,
    models.Anomaly,
    models.DetectorState,
    models.Exhaustion,
    models.FoldedName,
    models.Forecast,
    models.ObservedFailure,
    models.PatternMerge,
    models.PatternRelation,
    models.PatternRelease,
    models.Prediction,
    models.PredictionModel,
    models.ReadCursor,
    models.Release,
    models.ServiceSilence,
    models.Sign,
)
class SmallTableAdmin(ReadOnlyAdmin):
    """Queues, catalogues and notes, each with all its columns."""

    show_full_result_count = False

    def get_list_display(self, request: HttpRequest) -> Any:
        return [field.name for field in self.model._meta.concrete_fields][:8]


class SloForm(ServiceForm):
    """An objective; what it is of stays once it is set."""

    min_bad = forms.IntegerField(
        required=False,
        help_text="Empty: 10 calls, the seconds of three probes, or more runs than two of each check.",
    )

    class Meta:
        model = models.Slo
        fields = [
            "service", "kind", "source", "objective", "window_days", "threshold_ms", "min_bad",
            "enabled",
        ]  # fmt: skip


@admin.register(models.Slo)
class SloAdmin(ServicedAdmin):
    form = SloForm
    list_display = [
        "service", "kind", "source", "objective", "window_days", "threshold_ms", "enabled",
        "origin", "changed_by", "changed_at",
    ]  # fmt: skip
    list_filter = ["kind", "source", "origin", "enabled"]
    search_fields = ["service"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Slo]:
        rows: QuerySet[models.Slo] = super().get_queryset(request)
        return rows.filter(deleted_at=None)

    def get_readonly_fields(self, request: HttpRequest, obj: Any | None = None) -> list[str]:
        return [] if obj is None else ["service", "kind", "source"]

    def create(self, request: HttpRequest, given: Given) -> Model:
        return slo_create(**given, reason="set in the admin", **who(request))

    def change(self, request: HttpRequest, row: Any, changes: Given, version: int | None) -> Model:
        return slo_change(
            slo_id=row.id, changes=changes, reason="changed in the admin", if_match=version,
            **who(request),
        )  # fmt: skip

    def remove(self, request: HttpRequest, row: Any) -> None:
        slo_delete(slo_id=row.id, reason="deleted in the admin", **who(request))
