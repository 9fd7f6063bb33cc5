"""What the codes of protocols and the exceptions of drivers say about a failure.

Sources: RFC 9110 and 6585 (HTTP), the PostgreSQL manual's appendix A (SQLSTATE), gRPC's status
codes, Microsoft Graph's error responses, and the exception trees of the drivers named here.
"""

from __future__ import annotations

import enum
from typing import NamedTuple


class Classification(enum.Enum):
    """What kind of failure it is, and so what helps."""

    TRANSIENT = "transient"
    RATE_LIMITED = "rate_limited"
    AUTHENTICATION = "authentication"
    PERMANENT = "permanent"
    UNKNOWN = "unknown"


class Rule(NamedTuple):
    """A classification, and whether the failure proves that the call was not executed."""

    classification: Classification
    not_executed: bool = False


_TRANSIENT = Rule(Classification.TRANSIENT)
_TRANSIENT_BEFORE = Rule(Classification.TRANSIENT, not_executed=True)
_LIMITED = Rule(Classification.RATE_LIMITED, not_executed=True)
_AUTHENTICATION = Rule(Classification.AUTHENTICATION, not_executed=True)
_PERMANENT = Rule(Classification.PERMANENT)

_HTTP = {
    401: _AUTHENTICATION,
    407: _AUTHENTICATION,
    408: _TRANSIENT,
    421: _TRANSIENT_BEFORE,
    423: _TRANSIENT,
    425: _TRANSIENT_BEFORE,
    429: _LIMITED,
    500: _TRANSIENT,
    501: _PERMANENT,
    502: _TRANSIENT,
    503: _TRANSIENT,
    504: _TRANSIENT,
    505: _PERMANENT,
    509: _LIMITED,
}


def http_rule(status: int) -> Rule | None:
    """What an HTTP status says; None below 400."""
    if status < 400 or status > 599:
        return None
    return _HTTP.get(status) or (_TRANSIENT if status >= 520 else _PERMANENT)


_GRPC = {
    "UNAVAILABLE": _TRANSIENT,
    "DEADLINE_EXCEEDED": _TRANSIENT,
    "INTERNAL": _TRANSIENT,
    "ABORTED": _TRANSIENT_BEFORE,
    "RESOURCE_EXHAUSTED": _LIMITED,
    "UNAUTHENTICATED": _AUTHENTICATION,
    "UNKNOWN": Rule(Classification.UNKNOWN),
}


def grpc_rule(name: str) -> Rule:
    """What a gRPC status code says, by its name."""
    return _GRPC.get(name, _PERMANENT)


_SQLSTATE = {
    "08001": _TRANSIENT_BEFORE,  # the connection could not be made
    "08004": _TRANSIENT_BEFORE,  # the server rejected it
    "25006": _TRANSIENT_BEFORE,  # read only: the standby of a failover
    "40001": _TRANSIENT_BEFORE,  # serialization failure: rolled back
    "40P01": _TRANSIENT_BEFORE,  # deadlock: rolled back
    "53300": _TRANSIENT_BEFORE,  # too many connections
    "55P03": _TRANSIENT_BEFORE,  # lock not available
    "57014": _TRANSIENT,  # cancelled, for example by statement_timeout
    "57P03": _TRANSIENT_BEFORE,  # cannot connect now
}
_SQLSTATE_CLASSES = {
    "08": _TRANSIENT,  # connection lost
    "28": _AUTHENTICATION,
    "40": _TRANSIENT,  # transaction rollback
    "53": _TRANSIENT,  # out of memory, disk or connections
    "57": _TRANSIENT,  # shutdown
    "58": _TRANSIENT,  # outside errors, such as input or output
    "XX": Rule(Classification.UNKNOWN),
}


def sqlstate_rule(code: str) -> Rule:
    """What an SQLSTATE says."""
    return _SQLSTATE.get(code) or _SQLSTATE_CLASSES.get(code[:2], _PERMANENT)


_GRAPH = {
    **dict.fromkeys(
        ("toomanyrequests", "activitylimitreached", "throttledrequest", "applicationthrottled"),
        _LIMITED,
    ),
    **dict.fromkeys(
        ("servicenotavailable", "serviceunavailable", "generalexception", "unknownerror",
         "timeout", "gatewaytimeout", "internalservererror", "badgateway"),
        _TRANSIENT,
    ),
    **dict.fromkeys(
        ("invalidauthenticationtoken", "unauthenticated", "unauthorized", "tokenexpired",
         "authenticationerror", "compacttoken"),
        _AUTHENTICATION,
    ),
    **dict.fromkeys(
        ("accessdenied", "authorization_requestdenied", "forbidden", "badrequest",
         "invalidrequest", "invalidrange", "itemnotfound", "request_resourcenotfound",
         "resourcenotfound", "namealreadyexists", "notallowed", "notsupported",
         "resourcemodified", "resyncrequired", "quotalimitreached", "malwaredetected"),
        _PERMANENT,
    ),
}  # fmt: skip


def graph_rule(code: str) -> Rule | None:
    """What an error code of Microsoft Graph says; None for one that is not known."""
    return _GRAPH.get(code.lower())


# Exceptions of drivers that carry no code, by the first part of their module and their name.
_DRIVERS = {
    "httpx": {
        "ConnectError": _TRANSIENT_BEFORE,
        "ConnectTimeout": _TRANSIENT_BEFORE,
        "PoolTimeout": _TRANSIENT_BEFORE,
        "UnsupportedProtocol": _PERMANENT,
        "LocalProtocolError": _PERMANENT,
        "DecodingError": _PERMANENT,
        "TransportError": _TRANSIENT,
        "TooManyRedirects": _PERMANENT,
        "InvalidURL": _PERMANENT,
    },
    "requests": {
        "ConnectTimeout": _TRANSIENT_BEFORE,
        "SSLError": _PERMANENT,
        "ProxyError": _TRANSIENT_BEFORE,
        "ConnectionError": _TRANSIENT,
        "Timeout": _TRANSIENT,
        "ChunkedEncodingError": _TRANSIENT,
        "ContentDecodingError": _PERMANENT,
        "TooManyRedirects": _PERMANENT,
        "InvalidURL": _PERMANENT,
        "MissingSchema": _PERMANENT,
        "InvalidSchema": _PERMANENT,
    },
    "urllib3": {
        "NewConnectionError": _TRANSIENT_BEFORE,
        "ConnectTimeoutError": _TRANSIENT_BEFORE,
        "TimeoutError": _TRANSIENT,
        "ProtocolError": _TRANSIENT,
        "SSLError": _PERMANENT,
    },
    "aiohttp": {
        "ClientConnectorCertificateError": _PERMANENT,
        "ClientConnectorError": _TRANSIENT_BEFORE,
        "ConnectionTimeoutError": _TRANSIENT_BEFORE,
        "ServerDisconnectedError": _TRANSIENT,
        "ClientConnectionError": _TRANSIENT,
        "ClientPayloadError": _TRANSIENT,
        "InvalidURL": _PERMANENT,
    },
    "redis": {
        "BusyLoadingError": _TRANSIENT_BEFORE,
        "MaxConnectionsError": _TRANSIENT_BEFORE,
        "AuthenticationError": _AUTHENTICATION,
        "AuthorizationError": _AUTHENTICATION,
        "NoPermissionError": _PERMANENT,
        "ReadOnlyError": _TRANSIENT_BEFORE,
        "ClusterDownError": _TRANSIENT_BEFORE,
        "TryAgainError": _TRANSIENT_BEFORE,
        "MasterDownError": _TRANSIENT_BEFORE,
        "OutOfMemoryError": _TRANSIENT_BEFORE,
        "ConnectionError": _TRANSIENT,
        "TimeoutError": _TRANSIENT,
        "ResponseError": _PERMANENT,
        "DataError": _PERMANENT,
    },
    "psycopg": {
        "OperationalError": _TRANSIENT,
        "InterfaceError": _TRANSIENT,
        "ProgrammingError": _PERMANENT,
        "DataError": _PERMANENT,
        "IntegrityError": _PERMANENT,
        "NotSupportedError": _PERMANENT,
    },
    "psycopg_pool": {
        "PoolTimeout": _TRANSIENT_BEFORE,
        "TooManyRequests": _TRANSIENT_BEFORE,
        "PoolClosed": _PERMANENT,
    },
    "http": {"IncompleteRead": _TRANSIENT, "HTTPException": _TRANSIENT},
    "urllib": {"URLError": _TRANSIENT},
    "smtplib": {
        "SMTPAuthenticationError": _AUTHENTICATION,
        "SMTPConnectError": _TRANSIENT_BEFORE,
        "SMTPHeloError": _TRANSIENT_BEFORE,
        "SMTPServerDisconnected": _TRANSIENT,
        "SMTPNotSupportedError": _PERMANENT,
        "SMTPRecipientsRefused": _PERMANENT,
    },
}  # fmt: skip
_DRIVERS["psycopg2"] = _DRIVERS["asyncpg"] = _DRIVERS["psycopg"]


def driver_rule(error: BaseException) -> Rule | None:
    """What the type of a driver's exception says, the nearest known base included."""
    for kind in type(error).__mro__:
        names = _DRIVERS.get(kind.__module__.partition(".")[0])
        if names is not None and kind.__name__ in names:
            return names[kind.__name__]
    return None


def smtp_rule(code: int) -> Rule:
    """What an SMTP reply code says: 4yz is transient, 5yz permanent (RFC 5321, section 4.2.1)."""
    return _TRANSIENT if 400 <= code < 500 else _PERMANENT
