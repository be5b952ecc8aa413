"""A message, built once for a rendition and joined for each recipient.

    Rendition + Letterhead ──build──> Template (constant parts) ──address──> the bytes of one message

The bodies are quoted-printable, encoded in pieces between the places where the reader's own link goes: a soft line
break can then never fall into a link, and addressing is a join of constant bytes. The same input gives the same
bytes. Headers that are the same for everyone are encoded by the standard library; the long links of RFC 8058 are
written as they are, since the library would fold or encode them (cpython #85725) and mail programs then offer no way
out.
"""

import hashlib
import quopri
import re
from collections.abc import Callable
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

import idna

from digest.errors import RenderError
from digest.models import UNSUBSCRIBE_TOKEN, Letterhead, Message, Rendition

_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")
# Words that need no quoting in a display name (RFC 5322 §3.2.3), and so few that the line needs no folding.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9' !#$%&*+/?^_`{|}~-]{1,60}")
_POLICY = SMTP.clone(utf8=False)
_LINE = 76
_EMPTY_LINE = re.compile(rb"^([A-Za-z-]+:)\s*\r\n ([^\r\n]+)", re.MULTILINE)
_LONGEST_NAME = 100


_LEADING_DOT = re.compile(rb"(?m)^\.")

# One recipient's own headers, and the link as it stands in the body → the header that signs the message.
Sign = Callable[[bytes, bytes], bytes]


@dataclass(frozen=True, slots=True)
class Template:
    """A message without its recipient: bytes before, between and after the reader's links."""

    head: bytes  # the headers that all share
    pieces: tuple[bytes, ...]  # the body, cut where a link goes
    sender_domain: str
    is_bulk: bool = True
    inbox: str | None = None

    def own(self, message: Message) -> tuple[bytes, bytes]:
        """What is one recipient's own: headers, and the link as it stands in the body."""
        headers = own_headers(message, self.sender_domain, is_bulk=self.is_bulk, inbox=self.inbox)
        return headers, encode_link(message.unsubscribe_url)

    def address(self, message: Message, sign: Sign | None = None) -> bytes:
        """The very bytes for one recipient, with CRLF line ends."""
        own, link = self.own(message)
        signature = sign(own, link) if sign else b""
        return b"".join((signature, own, self.head, link.join(self.pieces)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A message as it goes over SMTP, with the dot behind it. `size` is without what only the way needs (RFC 1870)."""

    content: bytes
    size: int
    is_ascii: bool


class Wire:
    """A template as it goes over SMTP: the dots that begin its lines are doubled (RFC 5321 §4.5.2), once for all."""

    def __init__(self, template: Template, sign: Sign | None = None) -> None:
        """`sign` is what signs each message of this template."""
        self._template = template
        self._sign = sign
        stuffed = tuple(_LEADING_DOT.sub(b"..", piece) for piece in template.pieces)
        self._opening = template.head + stuffed[0]
        self._rest = (*stuffed[1:-1], stuffed[-1] + b".\r\n") if len(stuffed) > 1 else ()
        if not self._rest:
            self._opening += b".\r\n"
        self._size = len(template.head) + sum(map(len, template.pieces))

    def fill(self, message: Message) -> Filled:
        """One recipient's: the same bytes as Template.address."""
        own, link = self._template.own(message)
        signature = self._sign(own, link) if self._sign else b""
        stuffed = _LEADING_DOT.sub(b"..", link)
        parts = [signature, own, self._opening]
        for piece in self._rest:
            parts += stuffed, piece
        return Filled(
            content=b"".join(parts),
            size=self._size + len(signature) + len(own) + len(link) * len(self._rest),
            is_ascii=own.isascii(),
        )


def build(rendition: Rendition, letterhead: Letterhead) -> Template:
    """The template of a rendition. Raises RenderError when it has no place for the reader's way out."""
    for name, body in (("HTML", rendition.html), ("text", rendition.text)):
        if letterhead.is_bulk and UNSUBSCRIBE_TOKEN not in body:
            raise RenderError(f"variant {rendition.variant}", f"its {name} part has no unsubscribe link")
    boundary = "=_" + hashlib.blake2b(f"{rendition.html}\n{rendition.text}".encode(), digest_size=16).hexdigest()
    head = _shared_headers(rendition, letterhead) + (
        b'MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary="%b"\r\n\r\n' % boundary.encode()
    )
    pieces = [b""]
    for kind, body in (("plain", rendition.text), ("html", rendition.html)):
        first, *rest = body.split(UNSUBSCRIBE_TOKEN)
        pieces[-1] += (
            f"--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\n"
            "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
        ).encode() + _encode_piece(first, last=False)
        for number, piece in enumerate(rest, 1):
            pieces.append(_encode_piece(piece, last=number == len(rest)))
        pieces[-1] += b"\r\n"
    pieces[-1] += f"--{boundary}--\r\n".encode()
    domain = _domain_of(letterhead.sender)
    return Template(
        head=head,
        pieces=tuple(pieces),
        sender_domain=domain,
        is_bulk=letterhead.is_bulk,
        inbox=letterhead.inbox,
    )


def envelope_sender(message: Message, letterhead: Letterhead) -> str:
    """Where a server that cannot deliver it says so.

    With an inbox, an address of this one delivery (VERP): who did not get it is known, whatever the server's words are.
    """
    if not (letterhead.is_bulk and letterhead.inbox):
        return parseaddr(letterhead.sender)[1]
    return tag_address(letterhead.inbox, message.send_key)


def tag_address(inbox: str, tag: str) -> str:
    """The same mailbox under a name of its own: local+tag@domain."""
    local, _, domain = inbox.rpartition("@")
    return f"{local}+{tag}@{domain}"


def ways_out(message: Message, inbox: str | None) -> str:
    """List-Unsubscribe: the reader's own link and, with an inbox, a mail that says the same (RFC 8058 §3.1, RFC 2369).

    The subject of that mail carries the link's token, so that nobody leaves in another's name.
    """
    url = _CONTROL.sub("", message.unsubscribe_url)
    if inbox is None:
        return f"<{url}>"
    token = url.rpartition("/")[2]
    mailbox = tag_address(ascii_address(inbox), "unsubscribe")
    return f"<{url}>, <mailto:{mailbox}?subject=unsubscribe%20{token}>"


def own_headers(message: Message, sender_domain: str, *, is_bulk: bool = True, inbox: str | None = None) -> bytes:
    """To, Message-ID and, of what is sent to many, the way out (RFC 8058 §3.1) of one recipient."""
    lines = [
        f"To: {format_address(message.name, message.email)}",
        f"Message-ID: <{message.send_key}@{sender_domain}>",
    ]
    if is_bulk:
        lines.append(f"List-Unsubscribe: {ways_out(message, inbox)}")
        lines.append("List-Unsubscribe-Post: List-Unsubscribe=One-Click")
    return "".join(f"{line}\r\n" for line in lines).encode()


def ascii_address(email: str) -> str:
    """The address with an international domain in its ASCII form (RFC 5891), which needs no SMTPUTF8.

    An address whose local part is not ASCII, or whose domain has no such form, stays as it is.
    """
    local, _, domain = email.rpartition("@")
    if domain.isascii() or not local.isascii():
        return email
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode('ascii')}"
    except idna.IDNAError:
        return email


def format_address(name: str | None, email: str) -> str:
    """`Name <address>` for a header, the name encoded by RFC 2047 where it is not ASCII; never with a line break."""
    email = ascii_address(_CONTROL.sub("", email))
    # "=?" would begin an encoded word: a name must not be able to hide another one.
    name = " ".join(_CONTROL.sub(" ", name or "").replace("=?", "= ?").split())[:_LONGEST_NAME].strip()
    if not name:
        return email
    if _PLAIN_NAME.fullmatch(name):
        return f"{name} <{email}>"
    encoded = EmailMessage(policy=_POLICY)
    encoded["To"] = Address(display_name=name, addr_spec="x@x.invalid")
    # The library may fold right after the name of the header.
    line = encoded.as_bytes().decode("ascii").partition(":")[2].strip()
    return line.replace("<x@x.invalid>", f"<{email}>")


def _shared_headers(rendition: Rendition, letterhead: Letterhead) -> bytes:
    shared = EmailMessage(policy=_POLICY)
    shared["From"] = _in_ascii(letterhead.sender)
    if letterhead.reply_to:
        shared["Reply-To"] = _in_ascii(letterhead.reply_to)
    shared["Subject"] = _clean(rendition.subject)
    shared["Date"] = format_datetime(letterhead.dated_at)
    if letterhead.is_bulk:
        shared["List-ID"] = format_address(_clean(letterhead.list_name), letterhead.list_id)
    shared["Auto-Submitted"] = "auto-generated"
    if letterhead.is_bulk:
        shared["Precedence"] = "bulk"
    return _EMPTY_LINE.sub(_fill_first_line, shared.as_bytes().removesuffix(b"\r\n"))


def _fill_first_line(found: "re.Match[bytes]") -> bytes:
    """The library leaves the first line empty where a text would just fit on the next: some filters distrust that."""
    name, text = found[1], found[2]
    cut = text.rfind(b" ", 0, _LINE - len(name))
    return b"%b %b\r\n %b" % (name, text[:cut], text[cut + 1 :]) if cut > 0 else found[0]


def _clean(text: str) -> str:
    return " ".join(_CONTROL.sub(" ", text).split())


def _in_ascii(sender: str) -> str:
    """A sender as configured, with an international domain in ASCII: the library would encode it as it does words."""
    cleaned = _clean(sender)
    email = parseaddr(cleaned)[1]
    return cleaned if email.isascii() else cleaned.replace(email, ascii_address(email))


def _domain_of(sender: str) -> str:
    domain = parseaddr(sender)[1].rpartition("@")[2]
    in_ascii = ascii_address(f"sender@{domain}").rpartition("@")[2]
    return in_ascii if in_ascii and in_ascii.isascii() else "localhost"


def _encode_piece(piece: str, *, last: bool) -> bytes:
    """Quoted-printable with CRLF; what is not the last piece ends in a soft line break, where a link follows."""
    lines = piece.replace("\r\n", "\n").replace("\r", "\n").encode()
    encoded = quopri.encodestring(lines).replace(b"\n", b"\r\n")
    if last:
        return encoded
    # A space before a line break, even a soft one, is dropped by some relays: it is written out.
    if encoded.endswith((b" ", b"\t")):
        encoded = encoded[:-1] + b"=%02X" % encoded[-1]
    before, line_break, line = encoded.rpartition(b"\r\n")
    if len(line) > _LINE - 1:
        cut = _find_cut(line, _LINE - 4)
        line = line[:cut] + b"=\r\n" + line[cut:]
    return before + line_break + line + b"=\r\n"


def _find_cut(line: bytes, limit: int) -> int:
    """Where a quoted-printable line may be broken: never between = and its two digits (RFC 2045 §6.7)."""
    cut = min(limit, len(line))
    while cut < len(line) and b"=" in line[max(0, cut - 2) : cut]:
        cut -= 1
    return cut


def encode_link(url: str) -> bytes:
    """A link within a quoted-printable body: on lines of its own, joined by soft line breaks."""
    encoded = _CONTROL.sub("", url).replace("=", "=3D").encode("ascii")
    lines = []
    while encoded:
        cut = _find_cut(encoded, _LINE - 1)
        lines.append(encoded[:cut])
        encoded = encoded[cut:]
    return b"=\r\n".join(lines) + b"=\r\n"
