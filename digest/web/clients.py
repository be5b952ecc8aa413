"""Who asks: the address of a client, also behind proxies, and the network that it counts with. Pure.

    socket's peer ── no configured proxy ──> the peer itself, whatever any header says
                  └─ a configured proxy ───> X-Forwarded-For from its right end: the first that is not such a proxy

What stands further left was written by the client, or by hops that nobody vouches for, and is never looked at.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

_IPV4_SHARED: Final = 24  # what one household, office or attacker has together
_IPV6_SHARED: Final = 48

Address = IPv4Address | IPv6Address
AnyNetwork = IPv4Network | IPv6Network


def read_networks(written: Iterable[str]) -> tuple[AnyNetwork, ...]:
    """Networks as the configuration writes them; an address is a network of one."""
    return tuple(ip_network(one, strict=False) for one in written)


def find_client(peer: str, forwarded: Sequence[str], proxies: Sequence[AnyNetwork]) -> str:
    """The client's address; "" where the peer has none.

    `forwarded` are the values of all X-Forwarded-For headers, in order. Behind garbage stands nobody: then it is the
    last proxy that could be told.
    """
    found = _read_address(peer)
    if found is None:
        return ""
    hops = [hop for value in forwarded for hop in value.split(",")]
    while hops and _is_among(found, proxies):
        before = _read_address(hops.pop())
        if before is None:
            break
        found = before
    return str(found)


def network_around(address: str) -> str:
    """The network that an address counts with: of IPv4 a /24, of IPv6 a /48; "" for none."""
    found = _read_address(address)
    if found is None:
        return ""
    shared = _IPV4_SHARED if found.version == 4 else _IPV6_SHARED
    return str(ip_network(f"{found}/{shared}", strict=False))


def is_among(address: str, networks: Sequence[AnyNetwork]) -> bool:
    """Whether the address lies in one of the networks."""
    found = _read_address(address)
    return found is not None and _is_among(found, networks)


def _is_among(address: Address, networks: Sequence[AnyNetwork]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _read_address(written: str) -> Address | None:
    """An address as proxies write it: also with a port, in brackets or quotes, with a zone, or IPv4 within IPv6."""
    text = written.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
