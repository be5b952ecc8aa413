"""Asynchronous work of a test, and a guarded way out that may reach loopback."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from digest.sources.fetch import Fetcher

T = TypeVar("T")


def run(work: Awaitable[T]) -> T:
    """Do it, within half a minute."""

    async def limited() -> T:
        async with asyncio.timeout(30):
            return await work

    return asyncio.run(limited())


def open_fetcher() -> Fetcher:
    """A context manager, as `digest` opens one."""
    return Fetcher(user_agent="Digest/1 (test)", allow_private=["127.0.0.0/8"], seconds=10)
