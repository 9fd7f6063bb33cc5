"""What the options of each kind of check are called in forms, and what they mean.

`tests/health/forms` fails while an option of a kind has no words here.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Words(NamedTuple):
    """`choices` where there are few values; `long` for texts of several lines."""

    label: str
    help: str = ""
    choices: tuple[str, ...] = ()
    long: bool = False


KIND_WORDS: Final = {
    "http": "Asks a web server, and looks at the status, headers, text or JSON of its answer.",
    "tcp": "Connects to a port; may send something and wait for an answer.",
    "dns": "Asks a name server for records.",
    "tls": "Shakes hands and tells how long the certificate is valid.",
    "smtp": "Greets a mail server, may log in and ask whether it would take a mail.",
    "postgres": "Runs a query that cannot write; watches connections, standbys, transactions.",
    "redis": "Writes a value and reads it back; watches memory and replicas.",
    "celery": "Pings workers and looks at the length and age of queues.",
    "mcp": "Opens a session with an MCP server and lists its tools.",
    "microsoft_graph": "Fetches a token and makes one cheap call.",
    "disk": "Looks at the space of a file system of the worker.",
    "memory": "Looks at the memory of the worker's machine.",
    "push": "Waits for heartbeats: something calls the site, and its silence is the failure.",
    "composite": "Combines the state of other checks by a rule.",
}

_HOST: Final = Words("Host", "A name or an address.")
_PORT: Final = Words("Port")
_CA: Final = Words(
    "Authorities (PEM)", "Trusted in place of the system's certificate authorities.", long=True
)
_VERIFY: Final = Words("Verify the certificate", "Off accepts any certificate.")
_URL_SECRET: Final = "A password in it is stored encrypted and shown as ***."  # noqa: S105
_PAIRS: Final = "One a line, as in “Name: value”."
_NOT_JUDGED: Final = "Empty: not judged."


def _below(what: str, unit: str) -> dict[str, Words]:
    return {
        "warn": Words(f"Degraded below ({unit} {what})", _NOT_JUDGED),
        "fail": Words(f"Down below ({unit} {what})", _NOT_JUDGED),
    }


def _above(what: str, unit: str) -> dict[str, Words]:
    return {
        "warn": Words(f"Degraded above ({unit} {what})", _NOT_JUDGED),
        "fail": Words(f"Down above ({unit} {what})", _NOT_JUDGED),
    }


def _limits(stem: str, unit: str, words: dict[str, Words]) -> dict[str, Words]:
    """`stem_warn_unit` and `stem_fail_unit`."""
    return {f"{stem}_{level}_{unit}": each for level, each in words.items()}


OPTION_WORDS: Final[dict[str, dict[str, Words]]] = {
    "http": {
        "url": Words("URL", f"http or https. {_URL_SECRET}"),
        "method": Words("Method", choices=("GET", "HEAD", "POST", "PUT", "PATCH", "OPTIONS")),
        "headers": Words("Request headers", f"{_PAIRS} Values are stored encrypted.", long=True),
        "body": Words("Request body", "Stored encrypted.", long=True),
        "status": Words("Expected status", "200, 200-299, or several with commas between."),
        "keyword": Words("Text that must stand in the answer"),
        "keyword_absent": Words("Text that must not stand in the answer"),
        "response_headers": Words(
            "Expected headers",
            f"{_PAIRS} The header must contain the value; without a value it must be there.",
            long=True,
        ),
        "json_path": Words("JSON path", "RFC 9535, for example $.status; must find something."),
        "json_equals": Words("Value there, as JSON", 'For example "ok", 3 or true.'),
        "json_min": Words("Least number there"),
        "json_max": Words("Greatest number there"),
        "verify_tls": _VERIFY,
        "ca": _CA,
        "follow_redirects": Words("Follow redirects", "At most five; headers stay with the origin."),
        "max_body_bytes": Words("Most bytes of the answer that are looked into"),
    },
    "tcp": {
        "host": _HOST,
        "port": _PORT,
        "send": Words("Send", "What is said after connecting. Stored encrypted.", long=True),
        "expect": Words("Expect", "A text that must stand in what the server says."),
    },
    "dns": {
        "name": Words("Name to look up"),
        "type": Words("Record type", choices=("A", "AAAA", "CNAME", "MX", "NS", "SRV", "TXT", "SOA")),
        "server": Words("Name server", "Empty: those of the worker's machine."),
        "port": Words("Port of the name server"),
        "values": Words("Values that must be among the answers", "One a line.", long=True),
        "rcode": Words("Expected response code", "NOERROR asks for at least one record."),
        "tcp": Words("Ask over TCP"),
    },
    "tls": {
        "host": _HOST,
        "port": _PORT,
        "server_name": Words("Name in the certificate", "Empty: the host."),
        "ca": _CA,
        "warn_days": Words("Degraded with fewer days left than"),
        "fail_days": Words("Down with fewer days left than"),
        "alpn": Words("Protocols to offer (ALPN)", "One a line, such as h2; one must be taken.",
                      long=True),
    },
    "smtp": {
        "host": _HOST,
        "port": _PORT,
        "tls": Words("Encryption", "implicit: from the first byte, usually port 465.",
                     choices=("none", "starttls", "implicit")),
        "username": Words("User name"),
        "password": Words("Password", "Stored encrypted; sent over TLS only."),
        "sender": Words("Sender to ask with"),
        "recipient": Words("Recipient to ask for", "Whether the server would take a mail for it."),
        "verify_tls": _VERIFY,
        "ca": _CA,
    },
    "postgres": {
        "dsn": Words("Connection", f"postgresql://user:password@host/database. {_URL_SECRET}"),
        "query": Words("Query", "Reads one value, in a transaction that cannot write.", long=True),
        "expected": Words("Expected value", "As text; empty: any."),
        **_limits("pool", "percent", _above("of max_connections in use", "%")),
        **_limits("lag", "seconds", _above("a standby is behind", "s")),
        "min_standbys": Words("Standbys that must follow a primary"),
        **_limits("transaction", "seconds", _above("the oldest transaction runs", "s")),
        **_limits("idle", "seconds", _above("a session idles in a transaction", "s")),
    },
    "redis": {
        "url": Words("URL", f"redis:// or rediss://. {_URL_SECRET}"),
        "write": Words("Write a value and read it back", "Never to a replica."),
        **_limits("memory", "percent", _above("of maxmemory in use", "%")),
        "role": Words("Role that it must have", "Empty: either.", choices=("", "primary", "replica")),
        **_limits("lag", "seconds", _above("since a replica heard of its primary", "s")),
        **_limits("lag", "bytes", _above("a replica is behind", "bytes")),
        "min_replicas": Words("Replicas that must follow a primary"),
    },
    "celery": {
        "broker_url": Words("Broker", f"redis:// or amqp://. {_URL_SECRET}"),
        "queues": Words("Queues", "One a line.", long=True),
        "min_workers": Words("Workers that must answer a ping", "0 pings nobody."),
        "reply_seconds": Words("Seconds to wait for another worker's answer"),
        **_limits("queue", "length", _above("wait in a queue", "tasks")),
        **_limits("queue", "seconds", _above("the oldest task waits", "s")),
        "control_exchange": Words("Control exchange", "Of Celery's remote control."),
    },
    "mcp": {
        "url": Words("URL", f"Of the streamable HTTP endpoint. {_URL_SECRET}"),
        "headers": Words("Request headers", f"{_PAIRS} Values are stored encrypted.", long=True),
        "expected_tools": Words("Tools that must be offered", "One a line.", long=True),
        "handshake": Words("Handshake", "auto asks for the newer protocol first.",
                           choices=("auto", "initialize")),
        "verify_tls": _VERIFY,
        "ca": _CA,
    },
    "microsoft_graph": {
        "tenant": Words("Tenant"),
        "client_id": Words("Client id"),
        "client_secret": Words("Client secret", "Stored encrypted."),
        "path": Words("Path to read", "Below the base URL."),
        "authority": Words("Authority", "Where the token comes from."),
        "base_url": Words("Base URL"),
        "scope": Words("Scope"),
        "verify_tls": _VERIFY,
        "ca": _CA,
    },
    "disk": {
        "path": Words("Path", "Any path of the file system, on the worker."),
        **_limits("free", "percent", _below("free", "%")),
        **_limits("free", "bytes", _below("free", "bytes")),
    },
    "memory": {
        **_limits("available", "percent", _below("available", "%")),
        **_limits("available", "bytes", _below("available", "bytes")),
        **_limits("swap", "percent", _above("of swap in use", "%")),
    },
    "push": {
        "token": Words("Token", "The secret part of the address. Empty: the site makes a new one."),
        "grace_seconds": Words("Grace, in seconds",
                               "How much later than the interval a heartbeat may come."),
    },
    "composite": {
        "members": Words("Checks to combine", "Their names, one a line.", long=True),
        "rule": Words("Rule", "How many of them must work.", choices=("all", "any", "at_least")),
        "at_least": Words("At least", "For the rule at_least."),
    },
}  # fmt: skip


def words_of(kind: str, option: str) -> Words:
    """The words of an option; one that nobody has described is called as in the API."""
    known = OPTION_WORDS.get(kind, {}).get(option)
    return known or Words(option.replace("_", " ").capitalize())
