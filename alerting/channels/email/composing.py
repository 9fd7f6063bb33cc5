"""A message as mail: the same bytes for each attempt, so that a receiver can tell a repetition."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final
from urllib.parse import urlsplit

from alerting.channels.base import Envelope
from alerting.channels.email.html import html_of
from alerting.choices import Purpose
from health.checks.words import one_line
from resilience_site.config import config

_MOST_SUBJECT: Final = 200


def mail_of(envelope: Envelope, *, sender: str, to: Sequence[str]) -> EmailMessage:
    """The mail of an attempt. Mails of one group of alerts stand in one thread."""
    message = envelope.message
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = ", ".join(to)
    mail["Subject"] = one_line(_subject(envelope), _MOST_SUBJECT)
    mail["Date"] = format_datetime(envelope.created_at)
    mail["Message-ID"] = f"<{envelope.id}@{_host()}>"
    if message.group_key:
        mail["References"] = f"<{_digest(message.group_key)}@{_host()}>"
    # By which mailboxes sort what comes of one site (RFC 2919).
    mail["List-Id"] = f"<{envelope.purpose}.{_host()}>"
    # Answering machines keep quiet (RFC 3834).
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Resilience-Event"] = envelope.happening
    parts = (message.note, message.text, f"On the site: {message.url}" if message.url else "")
    mail.set_content("\n\n".join(each for each in parts if each) + "\n")
    mail.add_alternative(message.html or html_of(envelope), subtype="html")
    return mail


def _subject(envelope: Envelope) -> str:
    """The title; of alerts it begins with their urgency, also of those that are over, so that a
    mailbox can sort by it."""
    message = envelope.message
    if envelope.purpose != Purpose.ALERTS:
        return message.title
    return f"[{message.severity}] {message.title}"


def _host() -> str:
    return urlsplit(config.resilience_public_url).hostname or "localhost"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
