"""Secrets of checks: they are shown to nobody, and go nowhere but where they were entered for."""

from __future__ import annotations

import pytest

from health.models import Check
from health.prober.probes import probe_of
from health.prober.running import Probe
from health.services.masks import mask_url
from resilience_site.core.problems import Invalid
from tests.effort import growth
from tests.health.scenes import check_secrets, make, update

pytestmark = pytest.mark.django_db
SECRET = "w0rth-st3aling"


@pytest.mark.parametrize(
    "name",
    ["X-Amz-Signature", "X-Amz-Credential", "access_key", "subscription-key", "sas", "code", "auth",
     "client_key", "jwt", "token2", "session"],
)  # fmt: skip
def test_the_names_by_which_services_call_their_keys_are_known(name: str) -> None:
    assert mask_url(f"https://h.invalid/x?a=1&{name}={SECRET}&b=2") == (
        f"https://h.invalid/x?a=1&{name}=***&b=2"
    )


def test_masking_takes_no_square_of_the_number_of_secrets() -> None:
    few, many = ("http://h.invalid/?" + "&key=a" * count for count in (10_000, 40_000))
    assert mask_url(many).count("***") == 40_000
    assert growth(lambda: mask_url(few), lambda: mask_url(many)) < 10


HTTP = {"url": "https://h.invalid/x", "headers": {"X-Key": SECRET}}
POSTGRES = {"dsn": f"postgresql://u:{SECRET}@h.invalid/x?sslmode=verify-full"}
REDIS = {"url": f"rediss://u:{SECRET}@h.invalid/0"}


@pytest.mark.parametrize(
    ("kind", "target", "change"),
    [
        ("http", HTTP, {"url": "https://h.invalid:8443/x"}),
        ("http", HTTP, {"url": "http://h.invalid:443/x"}),
        ("http", HTTP, {"verify_tls": False}),
        ("postgres", POSTGRES, {"dsn": "postgresql://u:***@h.invalid:5433/x?sslmode=verify-full"}),
        ("postgres", POSTGRES, {"dsn": "postgresql://u:***@h.invalid/x?sslmode=disable"}),
        ("postgres", POSTGRES, {"dsn": "postgresql://u:***@h.invalid/x"}),
        ("redis", REDIS, {"url": "redis://u:***@h.invalid/0"}),
        ("redis", REDIS, {"url": "rediss://u:***@h.invalid/0?ssl_cert_reqs=none"}),
        ("celery", {"broker_url": REDIS["url"]}, {"broker_url": "redis://u:***@h.invalid/0"}),
    ],
)
def test_a_kept_secret_goes_to_no_other_port_and_by_no_weaker_way(
    kind: str, target: dict[str, object], change: dict[str, object]
) -> None:
    check = make("kept", kind=kind, target=target)
    with pytest.raises(Invalid, match="entered again"):
        update(check, target={**check.target, **change})


@pytest.mark.parametrize(
    ("kind", "target", "change"),
    [
        ("http", HTTP, {"url": "https://h.invalid/y", "method": "POST"}),
        ("http", {**HTTP, "verify_tls": False}, {"verify_tls": True}),
        ("postgres", POSTGRES, {"dsn": "postgresql://u:***@h.invalid/y?sslmode=verify-full"}),
        ("redis", REDIS, {"url": "rediss://u:***@h.invalid/1"}),
        ("http", {**HTTP, "url": "http://h.invalid:443/x"}, {"url": "https://h.invalid/x"}),
    ],
)
def test_what_does_not_weaken_the_way_keeps_the_secret(
    kind: str, target: dict[str, object], change: dict[str, object]
) -> None:
    check = make("kept", kind=kind, target=target)
    assert SECRET in check_secrets(update(check, target={**check.target, **change}))


def test_a_variable_is_masked_wherever_it_is_put_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESILIENCE_CHECK_SECRET", SECRET)
    check = make(
        "echo", kind="http",
        target={"url": "https://h.invalid/", "keyword": "${RESILIENCE_CHECK_SECRET}"},
    )  # fmt: skip
    probe = probe_of(Check.objects.get(id=check.id))
    assert isinstance(probe, Probe)
    assert SECRET not in probe.clean(f"The body does not contain “{SECRET}”")


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("http", {"url": "https://h.invalid/", "status": "${RESILIENCE_CHECK_SECRET}"}),
        ("dns", {"name": "h.invalid", "values": ["${RESILIENCE_CHECK_SECRET}"]}),
        ("http", {"url": "https://h.invalid/", "json_path": "$.${RESILIENCE_CHECK_SECRET}["}),
    ],
)
def test_a_refusal_does_not_tell_a_variable(
    kind: str, target: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESILIENCE_CHECK_SECRET", SECRET)
    with pytest.raises(Invalid) as caught:
        make("echo", kind=kind, target=target)
    assert SECRET not in f"{caught.value.detail} {caught.value.errors}"


def test_the_host_of_a_variable_may_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESILIENCE_CHECK_HOST", "db.h.invalid")
    check = make("db", kind="tcp", target={"host": "${RESILIENCE_CHECK_HOST}", "port": 80})
    assert check_secrets(check) == frozenset()
