"""Every variable of the site: the client's, the rest of the resilience story's, and its own."""

from __future__ import annotations

import difflib
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from breakers.runtime.variables import (
    CORRELATION,
    DEFAULT,
    ClientVariables,
    Effective,
    Integer,
    Number,
    Section,
    Variable,
)
from resilience_site.config import kept
from resilience_site.config.kinds import (
    Choice,
    Endpoints,
    Folder,
    Names,
    Origin,
    Origins,
    Prefixes,
    Text,
    Units,
    Url,
)

# What targets of checks and of healing name is anybody's; how like a known name it is before it
# looks misspelt.
_NAMED_BY_TARGETS = ("RESILIENCE_CHECK_", "RESILIENCE_HEALING_")
_ALL_BUT = 0.9

ROOT = Path(__file__).resolve().parent.parent.parent
STATE_DIRECTORY = "state directory"

HEALING = Section("Self-healing", owner="healing")
HEALTH = Section("Health checks", owner="health")
RECOVERY = Section("Health checks", owner="healing")
RETENTION = Section("Error analytics", owner="first-light")
ANALYTICS = Section("Error analytics", owner="analytics")
ALERTING = Section("Error analytics", owner="alerts")
SITE = Section("Site", owner="first-light")
ENGINES = Section("Engines", owner="first-light")
SECRETS = Section("Secrets", owner="first-light")
LIMITS = Section("Limits", owner="first-light")
DEMO = Section("Demo", owner="first-light")

PORTS = Integer(1, 65535)
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _names(default: int, what: str) -> Variable[int]:
    return LIMITS.integer(
        default, f"{what} kept apart; further ones are counted together", minimum=1
    )


def _port_beside(offset: int) -> Callable[[Any], int]:
    def beside(table: SiteConfig) -> int:
        return table.port + offset if table.port + offset <= 65535 else table.port - offset

    return beside


def _allowed_hosts(table: SiteConfig) -> list[str]:
    # A site bound to loopback answers only to loopback's names, against DNS rebinding.
    return ["localhost", "127.0.0.1", "[::1]"] if table.host in LOOPBACK else ["*"]


def _public_url(table: SiteConfig) -> str:
    # A site that listens everywhere is reached by this machine's own name for itself.
    host = "localhost" if table.host in ("0.0.0.0", "::") else table.host  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{table.port}"


class SiteConfig(ClientVariables):
    """The effective configuration; attributes are the variables' names in lower case."""

    distributed_tracing_enabled = CORRELATION.boolean(
        True, "Whether the site traces its own requests, tasks and queries"
    )
    error_pattern_analysis_enabled = CORRELATION.boolean(
        True, "Whether errors are grouped into patterns"
    )

    self_healing_enabled = HEALING.boolean(True, "Whether healing workflows may run")
    auto_restart_enabled = HEALING.boolean(True, "Whether healing may restart services")
    connection_pool_healing_enabled = HEALING.boolean(
        True, "Whether healing may rebuild connection pools"
    )
    cache_warming_on_failure = HEALING.boolean(True, "Whether healing may refill a lost cache")
    healing_verification_timeout = HEALING.number(
        300.0, "Seconds within which a healing run must prove its effect"
    )
    resilience_healing_units = HEALING.variable(
        Units(),
        lambda _: [],
        "Services of systemd that healing may restart, whatever a workflow says (default: none)",
    )

    health_checks_enabled = HEALTH.boolean(True, "Whether health checks run")
    deep_health_checks_enabled = HEALTH.boolean(
        True, "Whether checks also exercise dependencies, not only reach them"
    )
    health_check_interval_seconds = HEALTH.number(30.0, "Seconds between two runs of a check")
    health_check_timeout_seconds = HEALTH.number(10.0, "Seconds after which a check has failed")
    automated_recovery_enabled = RECOVERY.boolean(
        True, "Whether a failed check may start a healing workflow by itself"
    )

    error_analytics_enabled = ANALYTICS.boolean(True, "Whether errors are analysed at all")
    predictive_failure_detection = ANALYTICS.boolean(True, "Whether failures are predicted")
    error_trend_analysis = ANALYTICS.boolean(True, "Whether error trends are computed")
    proactive_alerting_enabled = ALERTING.boolean(True, "Whether alerts are sent")
    error_retention_days = RETENTION.integer(
        30, "Days that errors are kept; older ones are refused and dropped", minimum=1, maximum=3650
    )

    resilience_pattern_new_hours = RETENTION.variable(
        Number(minimum=0.01, maximum=8760.0),
        24.0,
        "Hours after which a pattern of errors is no longer new but ongoing",
    )
    resilience_in_app_include = RETENTION.variable(
        Prefixes(),
        lambda _: [],
        "Beginnings of modules or folders whose frames count as a service's own code, though "
        "they look like a library's",
    )
    resilience_in_app_exclude = RETENTION.variable(
        Prefixes(),
        lambda _: [],
        "Beginnings of modules or folders whose frames do not count as a service's own code",
    )

    host = SITE.variable(Text(), "127.0.0.1", "Address that the site listens on")
    port = SITE.variable(PORTS, 8000, "Port that the site listens on")
    resilience_state_dir = SITE.variable(
        Folder(), ROOT / "var", "Folder of everything the site keeps outside its database"
    )
    resilience_web_processes = SITE.integer(2, "Web processes", minimum=1, maximum=64)
    resilience_allowed_hosts = SITE.variable(
        Names(),
        _allowed_hosts,
        "Host names that the site answers to (default: loopback's, or any where HOST is not loopback)",
    )
    resilience_csrf_origins = SITE.variable(
        Origins(),
        lambda _: [],
        "Origins that may post forms, when a proxy changes the host or scheme",
    )
    resilience_https = SITE.boolean(
        False, "Whether people reach the site by HTTPS, through a proxy that sets X-Forwarded-Proto"
    )
    resilience_metrics_public = SITE.boolean(
        True, "Whether /metrics is open; otherwise it asks for a key with scope read"
    )
    resilience_allow_private_targets = SITE.boolean(
        False, "Whether checks and webhooks may call loopback and private addresses"
    )
    resilience_web_stands_in = SITE.boolean(
        True,
        "Whether web processes watch the site itself, and evaluate and send alerts while no worker "
        "does",
    )
    resilience_public_url = SITE.variable(
        Origin(),
        _public_url,
        "Where people and receivers of notifications reach the site (default: http://HOST:PORT)",
    )
    resilience_smtp_url = SITE.variable(
        Url(("smtp", "smtps")),
        "",
        "Mail server of channels that name none: smtp://user:password@host:587 (STARTTLS where "
        "offered) or smtps://; without it they cannot send",
    )
    resilience_mail_from = SITE.variable(
        Text(3),
        lambda table: f"resilience@{urlsplit(table.resilience_public_url).hostname}",
        "Sender of mail (default: resilience@ the host of RESILIENCE_PUBLIC_URL)",
    )
    resilience_inbound_alert_hours = SITE.integer(
        24,
        "Hours after which an alert of Alertmanager or Grafana that is not repeated ends; longer "
        "than their interval of repetition, which is 4 h as they come",
        minimum=1,
        maximum=2160,
    )
    resilience_check_result_retention_days = SITE.integer(
        7, "Days that single results of health checks are kept", minimum=1, maximum=400
    )
    resilience_availability_target = SITE.variable(
        Number(minimum=50.0, maximum=99.9999),
        99.9,
        "Percent of the measured time that a service has to be available",
    )
    resilience_check_concurrency = SITE.integer(
        500, "Health checks that one worker runs at the same time", minimum=1, maximum=10_000
    )
    resilience_check_per_host = SITE.integer(
        20, "Health checks that one worker runs at the same time against one host", minimum=1
    )
    resilience_connectivity_targets = SITE.variable(
        Endpoints(),
        lambda _: [],
        "Addresses host:port of which one must accept a connection, or else results of health "
        "checks are withheld (default: the name servers of this machine)",
    )

    database_url = ENGINES.variable(
        Url(("postgres", "postgresql")),
        "",
        "PostgreSQL of the site; an embedded one is started where unset",
        kept=True,
    )
    redis_url = ENGINES.variable(
        Url(("redis", "rediss", "unix")),
        "",
        "Redis or Valkey of the site; an embedded one is started where unset",
        kept=True,
    )
    celery_broker_url = ENGINES.variable(
        Url(("redis", "rediss", "unix", "amqp", "amqps")),
        lambda table: table.redis_url,
        "Broker of the background tasks (default: REDIS_URL)",
    )

    secret_key = SECRETS.variable(
        Text(16), "", "Signs sessions; generated and kept where unset", secret=True, kept=True
    )
    resilience_admin_password = SECRETS.variable(
        Text(8),
        "",
        "Password of the user admin; generated and kept where unset",
        secret=True,
        kept=True,
    )
    resilience_ingest_key = SECRETS.variable(
        Text(16),
        "",
        "Key with scope ingest; generated and kept where unset",
        secret=True,
        kept=True,
    )
    resilience_operator_key = SECRETS.variable(
        Text(16),
        "",
        "Key with scope operate; generated and kept where unset",
        secret=True,
        kept=True,
    )

    resilience_span_retention_hours = LIMITS.integer(
        72, "Hours that spans are kept", minimum=1, maximum=8760
    )
    resilience_outcome_retention_hours = LIMITS.integer(
        24, "Hours that recorded outcomes of calls are kept for replays", minimum=1, maximum=720
    )
    resilience_operator_override_seconds = LIMITS.integer(
        86_400,
        "Longest override, in seconds, that an operator may set; admins: 86400",
        minimum=60,
        maximum=86_400,
    )
    resilience_max_body_mib = LIMITS.integer(
        64,
        "Largest body of one telemetry request after decompression, MiB",
        minimum=1,
        maximum=1024,
    )
    resilience_max_operations = _names(500, "Operations of one service")
    resilience_max_peers = _names(500, "Addresses called by one service")
    resilience_max_log_templates = _names(2_000, "Log templates of one service")
    resilience_max_metric_series = _names(2_000, "Metric series of one service")
    resilience_max_metric_streams = _names(
        50_000, "Running totals (of a metric series and an instance) of one service"
    )
    resilience_max_versions = _names(1_000, "Versions of one service")

    planner_mcp_port = DEMO.variable(
        PORTS, _port_beside(1), "Port of the demo's planner MCP server (default: PORT+1)"
    )
    graph_sim_port = DEMO.variable(
        PORTS, _port_beside(2), "Port of the demo's Graph simulator (default: PORT+2)"
    )
    demo_scenario = DEMO.variable(
        Choice(("on", "off")), "on", "Whether the demo's driver walks through faults by itself"
    )

    def resolve_default(self, variable: Variable[Any]) -> Effective:
        if variable.kept:
            text = kept.read(self.resilience_state_dir).get(variable.name, "")
            if not text and variable.secret:
                self.generate_secrets(variable.name)
                text = kept.read(self.resilience_state_dir)[variable.name]
            if text:
                return Effective(variable.parse(text), STATE_DIRECTORY)
        return super().resolve_default(variable)

    def suspects(self) -> list[tuple[str, str]]:
        """As of any table; but targets may name any RESILIENCE_CHECK_ or RESILIENCE_HEALING_
        variable, so of those only what is all but a known name."""
        return [
            (name, near)
            for name, near in super().suspects()
            if not name.startswith(_NAMED_BY_TARGETS)
            or difflib.SequenceMatcher(None, name, near).ratio() > _ALL_BUT
        ]

    def generate_secrets(self, *names: str) -> dict[str, str]:
        """Make and keep those secrets, of `names` or of all, that nothing gives yet.

        Returns the ones made now, so that they can be shown this once.
        """
        missing = [
            name
            for name, variable in self.variables().items()
            if variable.secret and (not names or name in names) and not self._in_environment(name)
        ]
        made: dict[str, str] = {}

        def add_missing(known: dict[str, str]) -> dict[str, str]:
            made.update({name: _new_secret(name) for name in missing if not known.get(name)})
            return {**known, **made}

        if missing:
            kept.update(self.resilience_state_dir, add_missing)
        return made

    def keep(self, **values: str | None) -> None:
        """Keep values, by attribute name, for later starts and other terminals; None forgets one."""
        table = self.variables()
        named = {attribute.upper(): value for attribute, value in values.items()}
        for name in named:
            if not table[name].kept:
                raise AttributeError(name)
        kept.update(
            self.resilience_state_dir,
            lambda known: {k: v for k, v in {**known, **named}.items() if v is not None},
        )
        self._defaults.clear()

    def source(self, name: str) -> str:
        return DEFAULT if self._is_to_be_made(name) else super().source(name)

    def shown(self, name: str) -> str:
        """The value in use as text for people: secrets and passwords masked."""
        if self._is_to_be_made(name):
            return "(made at first use)"
        value = self.effective(name).value
        match value:
            case bool():
                text = str(value).lower()
            case float():
                text = f"{value:g}" if value < 1e6 else str(value)
            case list():
                text = ",".join(value)
            case _:
                text = str(value)
        return self.variables()[name].mask(text)

    def _is_to_be_made(self, name: str) -> bool:
        # Looking at the configuration makes no secret: whoever starts the site shows it once.
        return (
            self.variables()[name].secret
            and name not in self._overrides
            and not self._in_environment(name)
            and not kept.read(self.resilience_state_dir).get(name)
        )

    def _in_environment(self, name: str) -> bool:
        return bool(self._environ.get(name, "").strip())


def _new_secret(name: str) -> str:
    if name == "RESILIENCE_ADMIN_PASSWORD":
        return secrets.token_urlsafe(12)
    marker = {"RESILIENCE_INGEST_KEY": "rcp_i_", "RESILIENCE_OPERATOR_KEY": "rcp_o_"}.get(name, "")
    return marker + secrets.token_urlsafe(32)
