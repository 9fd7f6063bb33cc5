"""Targets of checks: what they may call, and how their secrets are kept."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from health.models import Check
from health.services import hosts
from health.services.checks import check_options
from health.services.masks import mask, mask_url, unmask
from resilience_site.config import config
from resilience_site.core.problems import Invalid
from tests.health.scenes import SECRET, SampleCheck, check_secrets, field_of, make, refused, update

pytestmark = pytest.mark.django_db


# --- Forbidden addresses


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "0xa9fea9fe", "2852039166", "[::ffff:169.254.169.254]", "[fe80::1]",
     "[fd00:ec2::254]", "100.100.100.200", "0.0.0.0", "metadata.google.internal"],
)  # fmt: skip
@pytest.mark.parametrize("allow_private", [False, True])
def test_metadata_and_link_local_addresses_are_refused_always(
    host: str, allow_private: bool
) -> None:
    with config.override(resilience_allow_private_targets=allow_private):
        problem = refused(target={"url": f"http://{host}/"})
    assert field_of(problem) == "target"
    assert "never calls" in problem.detail or "host" in problem.detail


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "[::1]", "localhost"])
def test_private_addresses_are_allowed_by_setting_only(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "PATIENCE", 60.0)
    target = {"url": f"http://{host}/"}
    with config.override(resilience_allow_private_targets=False):
        assert "RESILIENCE_ALLOW_PRIVATE_TARGETS" in refused(target=target).detail
    with config.override(resilience_allow_private_targets=True):
        make("pg", target=target)


def test_a_name_that_does_not_resolve_is_accepted() -> None:
    make("pg", target={"url": "http://nowhere.invalid/"})


def test_an_update_is_judged_as_well() -> None:
    check = make("pg")
    with pytest.raises(Invalid, match="metadata"):
        update(check, target={"url": "http://169.254.169.254/"})


# --- Secrets


def test_secrets_are_masked_for_people_and_whole_for_the_prober() -> None:
    check = make("pg", target=SECRET)
    assert check.target == {
        "url": "http://user:***@nowhere.invalid/x?token=***&page=2",
        "key": "***",
        "headers": {"Authorization": "***"},
    }
    stored = Check.objects.get(name="pg")
    assert "secret" not in f"{stored.target} {stored.sealed_target}"
    options = check_options(stored)
    assert options.url == SECRET["url"]
    assert options.headers == SECRET["headers"]
    assert {"key-secret", "Bearer header-secret", "p%40ss-word", "p@ss-word", "query-secret"} == (
        check_secrets(stored)
    )


def test_an_update_with_masks_keeps_the_former_secrets() -> None:
    check = make("pg", target=SECRET)
    update(check, target={**check.target, "count": 3})
    options = check_options(Check.objects.get(name="pg"))
    assert (options.count, options.key, options.url) == (3, "key-secret", SECRET["url"])
    assert options.headers == SECRET["headers"]


def test_masks_stay_with_their_secrets_when_the_rest_of_a_url_changes() -> None:
    check = make("pg", target=SECRET)
    update(check, target={"url": "http://user:***@nowhere.invalid/y?token=***"})
    found = check_options(Check.objects.get(name="pg")).url
    assert found == "http://user:p%40ss-word@nowhere.invalid/y?token=query-secret"


def test_a_kept_secret_never_goes_to_another_host() -> None:
    check = make("pg", target=SECRET)
    for target in (
        {**check.target, "url": "http://evil.invalid/"},
        {**check.target, "url": "http://user:***@evil.invalid/x?token=***&page=2"},
    ):
        with pytest.raises(Invalid, match="entered again"):
            update(check, target=target)
    update(check, target={"url": "http://other.invalid/", "key": "another"})


def test_a_variable_is_put_in_when_the_check_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    target = {"url": "http://u:${RESILIENCE_CHECK_PW}@nowhere.invalid/"}
    check = make("pg", target=target)
    assert check.target == target
    monkeypatch.setenv("RESILIENCE_CHECK_PW", "from-the-environment")
    stored = Check.objects.get(name="pg")
    assert check_options(stored).url == "http://u:from-the-environment@nowhere.invalid/"
    assert check_secrets(stored) == {"from-the-environment"}


def test_a_check_that_was_sealed_with_another_key_asks_for_its_secrets_again() -> None:
    check = make("pg", target=SECRET)
    Check.objects.update(sealed_target="gAAAAA")
    assert update(check, failures_to_down=5).failures_to_down == 5
    with pytest.raises(Invalid, match="no former secret to keep"):
        update(check, target=check.target)
    update(check, target=SECRET)
    assert check_options(Check.objects.get()).key == "key-secret"


# --- Masks, whatever the secret

SECRETS = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=6, max_size=20
).filter(lambda text: "***" not in text and "${" not in text)
ESCAPED = SECRETS.map(lambda text: quote(text, safe=""))
PLACES = st.sampled_from(
    [
        "postgres://app:{}@db.invalid:5432/plans",
        "redis://:{}@cache.invalid/0",
        "https://u:{}@api.invalid/a/b?page=1#top",
        "https://api.invalid/?token={}&page=1",
        "https://api.invalid/?page=1&api_key={}",
        "postgres://db.invalid/plans?sslmode=require&password={}",
    ]
)


@given(PLACES, ESCAPED)
def test_a_masked_url_hides_its_secret_and_gets_it_back(place: str, secret: str) -> None:
    kind, url = SampleCheck(), place.format(secret)
    shown = mask(kind, {"url": url})
    assert shown == {"url": place.format("***")}
    assert unmask(kind, shown, {"url": url}) == {"url": url}


# Digits before one of these are the port of a URL that has no user.
@given(SECRETS.filter(lambda text: not re.match("[0-9]+[/?#]", text)))
def test_a_secret_that_should_have_been_escaped_is_hidden_all_the_same(secret: str) -> None:
    url = f"postgres://app:{secret}@db.invalid/plans"
    shown = mask_url(url)
    assert secret not in shown.removeprefix("postgres://app:").removesuffix("@db.invalid/plans")
    assert shown.startswith("postgres://app:***@")
    assert unmask(SampleCheck(), {"url": shown}, {"url": url}) == {"url": url}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("host=db password=secret1 dbname=x", "host=db password=*** dbname=x"),
        ("password='a \\' b' host=db", "password=*** host=db"),
        ("https://api.invalid:8443/users/@me", "https://api.invalid:8443/users/@me"),
        ("https://api.invalid/?page=1", "https://api.invalid/?page=1"),
        ("amqp://guest@mq.invalid/", "amqp://guest@mq.invalid/"),
    ],
)
def test_only_secrets_are_masked(text: str, shown: str) -> None:
    assert mask_url(text) == shown
