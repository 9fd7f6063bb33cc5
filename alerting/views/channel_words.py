"""What kinds of channels and their options are called in forms, and what they mean."""

from __future__ import annotations

from typing import Final

from health.views.option_words import Words

KIND_WORDS: Final = {
    "email": "Mails with text and HTML, by the site's mail server or another one.",
    "webhook": "JSON to a URL of yours, signed by Standard Webhooks; receivers of Alertmanager can "
    "read it.",
    "slack": "A card in a channel, by an incoming webhook; Mattermost takes the same.",
    "teams": "An adaptive card in a channel, by a workflow that waits for a webhook request.",
    "pagerduty": "Opens and resolves alerts by Events API v2.",
    "apprise": "Over a hundred other services, by a URL of the library Apprise.",
}

_SECRET: Final = "Stored encrypted and shown as ***."  # noqa: S105
_CA: Final = Words(
    "Authorities (PEM)", "Trusted in place of the system's certificate authorities.", long=True
)
_WORDS: Final[dict[str, dict[str, Words]]] = {
    "email": {
        "to": Words("To", "Addresses, one a line; each sees the others.", long=True),
        "sender": Words("From", "Empty: RESILIENCE_MAIL_FROM."),
        "smtp_url": Words(
            "Mail server",
            "Empty: RESILIENCE_SMTP_URL. As in smtp://user:password@mail.example.com:587; the "
            "password is stored encrypted and sent over TLS only.",
        ),
        "ca": _CA,
    },
    "webhook": {
        "url": Words("URL", "What is posted there is signed; redirects are not followed."),
        "secret": Words(
            "Secret",
            "whsec_ and Base64. Empty: one is made, and shown once. Stored encrypted.",
        ),
        "previous_secret": Words("Former secret", f"Signs beside the secret for a while. {_SECRET}"),
        "previous_until": Words("Former secret until", "ISO 8601 with a zone."),
        "headers": Words("Headers", "One a line, as in “Name: value”. Values are stored encrypted.",
                         long=True),
        "ca": _CA,
    },
    "slack": {"url": Words("Webhook URL", _SECRET), "ca": _CA},
    "teams": {"url": Words("Workflow URL", _SECRET), "ca": _CA},
    "pagerduty": {
        "routing_key": Words("Integration key", f"32 characters, of Events API v2. {_SECRET}"),
        "url": Words("URL", "Another one for another region: https://events.eu.pagerduty.com/v2/enqueue"),
        "ca": _CA,
    },
    "apprise": {"url": Words("Apprise URL", f"As in discord://… {_SECRET}")},
}  # fmt: skip


def words_of(kind: str, option: str) -> Words:
    """The words of an option."""
    return _WORDS[kind][option]
