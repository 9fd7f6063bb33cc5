"""Ports are taken, or refused with one sentence, before anything starts."""

from __future__ import annotations

import errno
import socket

from resilience_site.embedded.errors import StartError


def bound_socket(host: str, port: int, variable: str) -> socket.socket:
    """A socket bound to host and port; raises StartError naming the variable that chose it.

    Nothing listens yet, so that connections are refused until a web process does.
    """
    family, address = _resolved(host, port)
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # "::" stands for every address of the machine, those of IPv4 too.
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise StartError(_sentence(host, port, variable, error)) from None
    return bound


def check_free(host: str, port: int, variable: str) -> None:
    """Raise StartError when something listens on the port."""
    bound_socket(host, port, variable).close()


def _resolved(host: str, port: int) -> tuple[socket.AddressFamily, tuple[object, ...]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise StartError(
            f"HOST is '{host}', but no address of that name is known ({error.strerror})."
        ) from None
    # A name like localhost has addresses of both families; clients try the older one as well.
    found.sort(key=lambda each: each[0] != socket.AF_INET)
    return found[0][0], found[0][4]


def _sentence(host: str, port: int, variable: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"{variable} is {port}, but port {port} of {host} is already in use: stop what uses it,"
            f" or set {variable} to another port."
        )
    if error.errno == errno.EACCES:
        return (
            f"{variable} is {port}, but this user may not use port {port}: choose one above 1023."
        )
    return f"HOST is '{host}', but the site cannot listen there ({error.strerror})."
