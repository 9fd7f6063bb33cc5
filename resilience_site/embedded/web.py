"""A web process: serves the site on the listening socket that it inherits as descriptor 0.

The socket belongs to the supervisor and is shared by all web processes, so one that is killed
neither refuses connections nor finds its port taken when it starts again.
"""

from __future__ import annotations

import gc
import os
import socket

import uvicorn

from resilience_site.core import background

APPLICATION = "resilience_site.asgi:application"
GRACEFUL_SECONDS = 10
BACKLOG = 1024


def configuration() -> uvicorn.Config:
    """How uvicorn serves the site, whoever gives it the socket."""
    return uvicorn.Config(
        APPLICATION,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        # Django's log settings are in place once the application is loaded.
        log_config=None,
        access_log=False,
        # Django alone decides whose forwarded headers count.
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        backlog=BACKLOG,
    )


class Server(uvicorn.Server):
    """Has those answered who wait for something, before it waits for their requests to end."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        background.stopping()
        await super().shutdown(sockets)


def main() -> int:
    # A socket made from the number alone learns its family; without it TCP_NODELAY is never set.
    listening = socket.socket(fileno=os.dup(0))
    config = configuration()
    # What is loaded stays: looking for garbage in it meanwhile takes a sixth of the start, and later
    # the slowest requests take a quarter longer where the collector walks through it now and then.
    gc.disable()
    # Imports and checks of the start run outside of the event loop, where they may block.
    config.load()
    gc.collect()
    gc.freeze()
    gc.enable()
    server = Server(config)
    server.run(sockets=[listening])
    return 0 if server.started else 1


if __name__ == "__main__":
    raise SystemExit(main())
