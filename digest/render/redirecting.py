"""A rendition as it is mailed where clicks or opens are counted: redirects for stories' links, and a picture. Pure.

The same in everybody's mail, so that nobody is told from another. What is kept and shown on the web view has the links
themselves and no picture. Links that act (the way out, the preferences, the web view) are never a story's, and stay.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from html import escape, unescape
from typing import Final
from urllib.parse import quote

from digest.models import Edition, Rendition
from digest.render import read_address

_HREF: Final = re.compile(r'(\shref=")([^"]*)(")', re.IGNORECASE)
_LINE: Final = re.compile(r"^([ \t]*)(https?://\S+)([ \t]*)$", re.MULTILINE | re.IGNORECASE)
_END: Final = re.compile(r"</body\s*>", re.IGNORECASE)
_PIXEL: Final = re.compile(r'<img src="[^"]*" width="1" height="1" alt="" role="presentation" data-counts="open">')
_ASCII: Final = "".join(map(chr, range(0x21, 0x7F)))


def list_links(edition: Edition) -> dict[int, str]:
    """The addresses that an edition's stories lead to, each by a number made of it.

    Made of the address and not of its place: what is moved or dropped later leaves the others' numbers as they are. Of
    two with one number only the first has it, and the other is not counted.
    """
    found: dict[int, str] = {}
    for item in edition.items:
        for link in (item.link, *(mention.link for mention in item.also)):
            if address := _spell(read_address(link)):
                found.setdefault(int(hashlib.sha256(address.encode()).hexdigest()[:7], 16), address)
    return found


def count_links(rendition: Rendition, redirects: Mapping[str, str], pixel: str | None) -> Rendition:
    """With each address of `redirects` in the place of what it stands for, and the picture `pixel` at the end."""

    def lead(found: re.Match[str]) -> str:
        redirect = redirects.get(_spell(unescape(found[2])))
        return f"{found[1]}{escape(redirect)}{found[3]}" if redirect else found[0]

    def lead_text(found: re.Match[str]) -> str:
        return f"{found[1]}{redirects.get(_spell(found[2]), found[2])}{found[3]}"

    html, text = rendition.html, rendition.text
    if redirects:
        html, text = _HREF.sub(lead, html), _LINE.sub(lead_text, text)
    if pixel:
        picture = f'<img src="{escape(pixel)}" width="1" height="1" alt="" role="presentation" data-counts="open">'
        ends = list(_END.finditer(html))
        at = ends[-1].start() if ends else len(html)
        html = f"{html[:at]}{picture}\n{html[at:]}"
    return replace(rendition, html=html, text=text)


def without_picture(html: str) -> str:
    """Without the picture that counts, which the operator asked for and need not be warned of."""
    return _PIXEL.sub("", html)


def _spell(address: str) -> str:
    """One spelling of an address: parsers of HTML encode what is not ASCII."""
    return quote(address, safe=_ASCII)
