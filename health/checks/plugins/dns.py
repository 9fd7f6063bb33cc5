"""DNS: a name server answers a question, with the values that it should."""

from __future__ import annotations

import asyncio
import itertools
import socket
from dataclasses import dataclass
from typing import Final

import dns.asyncbackend
import dns.asyncquery
import dns.exception
import dns.inet
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.txtbase
import dns.resolver

from health.checks.base import CheckKind, Context, Failed, Finding, Observed, kind
from health.checks.options import OptionError, require_host, require_range
from health.checks.reaching import judged, network_failures, place
from health.checks.words import one_line

# Seconds until a question is asked again: datagrams get lost.
_ASK_AGAIN: Final = 2.0


@dataclass(frozen=True)
class DnsOptions:
    """Options of a DNS check.

    `server` is a name server; without it, those of the machine are asked. `values` must all be
    among the answers, written as in a zone file (a TXT record as its text). `rcode` is the expected
    response code; `NOERROR` asks for at least one record of `type`.
    """

    name: str
    type: str = "A"
    server: str | None = None
    port: int = 53
    values: tuple[str, ...] = ()
    rcode: str = "NOERROR"
    tcp: bool = False


@kind("dns", "DNS")
class DnsCheck(CheckKind[DnsOptions]):
    Options = DnsOptions

    def validate(self, options: DnsOptions) -> None:
        _name(options)
        _type(options)
        _rcode(options)
        if options.server is not None:
            require_host("server", options.server)
        require_range("port", options.port, 1, 65_535)
        for value in options.values:
            _value(options, value)
        if options.values and options.rcode != "NOERROR":
            raise OptionError("values", "cannot be expected beside an rcode other than NOERROR")

    def hosts(self, options: DnsOptions) -> tuple[tuple[str, int], ...]:
        return () if options.server is None else ((options.server, options.port),)

    async def run(self, options: DnsOptions, context: Context) -> Finding:
        loop = asyncio.get_running_loop()
        servers = await _servers(options, context)
        began = loop.time()
        response = await _ask(options, context, servers)
        latency_ms = (loop.time() - began) * 1000
        words, found = ("Answered (not looked at more deeply)", 0)
        if context.deep:
            words, found = _judge(options, response)
        return Finding(output=words, observed={"records": Observed(found)}, latency_ms=latency_ms)


async def _servers(options: DnsOptions, context: Context) -> list[str]:
    """The addresses to ask; those of the machine's settings are not judged, nobody chose them."""
    if options.server is None:
        found = dns.resolver.Resolver().nameservers
        return [each for each in found if isinstance(each, str) and dns.inet.is_address(each)]
    return await judged(context, options.server, options.port)


async def _ask(options: DnsOptions, context: Context, servers: list[str]) -> dns.message.Message:
    """Ask the servers in turn, until one answers or the caller's deadline comes."""
    port = options.port if options.server is not None else 53
    patience = min(_ASK_AGAIN, context.timeout / 2)
    for server in itertools.cycle(servers):
        where = place(server, port)
        context.doing(f"waiting for {where} to answer")
        try:
            with network_failures(where):
                return await _exchange(options, server, port, patience)
        except dns.exception.Timeout:
            continue
        except (dns.exception.DNSException, EOFError):
            raise Failed(f"{where} gave an answer that is not DNS") from None
    raise Failed("The machine has no name server")


async def _exchange(
    options: DnsOptions, server: str, port: int, patience: float
) -> dns.message.Message:
    query = dns.message.make_query(_name(options), _type(options))
    if options.tcp:
        # Nothing gets lost here: the caller's deadline is the only one.
        return await dns.asyncquery.tcp(query, server, port=port)
    backend = dns.asyncbackend.get_backend("asyncio")
    family = dns.inet.af_for_address(server)
    # A connected socket hears that nobody listens, and no one but the server.
    async with await backend.make_socket(
        family, socket.SOCK_DGRAM, 0, None, (server, port)
    ) as asked:
        response, _ = await dns.asyncquery.udp_with_fallback(
            query, server, timeout=patience, port=port, udp_sock=asked, ignore_errors=True
        )
    return response


def _judge(options: DnsOptions, response: dns.message.Message) -> tuple[str, int]:
    """What was answered, in one line, and how many records. Raises `Failed`."""
    rcode = dns.rcode.to_text(response.rcode())
    if response.rcode() != _rcode(options):
        meaning = " (the name does not exist)" if rcode == "NXDOMAIN" else ""
        raise Failed(f"Answered {rcode}{meaning}, expected {options.rcode}")
    if options.rcode != "NOERROR":
        return f"Answered {rcode}, as expected", 0
    records = _records(response)
    if not records:
        raise Failed(f"{options.name} has no record of type {options.type}")
    # Name servers change the order of the same records.
    texts = sorted(_text(each) for each in records)
    found = {_comparable(each) for each in records}
    missing = [each for each in options.values if _value(options, each) not in found]
    said = one_line(", ".join(texts), 160)
    if missing:
        raise Failed(f"Answered {said}, without {one_line(', '.join(missing), 80)}")
    return f"{options.type} of {options.name}: {said}", len(records)


def _records(response: dns.message.Message) -> list[dns.rdata.Rdata]:
    if not isinstance(response, dns.message.QueryMessage):
        raise Failed("Answered with another kind of message")
    try:
        answer = response.resolve_chaining().answer
    except dns.exception.DNSException:
        raise Failed("Answered with a chain of aliases that leads nowhere") from None
    return list(answer) if answer is not None else []


def _text(record: dns.rdata.Rdata) -> str:
    if isinstance(record, dns.rdtypes.txtbase.TXTBase):
        return b"".join(record.strings).decode(errors="replace")
    return record.to_text()


def _comparable(record: dns.rdata.Rdata) -> dns.rdata.Rdata | str:
    return _text(record) if isinstance(record, dns.rdtypes.txtbase.TXTBase) else record


def _value(options: DnsOptions, written: str) -> dns.rdata.Rdata | str:
    """An expected value, to compare: names without regard to case. Raises `OptionError`."""
    if options.type.upper() in ("TXT", "SPF"):
        return written
    try:
        return dns.rdata.from_text(
            dns.rdataclass.IN, _type(options), written, origin=dns.name.root, relativize=False
        )
    except (dns.exception.DNSException, ValueError):
        raise OptionError("values", f"has what is no {options.type}: {written[:80]}") from None


def _name(options: DnsOptions) -> dns.name.Name:
    try:
        return dns.name.from_text(options.name)
    except (dns.exception.DNSException, UnicodeError):
        raise OptionError("name", "must be a domain name") from None


def _type(options: DnsOptions) -> dns.rdatatype.RdataType:
    try:
        found = dns.rdatatype.from_text(options.type)
    except (dns.exception.DNSException, ValueError):
        found = dns.rdatatype.ANY
    # Questions for all records, or for a whole zone, are no questions of a check.
    if dns.rdatatype.is_metatype(found):
        raise OptionError("type", "must be a type of record, such as A, AAAA, CNAME, MX or TXT")
    return found


def _rcode(options: DnsOptions) -> dns.rcode.Rcode:
    try:
        return dns.rcode.from_text(options.rcode)
    except (dns.exception.DNSException, ValueError):
        raise OptionError("rcode", "must be a response code, such as NOERROR or NXDOMAIN") from None
