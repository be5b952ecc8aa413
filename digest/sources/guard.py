"""Which addresses may be connected to: global ones, and the networks that the operator lists.

A host is resolved once in a run, every address of it must pass, and the connection goes to one of these very
addresses: a name that means something else a second later (DNS rebinding) gains nothing. The socket itself is the
last to ask, so that no way of writing an address goes past.
"""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult

_Address = IPv4Address | IPv6Address
_AddressInfo = tuple[Any, ...]  # (family, kind, protocol, canonical name, (host, port, …)), as getaddrinfo gives it

# Networks in which the last 32 bits are an IPv4 address: NAT64 (RFC 6052), IPv4-translated (RFC 2765), and the
# deprecated IPv4-compatible form (RFC 4291 §2.5.5.1).
_EMBEDDING: Final = tuple(IPv6Network(network) for network in ("64:ff9b::/96", "::ffff:0:0:0/96", "::/96"))
_LOOKUPS_AT_ONCE: Final = 32


class ForbiddenAddressError(OSError):
    """An address that the guard does not let pass."""


class Guard(AbstractResolver):
    """Resolves and judges; aiohttp's resolver and its maker of sockets."""

    def __init__(self, allow_private: Sequence[str] = ()) -> None:
        """`allow_private` are networks, such as "127.0.0.0/8", that pass although they are not global."""
        self._allowed = [ip_network(network, strict=False) for network in allow_private]
        self._lookups: dict[str, asyncio.Task[list[_AddressInfo] | OSError]] = {}
        # The loop's own pool has few threads, and one slow name server would hold up every host.
        self._threads = ThreadPoolExecutor(_LOOKUPS_AT_ONCE, thread_name_prefix="resolve")

    def admits(self, text: str) -> bool:
        """Whether an IP address may be connected to; of one that wraps another, both must. False for other text."""
        try:
            address: _Address = ip_address(text)
        except ValueError:
            return False
        return self._is_allowed(address) or all(self._is_allowed(one) or _is_public(one) for one in _unfold(address))

    async def admit(self, host: str) -> None:
        """Resolve a host, or take it as an address. Raises OSError: ForbiddenAddressError, or it has no address."""
        found = await self._look_up(host)
        if isinstance(found, OSError):
            raise found
        for info in found:
            if not self.admits(str(info[4][0])):
                raise ForbiddenAddressError("its host is not a public address")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses that were admitted. Raises OSError."""
        await self.admit(host)
        found = await self._look_up(host)
        return [
            ResolveResult(
                hostname=host,
                host=info[4][0],
                port=port,
                family=info[0],
                proto=info[2],
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for info in (() if isinstance(found, OSError) else found)
            if family in (socket.AF_UNSPEC, info[0])
        ]

    def make_socket(self, info: _AddressInfo) -> socket.socket:
        """A socket for that address. Raises ForbiddenAddressError."""
        family, kind, protocol, _, address = info
        if not self.admits(str(address[0])):
            raise ForbiddenAddressError("its host is not a public address")
        return socket.socket(family, kind, protocol)

    async def close(self) -> None:
        """Let go of the threads; a lookup that hangs is not waited for."""
        for lookup in self._lookups.values():
            lookup.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _look_up(self, host: str) -> list[_AddressInfo] | OSError:
        if host not in self._lookups:
            self._lookups[host] = asyncio.create_task(self._resolve(host))
        # Shielded: whoever waits for the same host must not lose the answer when the first gives up.
        return await asyncio.shield(self._lookups[host])

    async def _resolve(self, host: str) -> list[_AddressInfo] | OSError:
        def look_up() -> list[_AddressInfo]:
            return list(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))

        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        except (OSError, ValueError) as error:  # ValueError: a name that no name can be
            return error if isinstance(error, OSError) else OSError(str(error))

    def _is_allowed(self, address: _Address) -> bool:
        return any(address.version == network.version and address in network for network in self._allowed)


def _is_public(address: _Address) -> bool:
    return address.is_global and not address.is_multicast and not address.is_reserved and not address.is_unspecified


def _unfold(address: _Address) -> list[_Address]:
    """What a connection to an address may reach: the address, or the IPv4 ones it carries (RFC 4291, 3056, 4380)."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    if address.sixtofour:
        return [address, address.sixtofour]
    if address.teredo:
        return [address, *address.teredo]
    if any(address in network for network in _EMBEDDING) and int(address) > 1:
        return [IPv4Address(int(address) & 0xFFFFFFFF)]
    return [address]
