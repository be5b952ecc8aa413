"""Who made a request for a counted link or picture: a person, or one of the programs that follow every link. Pure.

    request ──judge──> person | scanner | prefetcher | proxy ──find_bursts──> persons who cannot be any are scanners

It errs towards scanners: a number that is too small misleads less than one that filters have made. It knows nobody:
links are the same in everybody's mail, and a network is told from another within one day only.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from digest.models import Count, CountKind, MadeBy

BURST_LINKS: Final = 3  # different links of one edition, asked for by one network …
BURST: Final = timedelta(seconds=10)  # … within so long, are followed by a machine
AT_ONCE: Final = timedelta(seconds=10)  # so soon after the first message left, filters look and nobody reads
AGAIN: Final = timedelta(minutes=1)  # the same once more from the same network is no second reader

RULE: Final = (
    "Left out of the people: requests that are no GET or say that they prefetch; programs that name themselves as "
    "scanners, previews of links or tools, or not at all; who asks for "
    f"{BURST_LINKS} or more different links of an edition within {BURST.seconds} seconds from one network; "
    f"what comes within {AT_ONCE.seconds} seconds of the first message. The same again within a minute counts once. "
    "Pictures that a mailbox fetches by itself (Gmail, Apple Mail, Yahoo) tell nothing of reading, and are counted "
    "as proxies. Several people behind one network may be taken for one, and a scanner may pass for a person: these "
    "are estimates."
)

_PROXIES: Final = re.compile(r"googleimageproxy|ggpht\.com|yahoomailproxy|yahoocachesystem", re.IGNORECASE)
_PLAIN: Final = re.compile(r"Mozilla/5\.0/?")  # all that Apple's privacy proxy says of itself
_PREFETCH: Final = re.compile(r"prefetch|preview|prerender", re.IGNORECASE)
_BROWSER: Final = re.compile(r"(?:Mozilla|Opera)/\d")
# Words by which robots, link previews, mail filters and programmers' tools name themselves within a browser's name.
_MACHINES: Final = re.compile(
    r"bot\b|bot/|bots\b|spider|crawl|scan|preview|monitor|headless|phantom|puppeteer|playwright|selenium|"
    r"facebookexternalhit|facebot|whatsapp|telegram|slack|discord|skypeuripreview|embedly|pinterest|vkshare|"
    r"barracuda|proofpoint|mimecast|ironport|trendmicro|fortinet|sophos|symantec|messagelabs|zscaler|paloalto|"
    r"safelinks|safebrowsing|google-safety|google-read-aloud|googleother|mediapartners|existence discovery|"
    r"ms-office|msoffice|microsoft office|urldefense|virustotal|lighthouse|pagespeed|feedfetcher|wget|curl|python|"
    r"okhttp|java/|http-?client|libwww|axios|node-fetch|compatible; *(?:google|bing)",
    re.IGNORECASE,
)


def judge(method: str, headers: Mapping[str, str], kind: CountKind) -> MadeBy:
    """Who made a request, by itself. `headers` are asked for by names in small letters."""
    agent = headers.get("user-agent", "").strip()
    if any(_PREFETCH.search(headers.get(name, "")) for name in ("sec-purpose", "purpose", "x-purpose", "x-moz")):
        return MadeBy.PREFETCHER
    if method != "GET":
        return MadeBy.SCANNER
    if kind == "open" and (_PROXIES.search(agent) or _PLAIN.fullmatch(agent)):
        return MadeBy.PROXY
    if not _BROWSER.match(agent) or _PLAIN.fullmatch(agent) or _MACHINES.search(agent) or _PROXIES.search(agent):
        return MadeBy.SCANNER
    return MadeBy.PERSON


def is_at_once(at: datetime, first_sent_at: datetime | None) -> bool:
    """Whether nobody can have read the mail yet."""
    return first_sent_at is not None and at - first_sent_at < AT_ONCE


def find_bursts(counts: Iterable[Count]) -> set[int]:
    """The ids of clicks that came too quickly after each other, on too many links, to be a person's."""
    by_network: dict[tuple[int, str], list[Count]] = defaultdict(list)
    for count in counts:
        if count.kind == "click":
            by_network[count.edition, count.network].append(count)
    found: set[int] = set()
    for clicks in by_network.values():
        found |= _find_bursts_of_one(sorted(clicks, key=lambda click: click.at))
    return found


def _find_bursts_of_one(clicks: Sequence[Count]) -> set[int]:
    found: set[int] = set()
    start = 0
    for end, last in enumerate(clicks):
        while last.at - clicks[start].at > BURST:
            start += 1
        within = clicks[start : end + 1]
        if len({click.link for click in within}) >= BURST_LINKS:
            found.update(click.id for click in within)
    return found


def name_network(address: str) -> str:
    """What is one network here: an IPv4 address; of IPv6 the /64 that one household has; "" for what is neither."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or ip_network((int(parsed), 64), strict=False))
    return str(parsed)
