"""What is asked of the network beside the sources: pages, links, and the readers' own way out.

Everything goes by the one guarded way (sources/fetch.py), on a loop that lives as long as the question.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

from digest.errors import SourceError
from digest.protocols import Fetch, Request, Response

T = TypeVar("T")

_LINKS_SECONDS: Final = 60.0  # for all links of a mail that is inspected
_PAGE_BYTES: Final = 5_000_000
_EVERYWHERE: Final = ("0.0.0.0/0", "::/0")


class GuardedNetwork:
    """The network, as this newsletter may ask it."""

    def __init__(self, *, user_agent: str, allow_private: Sequence[str]) -> None:
        """`allow_private` are the networks that the guard lets pass."""
        self._user_agent = user_agent
        self._allow_private = tuple(allow_private)

    def run(self, work: Callable[[Fetch], Coroutine[Any, Any, T]]) -> T:
        """Run asynchronous work on a loop of its own with the guarded way out opened for it."""
        return self._run(work, self._allow_private)

    def fetch_pages(
        self, urls: Sequence[str], *, seconds: float, obeys_robots: bool = True
    ) -> list[Response | SourceError]:
        """Each page, or why it could not be had; in the order of `urls`."""

        async def fetch_all(fetch: Fetch) -> list[Response | SourceError]:
            tasks = [asyncio.ensure_future(_fetch_one(fetch, url, obeys_robots=obeys_robots)) for url in urls]
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            given_up = f"it was not read within {seconds:g} seconds together with the others"
            return [SourceError(u, given_up) if t in late else t.result() for u, t in zip(urls, tasks, strict=True)]

        return self.run(fetch_all) if urls else []

    def try_links(self, urls: Sequence[str]) -> dict[str, tuple[int | None, str] | None]:
        """Follow links as a reader would: the status, if any, and the fault of each that did not answer, else None."""
        answers = self.fetch_pages(urls, seconds=_LINKS_SECONDS, obeys_robots=False)
        return {
            url: (answer.status, answer.message) if isinstance(answer, SourceError) else None
            for url, answer in zip(urls, answers, strict=True)
        }

    def probe_unsubscribe(self, url: str) -> str | None:
        """What is wrong with a reader's way out; None when it answers over HTTPS, and is this newsletter's.

        Asked are the link, which is signed, and one that was altered: who takes both, or neither, is another.
        """
        host = "/".join(url.split("/")[:3])
        if not url.startswith("https://"):
            return f"base_url {host} is not https"
        altered = url[:-1] + ("A" if url[-1] != "A" else "B")

        async def ask(fetch: Fetch) -> tuple[Response | SourceError, Response | SourceError]:
            return (
                await _fetch_one(fetch, url, obeys_robots=False),
                await _fetch_one(fetch, altered, obeys_robots=False),
            )

        # The operator's own host, which may well have a private address from here.
        sound, refused = self._run(ask, _EVERYWHERE)
        if isinstance(sound, SourceError):
            return str(sound)
        if not isinstance(refused, SourceError):
            return f"{host} answers, but it takes altered links: it is not this newsletter"
        return None

    def _run(self, work: Callable[[Fetch], Coroutine[Any, Any, T]], allow_private: Sequence[str]) -> T:
        from digest.sources.fetch import Fetcher

        async def go() -> T:
            async with Fetcher(user_agent=self._user_agent, allow_private=allow_private) as fetch:
                return await work(fetch)

        return asyncio.run(go())


async def _fetch_one(fetch: Fetch, url: str, *, obeys_robots: bool) -> Response | SourceError:
    """A page, or why it could not be had."""
    try:
        return await fetch(Request(url=url, limit=_PAGE_BYTES, obeys_robots=obeys_robots))
    except SourceError as error:
        return error
