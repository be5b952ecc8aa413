"""Ports that nobody has."""

import socket


def free_port() -> int:
    """One on loopback, as the system gave it a moment ago."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
