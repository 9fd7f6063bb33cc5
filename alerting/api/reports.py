"""Resilience reports: the list, one of them, and one made by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from ninja import Query, Router, Status

from alerting.models import Channel, ResilienceReport
from alerting.schemas.reports import (
    ReportIn,
    ReportLineOut,
    ReportMailIn,
    ReportMailOut,
    ResilienceReportOut,
    SubscriptionIn,
    SubscriptionOut,
)
from alerting.selectors.report_figures import figures_from_json
from alerting.selectors.reports import report_find, report_list
from alerting.services.reports import channel_reports_set, report_mail_to, report_make
from resilience_site.core.choices import Scope
from resilience_site.core.pagination import Page, PageOut, PageQuery
from resilience_site.core.permissions import ApiAuth, ApiRequest
from resilience_site.core.problems import NotFound
from resilience_site.core.timerange import parse_instant

router = Router(tags=["resilience reports"])


@router.get("/reports", auth=ApiAuth(Scope.READ), response=PageOut[ReportLineOut])
def resilience_reports(request: ApiRequest, query: Query[PageQuery]) -> Page:
    """All reports, that of the newest time first."""
    page = report_list(limit=query.limit, cursor=query.cursor)
    return Page([_line(each) for each in page.items], page.next_cursor)


@router.post("/reports", auth=ApiAuth(Scope.OPERATE), response={201: ResilienceReportOut})
def resilience_report_post(request: ApiRequest, body: ReportIn) -> Status[dict[str, Any]]:
    """Make the report of a range: the last seven days by default."""
    now = datetime.now(UTC)
    made = report_make(
        since=parse_instant(body.since, now, "body.since"),
        until=parse_instant(body.until, now, "body.until"),
        actor=request.auth,
        now=now,
    )
    return Status(201, _shown(made))


@router.get("/reports/{uuid:report_id}", auth=ApiAuth(Scope.READ), response=ResilienceReportOut)
def resilience_report(request: ApiRequest, report_id: UUID) -> dict[str, Any]:
    """One report with its figures."""
    return _shown(_found(report_id))


@router.post("/reports/{uuid:report_id}/mail", auth=ApiAuth(Scope.OPERATE), response=ReportMailOut)
def resilience_report_mail(
    request: ApiRequest, report_id: UUID, body: ReportMailIn
) -> dict[str, int]:
    """Mail a report to e-mail channels."""
    mails = report_mail_to(
        report=_found(report_id),
        channels=body.channels,
        actor=request.auth,
        now=datetime.now(UTC),
    )
    return {"deliveries": mails}


@router.put(
    "/reports/channels/{uuid:channel_id}", auth=ApiAuth(Scope.OPERATE), response=SubscriptionOut
)
def resilience_report_channel(
    request: ApiRequest, channel_id: UUID, body: SubscriptionIn
) -> Channel:
    """Say whether an e-mail channel gets the weekly report."""
    return channel_reports_set(
        channel_id=channel_id,
        wanted=body.send_reports,
        actor=request.auth,
        now=datetime.now(UTC),
    )


def _found(report_id: UUID) -> ResilienceReport:
    report = report_find(report_id)
    if report is None:
        raise NotFound("There is no such report.")
    return report


def _line(report: ResilienceReport) -> dict[str, Any]:
    names = ("id", "since", "until", "made_at", "made_by")
    fields = {name: getattr(report, name) for name in names}
    return fields | {"verdict": report.figures.get("verdict", [])}


def _shown(report: ResilienceReport) -> dict[str, Any]:
    return _line(report) | {"figures": figures_from_json(report.figures)}
