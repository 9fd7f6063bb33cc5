"""MCP: the handshake and the list of tools, by the official SDK over streamable HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from health.checks.base import CheckKind, Context, Failed, Finding, Observed, kind
from health.checks.options import OptionError
from health.checks.reaching import reach
from health.checks.secrecy import secret_parts, url_secret_parts
from health.checks.tlscontext import tls_context
from health.checks.weburl import require_headers, web_url
from health.checks.words import one_line, without

_HANDSHAKES: Final = ("auto", "initialize")
_SHOWN: Final = 5


@dataclass(frozen=True)
class McpOptions:
    """Options of an MCP check; every tool of `expected_tools` must be offered.

    `handshake`: `initialize` of the protocol before 2026, or `auto`, which asks for the newer one
    first. `ca` (PEM) is trusted in place of the system's authorities.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    expected_tools: tuple[str, ...] = ()
    handshake: str = "auto"
    verify_tls: bool = True
    ca: str | None = None


@kind("mcp", "MCP server")
class McpCheck(CheckKind[McpOptions]):
    Options = McpOptions
    secrets = frozenset({"headers"})
    url_secrets = frozenset({"url"})

    def validate(self, options: McpOptions) -> None:
        if web_url("url", options.url).user is not None:
            raise OptionError("url", "must not have a user; give Authorization among the headers")
        require_headers("headers", options.headers)
        if options.handshake not in _HANDSHAKES:
            raise OptionError("handshake", f"must be one of {', '.join(_HANDSHAKES)}")
        tls_context(ca=options.ca, verify=options.verify_tls, alpn=("http/1.1",))

    def hosts(self, options: McpOptions) -> tuple[tuple[str, int], ...]:
        url = web_url("url", options.url)
        return ((url.host or "", url.port or 0),)

    def load(self) -> None:
        # The SDK is large: loading it within the event loop would hold up every other check.
        from health.checks import mcpsession  # noqa: F401

    async def run(self, options: McpOptions, context: Context) -> Finding:
        url = web_url("url", options.url)
        if not context.deep:
            return await reach(context, url.host or "", url.port or 0)
        from health.checks import mcpsession

        try:
            session = await mcpsession.session(
                str(url),
                options.headers,
                handshake=options.handshake,
                tls=tls_context(ca=options.ca, verify=options.verify_tls, alpn=("http/1.1",)),
                context=context,
            )
        except Failed as failed:
            # A server may say back what it was told.
            raise Failed(without(failed.output, *_secrets(options))) from None
        observed = {
            "tools": Observed(len(session.tools)),
            "handshake": Observed(session.handshake_ms, "ms"),
            "list_tools": Observed(session.list_ms, "ms"),
        }
        missing = [name for name in options.expected_tools if name not in session.tools]
        if missing:
            more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
            raise Failed(
                f"The server offers {len(session.tools)} tools, but not"
                f" {', '.join(missing[:_SHOWN])}{more}",
                observed,
            )
        words = (
            f"{one_line(session.server, 80) or 'The server'} offers {len(session.tools)} tools"
            f" (protocol {one_line(session.protocol, 40)})"
        )
        # As a client would wait that has no session yet.
        latency_ms = session.handshake_ms + session.list_ms
        return Finding("up", without(words, *_secrets(options)), observed, latency_ms)


def _secrets(options: McpOptions) -> set[str]:
    """The texts that no output may carry."""
    return secret_parts(options.headers) | url_secret_parts(options.url)
