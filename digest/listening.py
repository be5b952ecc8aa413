"""A socket that listens, and in words why one cannot."""

import errno
import socket

from digest.errors import ConfigError


def listen(host: str, port: int, *, remedy: str) -> socket.socket:
    """A socket that listens there; port 0 takes a free one. Raises ConfigError when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, or asyncio leaves Nagle's algorithm on: a page's head and body would wait 40 ms for each other.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
        listener.setblocking(False)  # whether it is belongs to all that are duplicated of it
    except OSError as error:
        listener.close()
        raise ConfigError(f"{host}:{port}", f"it cannot be listened on: {find_reason(error)}", remedy=remedy) from None
    return listener


def find_reason(error: Exception) -> str:
    """Why nothing can listen at an address, in words. Pure."""
    if isinstance(error, socket.gaierror):
        return "no host of that name is known"
    match error.errno if isinstance(error, OSError) else None:
        case errno.EADDRINUSE:
            return "another program has that port"
        case errno.EADDRNOTAVAIL:
            return "it is no address of this machine"
        case errno.EACCES:
            return "ports below 1024 are not for everybody"
    return getattr(error, "strerror", None) or str(error)
