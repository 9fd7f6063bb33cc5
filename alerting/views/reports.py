"""Resilience reports: the list with who gets them, one of them, and the forms that make and mail."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from alerting.domain.reports.schedule import next_due, week_due
from alerting.models import ResilienceReport
from alerting.selectors.report_figures import figures_from_json
from alerting.selectors.reports import mail_channels, report_find, report_list
from alerting.services.reports import channel_reports_set, report_mail_to, report_make
from resilience_site.config import config
from resilience_site.core.choices import Role
from resilience_site.core.formatting import machine
from resilience_site.core.pagination import Page
from resilience_site.core.permissions import actor_of, require_role
from resilience_site.core.problems import Problem
from resilience_site.core.screens import (
    acting_only,
    back_to,
    bad_question,
    form_answer,
    may_operate,
    refused_by,
    tried,
)
from resilience_site.core.timerange import LONGEST, parse_instant

METHODS: Final = ["GET", "HEAD", "POST"]


@require_GET
@require_role(Role.VIEWER)
def reports(request: HttpRequest) -> HttpResponse:
    """Reports, newest first, and the channels that get them."""
    try:
        page = report_list(cursor=request.GET.get("cursor"))
    except Problem as problem:
        return bad_question(request, problem)
    context = {
        "live_cursor": None,
        "page": Page(
            [(each, figures_from_json(each.figures)) for each in page.items], page.next_cursor
        ),
        "channels": mail_channels(),
        "next_due": next_due(datetime.now(UTC)),
        "delivering": config.proactive_alerting_enabled,
        "may_operate": may_operate(request),
    }
    return render(request, "alerting/reports/list.html", context)


@require_GET
@require_role(Role.VIEWER)
def report(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """One report, for reading and printing."""
    found = _or_404(report_id)
    context = {
        "live_cursor": None,
        "report": found,
        "figures": figures_from_json(found.figures),
        "range_query": urlencode({"since": machine(found.since), "until": machine(found.until)}),
        "may_operate": may_operate(request),
    }
    return render(request, "alerting/reports/report.html", context)


@never_cache
@require_http_methods(METHODS)
@acting_only("report.make", "report")
def report_new(request: HttpRequest) -> HttpResponse:
    """The form of a report by hand; a POST makes it."""
    now = datetime.now(UTC)
    week = week_due(now)
    since = request.POST.get("since", machine(week.since))
    until = request.POST.get("until", machine(week.until))
    done, made, problem = tried(
        request,
        lambda: report_make(
            since=parse_instant(since, now, "body.since"),
            until=parse_instant(until, now, "body.until"),
            actor=actor_of(request),
            now=now,
        ),
    )
    if done and made is not None:
        return redirect("resilience-report", made.id)
    context = {
        "form": "alerting/reports/_make_form.html",
        "title": "New report",
        "since": since,
        "until": until,
        "most_days": LONGEST.days,
        "next": back_to(request, reverse("reports")),
    }
    return form_answer(request, context, problem)


@never_cache
@require_http_methods(METHODS)
@acting_only("report.mail", "report")
def report_mail(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """The form that mails a report; a POST puts the mails into the outbox."""
    found = _or_404(report_id)
    home = reverse("resilience-report", args=[report_id])
    done, mails, problem = tried(
        request,
        lambda: report_mail_to(
            report=found,
            channels=request.POST.getlist("channels"),
            actor=actor_of(request),
            now=datetime.now(UTC),
        ),
    )
    if done:
        messages.info(request, f"{mails} mail{'' if mails == 1 else 's'} in the outbox.")
        return redirect(home)
    context = {
        "form": "alerting/reports/_mail_form.html",
        "title": "Mail the report",
        "report": found,
        "channels": [each for each in mail_channels() if each.enabled],
        "next": back_to(request, home),
    }
    return form_answer(request, context, problem)


@require_POST
@acting_only("channel.reports", "channel")
def report_subscription(request: HttpRequest, channel_id: UUID) -> HttpResponse:
    """Say whether a channel gets the weekly report."""
    try:
        channel = channel_reports_set(
            channel_id=channel_id,
            wanted=request.POST.get("wanted") == "yes",
            actor=actor_of(request),
            now=datetime.now(UTC),
        )
    except Problem as problem:
        return refused_by(bad_question(request, problem), problem)
    gets = "gets the weekly report" if channel.send_reports else "gets no report any more"
    messages.info(request, f"{channel.name} {gets}.")
    return redirect("reports")


def _or_404(report_id: UUID) -> ResilienceReport:
    found = report_find(report_id)
    if found is None:
        raise Http404("There is no such report.")
    return found
