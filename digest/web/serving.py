"""An app on a socket, until told to stop."""

import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from digest.errors import ConfigError


def serve(app: FastAPI, *, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; port 0 takes a free one. Raises ConfigError when the address cannot be had.

    The socket is bound first, so that `announce(url)` names a port that answers.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, or asyncio leaves Nagle's algorithm on: each answer on a kept connection would wait 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        remedy = "stop what uses it, or choose another with --port"
        raise ConfigError(f"{host}:{port}", "it cannot be listened on", remedy=remedy) from error
    shown = f"[{host}]" if ":" in host else host
    announce(f"http://{shown}:{listener.getsockname()[1]}/")
    # No access log: the addresses that readers open carry their tokens.
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", server_header=False)
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        listener.close()
