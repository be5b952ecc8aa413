"""Mails as entries: one message, or a mailbox of them (RFC 4155). A newsletter that comes by mail is a source too."""

import email
import email.policy
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Final

from digest.errors import DigestError, SourceError
from digest.models import Entry, Feed, Page
from digest.sources.encoding import decode
from digest.sources.markup import absolute, escape, plain_name, sanitise

_SEPARATOR: Final = re.compile(rb"^From [^\r\n]+\r?\n(?=[A-Za-z][\w-]*:)", re.MULTILINE)
_HEADER: Final = re.compile(rb"(?:[!-9;-~]+:[^\r\n]*\r?\n(?:[ \t]+[^\r\n]*\r?\n)*)+")
_QUOTED_FROM: Final = re.compile(rb"^>(>*From )", re.MULTILINE)
_MOST: Final = 2000  # messages of one mailbox, the newest


def is_mail(body: bytes) -> bool:
    """Whether a document is a message or a mailbox: it begins with a header that says from whom and about what."""
    start = _SEPARATOR.match(body)
    header = _HEADER.match(body, start.end() if start else 0)
    if header is None:
        return False
    names = {line.partition(b":")[0].lower() for line in header.group().splitlines()}
    return b"from" in names and bool(names & {b"subject", b"date", b"message-id", b"received"})


def parse_mail(body: bytes, read_page: Callable[[bytes, str], Page]) -> Feed:
    """An entry for each message. `read_page` finds the article in an HTML or text body. Raises SourceError."""
    entries = tuple(entry for raw in _messages(body)[-_MOST:] if (entry := _entry(raw, read_page)))
    if not entries:
        raise SourceError("document", "its messages hold no text")
    return Feed(entries=entries)


def _messages(body: bytes) -> list[bytes]:
    starts = [(found.start(), found.end()) for found in _SEPARATOR.finditer(body)]
    if not starts or starts[0][0] != 0:
        return [body]
    ends = [start for start, _ in starts[1:]] + [len(body)]
    return [_QUOTED_FROM.sub(rb"\1", body[start:end]) for (_, start), end in zip(starts, ends, strict=True)]


def _entry(raw: bytes, read_page: Callable[[bytes, str], Page]) -> Entry | None:
    """What a message says; None when it says nothing. Strangers' headers may be broken in any way."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    body = _body(message)
    if body is None:
        return None
    content, is_html = body
    link = next((found for name in ("Archived-At", "List-Archive") if (found := _link(message, name))), None)
    title = plain_name(_header(message, "Subject"))
    try:
        page = read_page(content.encode("utf-8", errors="replace"), link or "")
    except DigestError:
        page = None
    return Entry(
        id=_header(message, "Message-ID") or None,
        title=title or (page.title if page else None),
        link=link,
        published_at=_date(message),
        author=_author(message),
        text=page.text if page else None,
        content=None if page else sanitise(content if is_html else escape(content)),
        language=plain_name(_header(message, "Content-Language")),
    )


def _body(message: EmailMessage) -> tuple[str, bool] | None:
    """The HTML of a message, else its text; and whether it is HTML."""
    for kind in ("text/html", "text/plain"):
        for part in _parts(message):
            if part.get_content_type() != kind or part.get_content_disposition() == "attachment":
                continue
            payload = part.get_payload(decode=True)
            if isinstance(payload, bytes) and payload.strip():
                charset = part.get_content_charset()
                return decode(payload, f"{kind}; charset={charset}" if charset else None), kind == "text/html"
    return None


def _parts(message: EmailMessage) -> Iterator[EmailMessage]:
    for part in message.walk():
        if isinstance(part, EmailMessage):
            yield part


def _header(message: EmailMessage, name: str) -> str:
    try:
        return str(message.get(name) or "").strip()
    except (ValueError, LookupError, AttributeError, IndexError, TypeError):  # the parser of headers trips over some
        return ""


def _link(message: EmailMessage, name: str) -> str | None:
    found = re.search(r"<?(https?://[^\s<>]+)>?", _header(message, name))
    return absolute(found.group(1)) if found else None


def _author(message: EmailMessage) -> str | None:
    name, _, address = _header(message, "From").rpartition("<")
    return plain_name(name.strip(' "')) or plain_name(address.strip("> "))


def _date(message: EmailMessage) -> datetime | None:
    try:
        instant: datetime | None = message["Date"].datetime
    except (ValueError, LookupError, AttributeError, IndexError, TypeError):
        return None
    if instant is None:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
