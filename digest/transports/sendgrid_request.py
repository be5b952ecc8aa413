"""The bodies of mail/send: what all readers share is encoded once, each reader's part by itself, and they are joined.

    Batch ──encode──> Shared (once) + Part for each reader ──divide──> requests within SendGrid's limits ──join──> bytes

The sizes are those of the very bytes. Nothing is escaped that JSON does not want escaped: 58 kB of Cyrillic would be
163 kB otherwise. The same batch gives the same bytes.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import format_datetime, parseaddr
from typing import Any, Final

from digest.errors import Refused, RenderError
from digest.models import UNSUBSCRIBE_TOKEN, Batch, Letterhead, Message, fold_address
from digest.transports.mime import ascii_address, ways_out

MOST_READERS: Final = 1000
MOST_BYTES: Final = 30_000_000  # of a request; the documentation says 30 MB and not which
_MOST_OWN_BYTES: Final = 10_000  # of a reader's substitutions, and of custom_args
_MOST_CATEGORIES: Final = 10
_LONGEST_CATEGORY: Final = 255
_TRACKING: Final = {
    "click_tracking": {"enable": False, "enable_text": False},
    "open_tracking": {"enable": False},
    "subscription_tracking": {"enable": False},
    "ganalytics": {"enable": False},
}
# Public, and as fast as it gets: for a string alone the encoder is one call into C.
_quote: Final = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Part:
    """One reader's personalization; `fault` says why SendGrid would not take it."""

    message: Message
    content: bytes
    fault: str | None = None


def encode_shared(batch: Batch, *, sandbox: bool, categories: Sequence[str], subject: str) -> bytes:
    """What all readers of a request share, without the braces around it.

    Raises RenderError when there is no place for a reader's way out, and Refused, about `subject`, for a sender whose
    address SendGrid cannot write, and for an edition that no request could hold.
    """
    letterhead, rendition = batch.letterhead, batch.rendition
    for name, body in (("HTML", rendition.html), ("text", rendition.text)):
        if letterhead.is_bulk and UNSUBSCRIBE_TOKEN not in body:
            raise RenderError(f"variant {rendition.variant}", f"its {name} part has no unsubscribe link")
    sender = _party(letterhead.sender)
    if not sender["email"].isascii():
        raise Refused(subject, "the sender's address is not ASCII", remedy="it takes no other; change [newsletter]")
    shared: dict[str, Any] = {
        "from": sender,
        "subject": _plain(rendition.subject),
        # RFC 2046 §5.1.4: the plainest first.
        "content": [
            {"type": "text/plain", "value": rendition.text},
            {"type": "text/html", "value": rendition.html},
        ],
        "headers": {
            **_list_headers(letterhead),
            "Auto-Submitted": "auto-generated",
            "Date": format_datetime(letterhead.dated_at),
        },
        "categories": choose_categories(categories, letterhead.list_id),
        # Links stay as they are, and nobody is watched; also where the account's own settings say otherwise.
        "tracking_settings": _TRACKING,
    }
    if letterhead.reply_to:
        shared["reply_to"] = _party(letterhead.reply_to)
    settings = {"sandbox_mode": sandbox, "bypass_list_management": not letterhead.is_bulk}
    if any(settings.values()):
        # Who is on a list there and asks on our page to come back could otherwise never confirm it.
        shared["mail_settings"] = {name: {"enable": True} for name, is_on in settings.items() if is_on}
    encoded = _to_bytes(_quote(shared)[1:-1])
    if len(encoded) > MOST_BYTES - 2 * _MOST_OWN_BYTES:
        raise Refused(subject, f"the edition has {len(encoded):,} bytes, and a request may have {MOST_BYTES:,}")
    return encoded


def choose_categories(configured: Sequence[str], list_id: str) -> list[str]:
    """Those of the configuration and the list's own, each once, at most ten."""
    own = list_id[:_LONGEST_CATEGORY]
    others = list(dict.fromkeys(name for name in configured if name != own))
    return [*others[: _MOST_CATEGORIES - 1], own]


def encode_parts(messages: Sequence[Message], letterhead: Letterhead) -> list[Part]:
    """Each reader's own part."""
    local, _, domain = ascii_address(parseaddr(letterhead.sender)[1]).rpartition("@")
    domain = domain if local else "localhost"
    return [_encode_part(message, letterhead, domain) for message in messages]


def _encode_part(message: Message, letterhead: Letterhead, domain: str) -> Part:
    name = _name(message.name) if message.name else ""
    custom = f'{{"send_key":{_quote(message.send_key)}}}'
    headers = f'"Message-ID":{_quote(f"<{message.send_key}@{domain}>")}'
    own = substitutions = ""
    if letterhead.is_bulk:
        substitutions = f"{{{_quote(UNSUBSCRIBE_TOKEN)}:{_quote(message.unsubscribe_url)}}}"
        own = f',"substitutions":{substitutions}'
        headers = (
            f'"List-Unsubscribe":{_quote(ways_out(message, letterhead.inbox))},'
            f'"List-Unsubscribe-Post":"List-Unsubscribe=One-Click",{headers}'
        )
    to = f'{{"email":{_quote(ascii_address(message.email))}{f""","name":{_quote(name)}""" if name else ""}}}'
    content = _to_bytes(f'{{"to":[{to}],"headers":{{{headers}}}{own},"custom_args":{custom}}}')
    # Counted in characters first: only what comes near the limit is worth counting in bytes.
    return Part(message, content, _find_fault(substitutions, custom) if len(content) > _MOST_OWN_BYTES else None)


def _find_fault(substitutions: str, custom: str) -> str | None:
    for what, text in (("links", substitutions), ("send_key", custom)):
        if (size := len(_to_bytes(text))) > _MOST_OWN_BYTES:
            return f"the reader's {what} have {size:,} bytes, and SendGrid takes {_MOST_OWN_BYTES:,}"
    return None


def divide(parts: Sequence[Part], shared: bytes) -> Iterator[list[Part]]:
    """Requests of at most a thousand readers and 30 MB, in none of which an address stands twice.

    Addresses that differ by letter case or by how an international domain is written are one. Who is already in a
    request waits for the next; the order is kept otherwise.
    """
    room = MOST_BYTES - len(shared) - len(_OPEN) - len(_CLOSE)
    waiting = list(parts)
    while waiting:
        request: list[Part] = []
        later: list[Part] = []
        addresses: set[str] = set()
        used = 0
        for place, part in enumerate(waiting):
            if request and (len(request) == MOST_READERS or used + len(part.content) + 1 > room):
                later += waiting[place:]
                break
            folded = fold_address(ascii_address(part.message.email))
            if folded in addresses:
                later.append(part)
                continue
            addresses.add(folded)
            request.append(part)
            used += len(part.content) + 1
        yield request
        waiting = later


_OPEN, _CLOSE = b'{"personalizations":[', b"],"


def join(parts: Sequence[Part], shared: bytes) -> bytes:
    """A request's very bytes."""
    return b"".join((_OPEN, b",".join([part.content for part in parts]), _CLOSE, shared, b"}"))


def _list_headers(letterhead: Letterhead) -> Mapping[str, str]:
    if not letterhead.is_bulk:
        return {}
    return {"List-ID": f"{_plain(letterhead.list_name)} <{letterhead.list_id}>", "Precedence": "bulk"}


def _party(address: str) -> dict[str, str]:
    name, email = parseaddr(address)
    plain = _name(name)
    return {"email": ascii_address(email), **({"name": plain} if plain else {})}


def _name(text: str) -> str:
    """A display name; SendGrid takes no comma or semicolon in one."""
    if "," in text or ";" in text:
        text = text.replace(",", " ").replace(";", " ")
    return _plain(text)


def _plain(text: str) -> str:
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(text.split())


def _to_bytes(text: str) -> bytes:
    # Half of a surrogate pair is no text, and must not cost anybody the edition.
    return text.encode("utf-8", "replace")
