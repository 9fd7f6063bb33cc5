"""What the kernel's screens and API read."""

from __future__ import annotations

from django.db.models import QuerySet

from resilience_site.core.models import ApiKey, AuditEntry
from resilience_site.core.timerange import TimeRange


def audit_entries(period: TimeRange, **filters: str | None) -> QuerySet[AuditEntry]:
    """Audit entries of a period; each filter that is not None must match exactly."""
    wanted = {field: value for field, value in filters.items() if value is not None}
    return AuditEntry.objects.filter(at__gte=period.since, at__lt=period.until, **wanted)


def api_keys() -> QuerySet[ApiKey]:
    """All keys, revoked ones too."""
    return ApiKey.objects.all()
