"""The headers and parts of a mail, whatever its bytes.

The standard library's parser, without its header classes, which trip over strangers' headers and spend seconds on some;
and without its way of taking reports and attached messages apart, which spends two minutes on two megabytes of empty
lines. Those are leaves here. What is too much of anything is no mail that a server writes to us: it is refused before
it costs time.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from typing import Final

LONGEST: Final = 2_000_000  # bytes of a mail that are looked at
_MOST_PARTS: Final = 500
_DEEPEST: Final = 8  # parts within parts
_LONGEST_HEADER: Final = 10_000
_LONGEST_PART: Final = 300_000  # characters
_LONGEST_TYPE: Final = 4000  # the library takes parameters apart in the square of their length
_CONTENT_FIELD: Final = re.compile(
    rb"^content-[a-z-]{4,20}[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*", re.IGNORECASE | re.MULTILINE
)
_KINDS_TAKEN_APART: Final = re.compile(
    rb"^(content-type[ \t]*:\s*)(message|multipart/digest)/?", re.IGNORECASE | re.MULTILINE
)
_EMPTY_LINE: Final = re.compile(rb"\r?\n\r?\n")
# No mail is written in these: they take the square of the length, or make what is no text.
_NO_CHARSETS: Final = {"punycode", "idna", "utf-7", "unicode-escape", "raw-unicode-escape", "undefined"}
_MOST_BLOCKS: Final = 1000


class Unreadable(Exception):
    """No mail that anybody could sort."""


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf of a mail; of an attached message its headers and all."""

    kind: str  # as "text/plain"
    text: str


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail, read."""

    message: Message
    head: str  # its own headers as they stand there, one a line
    parts: tuple[Part, ...]

    def header(self, name: str) -> str:
        """A header, decoded and on one line; "" when it is not there."""
        return read_header(self.message, name)

    def part(self, *kinds: str) -> str | None:
        """The text of the first part of one of these kinds."""
        return next((part.text for part in self.parts if part.kind in kinds), None)


def read_mail(raw: bytes) -> Mail:
    """The mail in these bytes. Raises Unreadable for what is built to be a burden."""
    raw = raw[:LONGEST]
    start = _EMPTY_LINE.search(raw)
    head = raw[: start.start()] if start else raw
    if (
        len(head) > _LONGEST_PART
        or raw.count(b"\n--") > 4 * _MOST_PARTS
        or raw.lower().count(b"boundary") > _MOST_PARTS
        or any(len(found[0]) > _LONGEST_TYPE for found in _CONTENT_FIELD.finditer(raw))
    ):
        raise Unreadable
    try:
        message = message_from_bytes(_KINDS_TAKEN_APART.sub(rb"\1text/x-\2-", raw), policy=policy.compat32)
        return Mail(message, unfold(head.decode("utf-8", "replace")), tuple(_read_parts(message)))
    except (RecursionError, ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
        raise Unreadable from error  # what the library's parser is known to trip over


def read_header(message: Message, name: str) -> str:
    """A header, decoded and on one line; "" when it is not there, as it stands when it cannot be decoded."""
    found = next((value for known, value in message.raw_items() if known.lower() == name.lower()), "")
    written = str(found)[:_LONGEST_HEADER].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    try:
        pieces = [
            piece if isinstance(piece, str) else _decode(piece, charset) for piece, charset in decode_header(written)
        ]
    except (HeaderParseError, LookupError, ValueError):
        pieces = [written]
    return " ".join("".join(pieces).split())


def read_blocks(text: str) -> list[dict[str, str]]:
    """The groups of fields of a report (RFC 3464 §2.1), by lower-case names; of a field the first counts."""
    blocks = []
    for piece in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n"), maxsplit=_MOST_BLOCKS)[:_MOST_BLOCKS]:
        fields: dict[str, str] = {}
        for line in unfold(piece).split("\n"):
            name, colon, value = line.partition(":")
            if colon:
                fields.setdefault(name.strip().lower(), " ".join(value.split()))
        if fields:
            blocks.append(fields)
    return blocks


def unfold(text: str) -> str:
    """Headers, each on one line."""
    return re.sub(r"\n[ \t]+", " ", text.replace("\r\n", "\n"))


def _read_parts(message: Message, depth: int = 0) -> Iterator[Part]:
    kind = message.get_content_type()
    payload = message.get_payload()
    if kind.startswith("multipart/") and isinstance(payload, list):
        if depth < _DEEPEST:
            for part in payload[:_MOST_PARTS]:
                if isinstance(part, Message):
                    yield from _read_parts(part, depth + 1)
        return
    yield Part(kind.replace("text/x-message-", "message/"), _read_text(message))


def _read_text(part: Message) -> str:
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return ""
    return _decode(content, part.get_content_charset())[:_LONGEST_PART].replace("\r\n", "\n")


def _decode(content: bytes, charset: str | None) -> str:
    """The text of these bytes, which a database takes."""
    try:
        name = codecs.lookup(charset or "utf-8").name
        text = content.decode("utf-8" if name in _NO_CHARSETS else name, "replace")
    except (LookupError, ValueError):
        text = content.decode("utf-8", "replace")
    return text.encode("utf-8", "replace").decode("utf-8")
