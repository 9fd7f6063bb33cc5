"""Resilience reports: made every Monday, or by hand for any range, and mailed to who wants them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction
from django.template.loader import render_to_string
from django.urls import reverse

from alerting.choices import ChannelKind, Purpose
from alerting.domain.messages import Message
from alerting.domain.reports.figures import Figures
from alerting.domain.reports.schedule import week_due
from alerting.domain.reports.verdict import verdict
from alerting.domain.reports.words import (
    kept_notes,
    plain_text,
    range_words,
    settled_notes,
    subject,
    zoned_words,
)
from alerting.models import Channel, ResilienceReport
from alerting.selectors.report_figures import figures_from_json, figures_json, figures_read
from alerting.selectors.report_healing import healing_kept
from alerting.selectors.reports import mail_channels
from alerting.services.alerts import KEPT
from alerting.services.channel_fields import channels_required
from alerting.services.delivery_pruning import RETENTION as DELIVERIES_KEPT
from alerting.services.outbox import delivery_enqueue
from alerting.services.sending.entries import channel_entry
from analytics.models.partitions import error_retention, hour_retention
from analytics.selectors.report import whole_minutes
from health.models import Service
from resilience_site.config import config
from resilience_site.core import journal
from resilience_site.core.audit import Actor, audit_record, refusals_audited
from resilience_site.core.links import absolute
from resilience_site.core.problems import Invalid, NotFound
from resilience_site.core.timerange import EARLIEST, LATEST, LONGEST, TimeRange


def report_make(
    *, since: datetime, until: datetime, actor: Actor, now: datetime
) -> ResilienceReport:
    """Make the report of a range by hand, widened to whole minutes that are over: what of it is
    still to come is left out. Raises `Invalid` for a range that is empty, too long, or of which no
    minute is over."""
    with refusals_audited(
        actor=actor, action="report.make", object_type="report", object_id=since.isoformat()
    ):
        within = _range(since, until, now)
    figures = _figures(within, now)
    with transaction.atomic():
        report = _store(within.since, within.until, figures, actor.name, now)
        audit_record(
            actor=actor,
            action="report.make",
            object_type="report",
            object_id=report.id,
            after={"since": within.since.isoformat(), "until": within.until.isoformat()},
        )
    return report


def _range(since: datetime, until: datetime, now: datetime) -> TimeRange:
    if not EARLIEST <= since < until <= LATEST:
        raise Invalid.field("body.since", "The beginning must lie before the end.")
    if until - since > LONGEST:
        raise Invalid.field("body.since", f"A report is of at most {LONGEST.days} days.")
    if since >= now:
        raise Invalid.field("body.since", "The range has not begun yet.")
    widened = whole_minutes(TimeRange(since, until))
    within = TimeRange(widened.since, min(widened.until, now.replace(second=0, microsecond=0)))
    if within.since >= within.until:
        raise Invalid.field(
            "body.since",
            "No whole minute of the range is over yet: begin it earlier, or ask in a minute.",
        )
    return within


def report_weekly_make(*, now: datetime) -> ResilienceReport | None:
    """Make the report of the newest week that is due, and mail it; None where there is one already,
    or where the site had seen nothing yet by the end of that week.

    However often this is called, and by how many workers, a week has one report and each channel
    one mail; none where PROACTIVE_ALERTING_ENABLED is off.
    """
    week = week_due(now)
    if _is_there(week.since, week.until) or _is_before_all(week.until):
        return None
    figures = _figures(TimeRange(*week), now)
    try:
        with transaction.atomic():
            report = _store(*week, figures, "", now)
            if config.proactive_alerting_enabled:
                report_mail(report=report, channels=report_channels(), now=now)
    except IntegrityError:
        # Another worker was faster: its report stands, and nothing of this one.
        if not _is_there(week.since, week.until):
            raise
        return None
    return report


def report_mail(*, report: ResilienceReport, channels: list[Channel], now: datetime) -> int:
    """Put the mail of a report for each of the channels into the outbox; how many."""
    message = report_message(report)
    for channel in channels:
        delivery_enqueue(channel=channel, message=message, purpose=Purpose.REPORT, now=now)
    return len(channels)


def report_mail_to(
    *, report: ResilienceReport, channels: Collection[str], actor: Actor, now: datetime
) -> int:
    """Mail a report by hand to channels by name or id; how many mails are in the outbox. Raises
    `Invalid` where no channel is named, or one is no e-mail channel that is switched on."""
    with (
        refusals_audited(
            actor=actor, action="report.mail", object_type="report", object_id=report.id
        ),
        transaction.atomic(),
    ):
        named = channels_required("body.channels", channels)
        if not named or not all(each.enabled and each.kind == ChannelKind.EMAIL for each in named):
            raise Invalid.field(
                "body.channels", "Name at least one e-mail channel, and none but those in use."
            )
        audit_record(
            actor=actor,
            action="report.mail",
            object_type="report",
            object_id=report.id,
            after={"channels": [each.name for each in named]},
        )
        return report_mail(report=report, channels=named, now=now)


def report_channels() -> list[Channel]:
    """The e-mail channels that get the weekly report."""
    return [each for each in mail_channels() if each.enabled and each.send_reports]


def report_message(report: ResilienceReport) -> Message:
    """What a channel is sent of a report."""
    figures = figures_from_json(report.figures)
    url = absolute(reverse("resilience-report", args=[report.id]))
    since, until = report.since, report.until
    html = render_to_string(
        "alerting/reports/mail.html",
        {
            "report": report,
            "figures": figures,
            "url": url,
            "named": range_words(since, until),
            "zoned": zoned_words(since, until),
            "site": absolute("/"),
        },
    )
    return Message(
        title=subject(figures, since, until),
        text=plain_text(figures, since, until),
        severity="info",
        url=url,
        html=html,
    )


def channel_reports_set(*, channel_id: UUID, wanted: bool, actor: Actor, now: datetime) -> Channel:
    """Say whether an e-mail channel gets the weekly report. Raises `NotFound` and `Invalid`."""
    with (
        refusals_audited(
            actor=actor, action="channel.reports", object_type="channel", object_id=channel_id
        ),
        transaction.atomic(),
    ):
        channel = Channel.objects.select_for_update().filter(id=channel_id).first()
        if channel is None:
            raise NotFound("There is no such channel.")
        if channel.kind != ChannelKind.EMAIL:
            raise Invalid.field("body.send_reports", "Only e-mail channels get reports.")
        if channel.send_reports != wanted:
            before = channel.send_reports
            channel.send_reports = wanted
            channel.changed_at, channel.changed_by = now, actor.name
            channel.version += 1
            channel.save()
            audit_record(
                actor=actor,
                action="channel.reports",
                object_type="channel",
                object_id=channel.id,
                before={"send_reports": before},
                after={"send_reports": wanted},
            )
            journal.append([channel_entry("channel.changed", channel, by=actor.name)])
    return channel


def _figures(within: TimeRange, now: datetime) -> Figures:
    figures = figures_read(within)
    kept = {
        "Errors, patterns and transitions of breakers": error_retention(),
        "Calls": hour_retention(),
        "Alerts": KEPT,
        "Notifications": DELIVERIES_KEPT,
        **healing_kept(),
    }
    notes = [
        *settled_notes(within.until, now),
        *kept_notes(within.before().since, now, kept),
    ]
    return replace(figures, verdict=verdict(figures), notes=notes)


def _store(
    since: datetime, until: datetime, figures: Figures, made_by: str, now: datetime
) -> ResilienceReport:
    return ResilienceReport.objects.create(
        since=since, until=until, made_at=now, made_by=made_by, figures=figures_json(figures)
    )


def _is_there(since: datetime, until: datetime) -> bool:
    return ResilienceReport.objects.filter(since=since, until=until, made_by="").exists()


def _is_before_all(until: datetime) -> bool:
    return not Service.objects.filter(first_seen__lt=until).exists()
