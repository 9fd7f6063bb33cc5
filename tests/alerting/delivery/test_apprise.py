"""Apprise in its own process, against a real receiver."""

from __future__ import annotations

import random

import pytest

from alerting.channels import kind_named
from alerting.models import Channel, Delivery
from alerting.services.sending import deliveries_send
from alerting.services.targets import kind_required, target_read
from resilience_site.config import config
from resilience_site.core.problems import Invalid
from tests.alerting.delivery.receivers import Answer, Receiver
from tests.alerting.delivery.scene import NOW, channel, enqueue, message


@pytest.fixture(autouse=True)
def time_to_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that loads a large library begins slowly on a busy machine."""
    monkeypatch.setattr("alerting.channels.apprise.ATTEMPT_SECONDS", 60.0)
    monkeypatch.setattr("alerting.channels.apprise._CHECK_SECONDS", 60.0)
    monkeypatch.setattr("alerting.services.sending.attempts.ATTEMPT_SECONDS", 60.0)


def send(*to: Channel) -> list[Delivery]:
    """Side by side, as each begins a process."""
    made = [enqueue(each) for each in to]
    deliveries_send(now=NOW, rng=random.Random(1))
    return [Delivery.objects.get(pk=each.pk) for each in made]


def url(receiver: Receiver, path: str = "") -> str:
    return receiver.url.replace("http://", "json://") + path


def test_apprise_sends_and_what_it_is_answered_decides(receiver: Receiver) -> None:
    receiver.answers = [Answer(200)]
    (good,) = send(channel("apprise", {"url": url(receiver, "/a-secret-path")}))
    assert good.state == "delivered", good.last_error
    body = receiver.received[0].document
    assert body["title"] == message().title
    assert message().text in body["message"]
    assert "a-secret-path" not in str(good.tries.get().request)
    receiver.answers = [Answer(404, (("Location", "http://127.0.0.1:9/"),))]
    (refused,) = send(channel("apprise", {"url": url(receiver)}))
    assert (refused.state, refused.tries.get().status) == ("failed", 404)


def test_apprise_connects_to_judged_addresses_alone(receiver: Receiver) -> None:
    with config.override(resilience_allow_private_targets=False):
        hidden, local = send(
            channel("apprise", {"url": url(receiver)}), channel("apprise", {"url": "syslog://"})
        )
    assert receiver.received == []
    assert (hidden.state, local.state) == ("failed", "failed")
    assert "RESILIENCE_ALLOW_PRIVATE_TARGETS" in hidden.last_error
    assert "may not use syslog" in local.last_error


def test_an_url_that_apprise_does_not_know_is_refused_at_save() -> None:
    kind = kind_required("apprise")
    with pytest.raises(Invalid) as refused:
        target_read(kind, {"url": "nosuchservice://a/b"})
    assert refused.value.errors[0].field == "target.url"


def test_without_the_extra_the_kind_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    kind = kind_named("apprise")
    assert kind is not None
    assert "requirements/apprise.txt" in kind.missing()
    with pytest.raises(Invalid, match="Install it first"):
        kind_required("apprise")
