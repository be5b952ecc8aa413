"""What a host's robots.txt lets us read (RFC 9309), asked once for each host in a run.

A host without one lets us read everything. One that cannot show it now lets us read nothing: it may be there to say so.
"""

import asyncio
from typing import Final

from protego import Protego
from yarl import URL

from digest.errors import SourceError
from digest.protocols import Fetch, Request
from digest.sources.encoding import decode

_LIMIT: Final = 500_000  # bytes; RFC 9309 §2.5 asks for as much at least
_MOST_PATH: Final = 2000  # characters that are matched: patterns with many wildcards take their time


class Robots:
    """Judges addresses for one user agent."""

    def __init__(self, fetch: Fetch, user_agent: str) -> None:
        """`fetch` gets the robots.txt files; of the user agent the product's name counts."""
        self._fetch = fetch
        self._agent = user_agent.partition("/")[0]
        self._rules: dict[str, asyncio.Task[Protego | SourceError]] = {}

    async def require(self, url: URL) -> None:
        """Raise SourceError when the page may not be read."""
        origin = str(url.origin())
        if origin not in self._rules:
            self._rules[origin] = asyncio.create_task(self._read(origin))
        rules = await asyncio.shield(self._rules[origin])
        name = url.raw_host or "address"
        if isinstance(rules, SourceError):
            raise SourceError(name, f"its robots.txt cannot be read: {rules.message}", wait_seconds=rules.wait_seconds)
        if not rules.can_fetch(f"{origin}{url.raw_path_qs[:_MOST_PATH]}", self._agent):
            raise SourceError(name, "its robots.txt asks not to read this page")

    def close(self) -> None:
        """Let go of what is still being asked."""
        for task in self._rules.values():
            task.cancel()

    async def _read(self, origin: str) -> Protego | SourceError:
        try:
            response = await self._fetch(Request(url=f"{origin}/robots.txt", limit=_LIMIT))
        except SourceError as error:
            return Protego.parse("") if error.status and 400 <= error.status < 500 and error.status != 429 else error
        return Protego.parse(decode(response.body))
