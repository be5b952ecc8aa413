"""Links: their parts, those of a mail that can be tried, and what came of trying them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import unquote, urlsplit

from digest.models import UNSUBSCRIBE_TOKEN, Finding, Severity

# Names that exist on paper only (RFC 2606, RFC 6761), and this machine.
_RESERVED: Final = re.compile(
    r"(?:^|\.)(?:example(?:\.(?:com|net|org))?|test|invalid|localhost)$|^127\.|^::1$", re.IGNORECASE
)
_THIS_MACHINE: Final = re.compile(r"^(?:(?:.+\.)?localhost|127\..+|::1)$", re.IGNORECASE)
_GONE: Final = frozenset({404, 410})


def split_url(url: str) -> tuple[str, str]:
    """Scheme and host in lower case; empty for what is no URL."""
    try:
        parts = urlsplit(url)
        return parts.scheme.lower(), (parts.hostname or "").lower()
    except ValueError:
        return "", ""


def find_fault(url: str) -> tuple[Severity, str] | None:
    """How much is wrong with a URL that names a host, and what; None: nothing."""
    parts = urlsplit(url)
    host = unquote(parts.hostname or "")
    if re.search(r"[\s<>\"{}|\\^`]", host):
        return "fail", f"names a host that is none, {host}"
    if "" in host.removesuffix(".").split(".") and parts.hostname:
        return "fail", f"names a host with an empty part, {host}"
    try:
        is_port = parts.port != 0
    except ValueError:
        is_port = False
    if not is_port:
        return "fail", "names a port that is none"
    if re.search(r"%(?![0-9A-Fa-f]{2})", url):
        return "warn", "has a per cent sign that begins no encoded letter"
    return None


def is_reserved(host: str) -> bool:
    """Whether no reader can reach it, whatever the network says."""
    return bool(_RESERVED.search(host))


def is_this_machine(host: str) -> bool:
    """Whether it is this machine itself: what a rehearsal leads to."""
    return bool(_THIS_MACHINE.match(host))


def links_to_try(links: Iterable[tuple[str, str]], ways_out: Sequence[str]) -> dict[str, str]:
    """Each address that a reader may follow, with its place, of pairs of both; never a way out."""
    found: dict[str, str] = {}
    for url, place in links:
        scheme, host = split_url(url)
        if scheme not in {"http", "https"} or url in ways_out or UNSUBSCRIBE_TOKEN in url:
            continue
        if not is_reserved(host) or host[:1].isdigit():  # an address of this machine can be tried, a paper name cannot
            found.setdefault(url, place)
    return found


def judge_answers(places: Mapping[str, str], answers: Mapping[str, tuple[int | None, str] | None]) -> Iterator[Finding]:
    """A finding for each link that did not answer: `answers` has a status, if any, and what was wrong, else None.

    A page that is gone is a warning. What refuses machines (401, 403, 429, …) may well let a reader in: a remark.
    """
    for url, place in places.items():
        if (answer := answers.get(url)) is None:
            continue
        status, fault = answer
        is_refusal = status is not None and status not in _GONE
        yield Finding(
            rule="link-refused" if is_refusal else "link-dead",
            severity="info" if is_refusal else "warn",
            message=f"{url} does not answer: {fault}.",
            where=place,
        )
