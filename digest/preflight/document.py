"""Bytes from anywhere → the parts of a mail, told by content and never by name."""

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message

_LARGEST = 50_000_000  # bytes, unpacked

_HEADER_LINE = re.compile(rb"(?:From [^\n]*\r?\n)?[!-9;-~]+:[ \t]?[^\n]*\r?\n")
_HTML = re.compile(rb"<(?:!doctype|html|head|body|table|div|p|a|h[1-6])\b", re.IGNORECASE)
_CHARSET = re.compile(rb"<meta[^>]+charset=[\"']?\s*([\w.:-]+)", re.IGNORECASE)


class UnreadableError(ValueError):
    """The bytes are no mail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A mail in parts. Of an HTML file alone, there is only `html`."""

    html: str
    text: str | None = None
    headers: Mapping[str, str] | None = None  # unfolded; names in lower case
    subject: str | None = None
    raw: bytes = b""  # as it is transmitted
    message: Message | None = None  # the same, parsed


def read_document(raw: bytes) -> Document:
    """An HTML file or a message (RFC 5322), either of them gzipped or not. Raises UnreadableError."""
    plain = _unpack(raw).removeprefix(b"\xef\xbb\xbf").lstrip()
    if _HEADER_LINE.match(plain):
        return _read_message(plain, message_from_bytes(plain))
    if not _HTML.search(plain):
        raise UnreadableError("This is neither HTML nor a message with headers.")
    return Document(html=_decode(plain))


def _read_message(raw: bytes, message: Message) -> Document:
    bodies = {"text/html": "", "text/plain": ""}
    for part in message.walk():
        kind = part.get_content_type()
        if kind in bodies and not bodies[kind] and part.get_content_disposition() != "attachment":
            payload = part.get_payload(decode=True)
            bodies[kind] = _decode(payload, part.get_content_charset()) if isinstance(payload, bytes) else ""
    headers: dict[str, str] = {}
    for name, value in message.items():
        headers.setdefault(name.lower(), re.sub(r"\r?\n[ \t]+", " ", str(value)).strip())
    return Document(
        html=bodies["text/html"],
        text=bodies["text/plain"],
        headers=headers,
        subject=_read_words(headers.get("subject", "")),
        raw=raw,
        message=message,
    )


def _unpack(raw: bytes) -> bytes:
    if not raw.startswith(b"\x1f\x8b"):
        return raw
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(raw, _LARGEST)
    except zlib.error as error:
        raise UnreadableError(f"The gzip is damaged: {error}") from error
    if not unpacker.eof:
        raise UnreadableError(f"The gzip is cut off, or unpacks to more than {_LARGEST:,} bytes.")
    return plain


def _decode(raw: bytes, charset: str | None = None) -> str:
    """By the charset named beside the bytes, as UTF-8, by the one named inside; Latin-1 takes anything."""
    named = _CHARSET.search(raw[:4096])
    for guess in (charset, "utf-8", named and named.group(1).decode("ascii", "replace")):
        try:
            if guess:
                return raw.decode(guess)
        except (LookupError, ValueError):
            continue
    return raw.decode("latin-1")


def _read_words(header: str) -> str:
    """A header with its encoded words (RFC 2047) read; as it is where that fails."""
    try:
        return str(make_header(decode_header(header)))
    except (HeaderParseError, LookupError, UnicodeDecodeError, ValueError):
        return header
