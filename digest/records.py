"""What the DNS says of a name: records by type, from the servers of this machine or from others.

The only module that knows dnspython. That there is none of that name is an answer; that nobody answers is an error.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import dns.exception
import dns.nameserver
import dns.resolver

Ask = Callable[[str, str], list[str]]  # the records of a name and a type; raises UnansweredError

_SECONDS: Final = 5.0


class UnansweredError(Exception):
    """The DNS does not answer: then nothing is known."""


def ask(name: str, kind: str, resolver: dns.resolver.Resolver | None = None) -> list[str]:
    """The records of a name and a type ("MX", "TXT"), the parts of a text joined. Raises UnansweredError.

    It asks the servers that this machine asks, unless it is told another resolver.
    """
    try:
        asked = resolver or dns.resolver.get_default_resolver()
        found = list(asked.resolve(f"{name}.", kind, lifetime=_SECONDS))
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except (dns.exception.DNSException, OSError) as error:
        raise UnansweredError from error
    if kind == "TXT":
        return [b"".join(record.strings).decode("utf-8", "replace") for record in found]
    return [str(record) for record in found]


def make_ask(servers: Sequence[tuple[str, int]] = ()) -> Ask:
    """Asks these servers, each an IP address and a port; without any, those that this machine asks."""
    if not servers:
        return ask
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in servers]
    return partial(ask, resolver=resolver)
