from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakers.runtime.variables import (
    Boolean,
    ClientVariables,
    ConfigError,
    Integer,
    Number,
    Section,
    Table,
)
from resilience_site.config import SiteConfig
from resilience_site.config.kinds import mask_url

ROOT = Path(__file__).resolve().parents[2]


def site(tmp_path: Path, **environ: str) -> SiteConfig:
    return SiteConfig({"RESILIENCE_STATE_DIR": str(tmp_path), **environ})


def test_endpoints_are_hosts_with_ports(tmp_path: Path) -> None:
    table = site(
        tmp_path, RESILIENCE_CONNECTIVITY_TARGETS="10.0.0.1:53, [fd00::1]:443,dns.example:53"
    )
    assert table.resilience_connectivity_targets == [
        ("10.0.0.1", 53),
        ("fd00::1", 443),
        ("dns.example", 53),
    ]


@pytest.mark.parametrize(
    "text", ["10.0.0.1", "host:", ":53", "host:0", "host:99999", "a:1/x", "u@a:1"]
)
def test_endpoints_that_are_none_stop_the_start(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="host:port"):
        _ = site(tmp_path, RESILIENCE_CONNECTIVITY_TARGETS=text).resilience_connectivity_targets


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"HOST": "0.0.0.0", "PORT": "80"}, "http://localhost:80"),
        ({"HOST": "::1"}, "http://[::1]:8000"),
        ({"RESILIENCE_PUBLIC_URL": "https://ops.example.com/"}, "https://ops.example.com"),
    ],
)
def test_the_public_url_follows_where_the_site_listens(
    tmp_path: Path, environ: dict[str, str], url: str
) -> None:
    assert site(tmp_path, **environ).resilience_public_url == url


@pytest.mark.parametrize(
    "text", ["ops.example.com", "https://u:p@ops", "https://ops/path", "ftp://ops", "https://ops:0"]
)
def test_a_public_url_that_is_no_origin_stops_the_start(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="an origin like"):
        _ = site(tmp_path, RESILIENCE_PUBLIC_URL=text).resilience_public_url


@pytest.mark.parametrize("text", ["true", "TRUE", "1", "yes", "On"])
def test_words_for_true(text: str) -> None:
    assert ClientVariables({"RETRY_ENABLED": text}).retry_enabled is True


@pytest.mark.parametrize("text", ["false", "False", "0", "no", "OFF"])
def test_words_for_false(text: str) -> None:
    assert ClientVariables({"RETRY_ENABLED": text}).retry_enabled is False


def test_empty_counts_as_unset() -> None:
    table = ClientVariables({"RETRY_MAX_ATTEMPTS": "  "})
    assert table.retry_max_attempts == 3
    assert not table.is_set("RETRY_MAX_ATTEMPTS")
    assert table.source("RETRY_MAX_ATTEMPTS") == "default"


def test_whether_a_value_was_chosen_is_visible_even_when_it_equals_the_default() -> None:
    table = ClientVariables({"RETRY_MAX_ATTEMPTS": "3"})
    assert table.is_set("RETRY_MAX_ATTEMPTS")
    assert table.source("RETRY_MAX_ATTEMPTS") == "environment"


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("RETRY_MAX_ATTEMPTS", "0", "a whole number, 1 or more"),
        ("RETRY_MAX_ATTEMPTS", "1_0", "a whole number"),
        ("RETRY_MAX_ATTEMPTS", "٣", "a whole number"),
        ("RETRY_ENABLED", "maybe", "true or false"),
        ("REDIS_TIMEOUT_SECONDS", "nan", "a number greater than 0"),
        ("REDIS_TIMEOUT_SECONDS", "-1", "a number greater than 0"),
        ("PORT", "65536", "a whole number from 1 to 65535"),
        ("DATABASE_URL", "mysql://h/db", "postgres://"),
        ("DATABASE_URL", "postgres://h:port/db", "postgres://"),
        ("DEMO_SCENARIO", "wild", "on or off"),
        ("ERROR_RETENTION_DAYS", "0", "a whole number from 1 to 3650"),
        ("RESILIENCE_CSRF_ORIGINS", "example.com", "https://"),
        ("RESILIENCE_ALLOWED_HOSTS", "https://example.com", "host names"),
        ("RESILIENCE_STATE_DIR", "/dev/null", "a folder"),
    ],
)
def test_a_wrong_value_is_refused_in_one_sentence(name: str, value: str, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SiteConfig({name: value}).check()
    sentence = str(caught.value)
    assert sentence.startswith(f"{name} is {value!r}, but must be ")
    assert allowed in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_a_wrong_secret_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        SiteConfig({"SECRET_KEY": "too-short"}).check()
    assert "too-short" not in str(caught.value)


def test_a_wrong_url_hides_its_password() -> None:
    with pytest.raises(ConfigError) as caught:
        SiteConfig({"REDIS_URL": "http://:hunter2@host"}).check()
    assert "hunter2" not in str(caught.value)


@given(
    user=st.text("abcxyz0-9", max_size=8),
    password=st.text("abc:/?#%@_-", min_size=1).map(lambda text: "pw" + text + "pw"),
    query=st.booleans(),
)
def test_masking_leaves_no_password(user: str, password: str, query: bool) -> None:
    host = "host:5432/db?sslmode=require"
    url = f"postgres://{user}:{password}@{host}"
    masked = mask_url(url + ("&password=pwpwpw" if query else ""))
    assert "pw" not in masked
    assert "host:5432/db?sslmode=require" in masked


def test_a_url_without_password_is_shown_whole() -> None:
    assert mask_url("postgres://postgres@/site?host=/run/pg") == (
        "postgres://postgres@/site?host=/run/pg"
    )
    assert mask_url("redis://127.0.0.1:6379/0") == "redis://127.0.0.1:6379/0"


@given(st.integers(min_value=1, max_value=10**17))
def test_whole_numbers_are_read_back(value: int) -> None:
    assert Integer(1).parse(str(value)) == value


@given(st.floats(min_value=0, allow_infinity=False, exclude_min=True))
def test_numbers_are_read_back(value: float) -> None:
    assert Number(positive=True).parse(repr(value)) == value


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for kind in (Boolean(), Integer(), Number()):
        try:
            kind.parse(text)
        except ValueError:
            continue


def test_ports_of_the_demo_follow_the_site(tmp_path: Path) -> None:
    table = site(tmp_path, PORT="9100")
    assert (table.planner_mcp_port, table.graph_sim_port) == (9101, 9102)
    highest = site(tmp_path, PORT="65535")
    assert len({highest.port, highest.planner_mcp_port, highest.graph_sim_port}) == 3
    assert site(tmp_path, PORT="9100", GRAPH_SIM_PORT="7000").graph_sim_port == 7000


def test_a_site_on_loopback_answers_to_loopback_only(tmp_path: Path) -> None:
    assert "*" not in site(tmp_path).resilience_allowed_hosts
    assert site(tmp_path, HOST="0.0.0.0").resilience_allowed_hosts == ["*"]
    named = site(tmp_path, HOST="0.0.0.0", RESILIENCE_ALLOWED_HOSTS="a.example, b.example")
    assert named.resilience_allowed_hosts == ["a.example", "b.example"]


def test_the_broker_follows_redis(tmp_path: Path) -> None:
    assert site(tmp_path, REDIS_URL="redis://h/1").celery_broker_url == "redis://h/1"
    other = site(tmp_path, REDIS_URL="redis://h/1", CELERY_BROKER_URL="amqp://q")
    assert other.celery_broker_url == "amqp://q"


def test_override_lasts_for_its_block(tmp_path: Path) -> None:
    table = site(tmp_path, ERROR_RETENTION_DAYS="7")
    with table.override(error_retention_days=1):
        assert table.error_retention_days == 1
        assert table.is_set("ERROR_RETENTION_DAYS")
        with table.override(error_correlation_enabled=False):
            assert table.error_retention_days == 1
    assert table.error_retention_days == 7
    with pytest.raises(AttributeError), table.override(no_such_variable=1):
        pass


@pytest.mark.parametrize("looked_at_before", [False, True])
def test_what_follows_from_an_overridden_value_lasts_for_its_block(
    tmp_path: Path, looked_at_before: bool
) -> None:
    table = site(tmp_path)
    if looked_at_before:
        assert table.resilience_mail_from == "resilience@127.0.0.1"
    with table.override(resilience_public_url="https://status.example.com"):
        assert table.resilience_mail_from == "resilience@status.example.com"
    assert table.resilience_mail_from == "resilience@127.0.0.1"


def test_misspelt_names_are_noticed(tmp_path: Path) -> None:
    suspects = site(
        tmp_path,
        CIRCUIT_BREAKER_TRESHOLD="3",
        RETRY_MAX_ATTEMPT="2",
        RESILIENCE_CHECK_CONCURENCY="9",
        RESILIENCE_HEALING_UNIT="a.service",
        # What a target of a check, or of healing, names.
        RESILIENCE_CHECK_PG="postgres://db/",
        RESILIENCE_HEALING_HOST="box",
        DATABASE_HOST="db",
        HOSTNAME="box",
        PATH="/bin",
    ).suspects()
    assert [name for name, _ in suspects] == [
        "CIRCUIT_BREAKER_TRESHOLD",
        "RESILIENCE_CHECK_CONCURENCY",
        "RESILIENCE_HEALING_UNIT",
        "RETRY_MAX_ATTEMPT",
    ]
    assert dict(suspects)["RETRY_MAX_ATTEMPT"] == "RETRY_MAX_ATTEMPTS"


def test_defaults_are_allowed_values(tmp_path: Path) -> None:
    table = site(tmp_path)
    for name, variable in table.variables().items():
        value = table.effective(name).value
        if isinstance(value, bool):
            assert variable.parse(str(value)) is value
        elif isinstance(value, (int, float)):
            assert variable.parse(repr(value)) == value


def test_every_variable_has_one_line_of_help(tmp_path: Path) -> None:
    for name, variable in site(tmp_path).variables().items():
        assert variable.help.strip(), name
        assert "\n" not in variable.help, name
        assert not variable.help.endswith("."), name


def test_variables_of_one_table_come_in_the_order_of_declaration() -> None:
    section = Section("Test", owner="test")

    class Base(Table):
        first = section.boolean(True, "First")

    class Derived(Base):
        second = section.integer(1, "Second")

    assert list(Derived.variables()) == ["FIRST", "SECOND"]


# --- Kept values -----------------------------------------------------------------------------


def test_secrets_are_generated_once_and_kept(tmp_path: Path) -> None:
    first = site(tmp_path / "state")
    made = first.generate_secrets()
    assert set(made) == {
        "SECRET_KEY",
        "RESILIENCE_ADMIN_PASSWORD",
        "RESILIENCE_INGEST_KEY",
        "RESILIENCE_OPERATOR_KEY",
    }
    later = site(tmp_path / "state")
    assert later.generate_secrets() == {}
    assert later.secret_key == first.secret_key == made["SECRET_KEY"]
    assert later.source("SECRET_KEY") == "state directory"
    assert (tmp_path / "state" / "kept.json").stat().st_mode & 0o077 == 0


def test_a_secret_of_the_environment_is_neither_generated_nor_kept(tmp_path: Path) -> None:
    table = site(tmp_path, SECRET_KEY="chosen-by-the-operator")
    assert "SECRET_KEY" not in table.generate_secrets()
    assert "chosen-by-the-operator" not in (tmp_path / "kept.json").read_text()
    assert table.source("SECRET_KEY") == "environment"


def test_asking_for_one_secret_makes_no_other(tmp_path: Path) -> None:
    assert len(site(tmp_path).secret_key) >= 32
    assert list(json.loads((tmp_path / "kept.json").read_text())) == ["SECRET_KEY"]


def test_processes_that_start_together_agree_on_the_secret(tmp_path: Path) -> None:
    code = "from resilience_site.config import config; print(config.secret_key)"
    environ = {"RESILIENCE_STATE_DIR": str(tmp_path / "state"), "PATH": "/usr/bin:/bin"}
    running = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environ, stdout=-1, text=True)
        for _ in range(4)
    ]
    assert len({each.communicate(timeout=120)[0] for each in running}) == 1


def test_addresses_of_embedded_engines_are_kept_and_forgotten(tmp_path: Path) -> None:
    table = site(tmp_path)
    assert table.database_url == ""
    table.keep(database_url="postgres:///embedded")
    assert table.database_url == "postgres:///embedded"
    assert site(tmp_path).source("DATABASE_URL") == "state directory"
    assert not site(tmp_path).is_set("DATABASE_URL")
    assert site(tmp_path, DATABASE_URL="postgres://other/db").database_url == "postgres://other/db"
    table.keep(database_url=None)
    assert site(tmp_path).database_url == ""


def test_the_broker_follows_an_address_that_is_kept(tmp_path: Path) -> None:
    table = site(tmp_path)
    before = table.celery_broker_url
    table.keep(redis_url="redis://embedded/0")
    assert table.celery_broker_url == "redis://embedded/0" != before


def test_a_damaged_state_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text("{")
    with pytest.raises(ConfigError, match=r"kept\.json"):
        _ = site(tmp_path).secret_key


# --- Commands --------------------------------------------------------------------------------


def manage(tmp_path: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={"RESILIENCE_STATE_DIR": str(tmp_path), "PATH": "/usr/bin:/bin", **environ},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def test_config_prints_values_sources_and_help_and_hides_secrets(tmp_path: Path) -> None:
    done = manage(
        tmp_path,
        "config",
        PORT="9123",
        SECRET_KEY="a-secret-of-the-operator",
        DATABASE_URL="postgres://me:hunter2@db/site",
        CIRCUIT_BREAKER_TRESHOLD="3",
    )
    assert done.returncode == 0, done.stderr
    assert "  PORT=9123  (environment)\n      Port that the site listens on\n" in done.stdout
    assert "  RETRY_MAX_ATTEMPTS=3  (default)" in done.stdout
    assert "\nCircuit breaker\n" in "\n" + done.stdout
    assert "hunter2" not in done.stdout
    assert "a-secret-of-the-operator" not in done.stdout
    assert "postgres://me:***@db/site" in done.stdout
    assert "CIRCUIT_BREAKER_TRESHOLD is set but unknown" in done.stderr


def test_looking_at_the_configuration_makes_no_secret(tmp_path: Path) -> None:
    done = manage(tmp_path, "config", SECRET_KEY="a-secret-of-the-operator")
    assert "RESILIENCE_INGEST_KEY=(made at first use)  (default)" in done.stdout
    assert not (tmp_path / "kept.json").exists()


def test_config_as_json(tmp_path: Path) -> None:
    rows = json.loads(manage(tmp_path, "config", "--json", PORT="9123").stdout)
    by_name = {row["name"]: row for row in rows}
    assert by_name["PORT"]["value"] == "9123"
    assert by_name["PORT"]["source"] == "environment"
    assert set(by_name) == set(SiteConfig.variables())
    assert by_name["SECRET_KEY"]["value"] == "********"


def test_a_wrong_value_stops_the_start_with_one_sentence(tmp_path: Path) -> None:
    done = manage(tmp_path, "check", PORT="eighty")
    assert done.returncode == 2
    assert done.stderr == "PORT is 'eighty', but must be a whole number from 1 to 65535.\n"
