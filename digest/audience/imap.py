"""An IMAP mailbox (RFC 9051, RFC 3501). The only module that knows imaplib.

Bodies are fetched with PEEK, so that a person's mail stays unread; that it was looked at is a keyword on it, where the
server keeps keywords, else it is remembered for as long as this reader lives. Mails are moved (RFC 6851) where the
server can, else copied and marked as deleted, and expunged by number only (RFC 4315): nobody else's mail is touched.
"""

import base64
import contextlib
import imaplib
import re
import ssl
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from digest.audience.mailbox.reading import LONGEST
from digest.errors import MailboxError
from digest.models import Incoming

_BATCH = 10
_UID = re.compile(rb"\bUID (\d+)")
_DATE = re.compile(rb'INTERNALDATE "([^"]+)"')
_PERSONAL = re.compile(rb'^\(\("((?:[^"\\]|\\.)*)" (?:"(\\?.)"|NIL)')


class ImapMailbox:
    """protocols.Mailbox. Connects when it is first needed."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        tls: Literal["tls", "starttls", "none"],
        username: str,
        password: str,
        folder: str,
        reader: str,
        seconds: float = 30.0,
    ) -> None:
        """`reader` tells what one newsletter has looked at from what another has; `seconds` bounds each wait."""
        self._host, self._port, self._tls = host, port, tls
        self._username, self._password = username, password
        self._folder = folder
        self._keyword = f"$Digest-{reader}"
        self._seconds = seconds
        self._connection: imaplib.IMAP4 | None = None
        self._keeps_keywords = False
        self._known: set[str] = set()
        self._made: set[str] = set()
        self._validity: object = None

    def __repr__(self) -> str:
        return f"ImapMailbox(host={self._host!r}, port={self._port}, tls={self._tls!r})"

    def batches(self) -> Iterator[list[Incoming]]:
        """What was not looked at yet, by number."""
        self._connect()
        criteria = ["UNDELETED", *(["UNKEYWORD", self._keyword] if self._keeps_keywords else [])]
        (found,) = self._ask("search", lambda imap: imap.uid("SEARCH", *criteria))
        places = [
            place for place in sorted((found or b"").decode("ascii").split(), key=int) if place not in self._known
        ]
        for start in range(0, len(places), _BATCH):
            yield self._fetch(places[start : start + _BATCH])

    def move(self, places: Sequence[str], folder: str) -> None:
        """Into the folder `Digest/<folder>`, by the server's own separator, as read."""
        if not places:
            return
        imap, numbers = self._connect(), ",".join(places)
        target = self._make(folder)
        self._ask("mark", lambda imap: imap.uid("STORE", numbers, "+FLAGS.SILENT", r"(\Seen)"))
        if "MOVE" in imap.capabilities:
            self._ask("move", lambda imap: imap.uid("MOVE", numbers, target))
            return
        self._ask("copy", lambda imap: imap.uid("COPY", numbers, target))
        self._ask("mark", lambda imap: imap.uid("STORE", numbers, "+FLAGS.SILENT", r"(\Deleted)"))
        if "UIDPLUS" in imap.capabilities:
            self._ask("expunge", lambda imap: imap.uid("EXPUNGE", numbers))

    def pass_over(self, places: Sequence[str]) -> None:
        """A keyword on each."""
        self._known.update(places)
        if places and self._keeps_keywords:
            self._ask("mark", lambda imap: imap.uid("STORE", ",".join(places), "+FLAGS.SILENT", f"({self._keyword})"))

    def check(self) -> str:
        """Log in and open the folder."""
        self._connect()
        (count,) = self._ask("search", lambda imap: imap.uid("SEARCH", "UNDELETED"))
        return (
            f"{self._host}:{self._port} answers ({self._tls}); {self._folder} has {len((count or b'').split())} mails"
        )

    def close(self) -> None:
        """Say goodbye, if the server still listens. Nothing is expunged by it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(imaplib.IMAP4.error, OSError):
                connection.logout()

    @property
    def _subject(self) -> str:
        return f"inbox {self._host}:{self._port}"

    def _connect(self) -> imaplib.IMAP4:
        if self._connection is not None:
            return self._connection
        try:
            context = ssl.create_default_context()
            imap: imaplib.IMAP4
            if self._tls == "tls":
                imap = imaplib.IMAP4_SSL(self._host, self._port, ssl_context=context, timeout=self._seconds)
            else:
                imap = imaplib.IMAP4(self._host, self._port, timeout=self._seconds)
        except (imaplib.IMAP4.error, OSError, ValueError) as error:
            raise MailboxError(self._subject, "no connection", remedy="check [inbox] host, port and tls") from error
        self._connection = imap
        try:
            if self._tls == "starttls":
                self._ask("start TLS", lambda imap: imap.starttls(ssl_context=context))
            self._log_in(imap)
            flags = self._select()
        except MailboxError:
            self.close()
            raise
        self._keeps_keywords = rb"\*" in flags or self._keyword.lower().encode() in flags.lower()
        return imap

    def _log_in(self, imap: imaplib.IMAP4) -> None:
        remedy = "check [inbox] username and DIGEST_IMAP_PASSWORD"
        secret = f"\0{self._username}\0{self._password}".encode()
        try:
            if "AUTH=PLAIN" in imap.capabilities:  # RFC 4616: takes any characters, as LOGIN does not
                status, _ = imap.authenticate("PLAIN", lambda _: secret)
            else:
                status, _ = imap.login(self._username, self._password)
        except (imaplib.IMAP4.abort, OSError) as error:
            raise MailboxError(self._subject, "the connection was lost at the login") from error
        except (imaplib.IMAP4.error, UnicodeError):
            raise MailboxError(self._subject, "the login was refused", remedy=remedy) from None  # it may repeat us
        if status != "OK":
            raise MailboxError(self._subject, "the login was refused", remedy=remedy)
        # What may be used is often told only to those who are in.
        answer = self._ask("capability", lambda imap: imap.capability())
        imap.capabilities = tuple(str(answer[-1], "ascii", "replace").upper().split())

    def _select(self) -> bytes:
        """Open the folder; the flags that may be kept."""
        self._ask(f"open {self._folder}", lambda imap: imap.select(_quote(self._folder)), remedy="check [inbox] folder")
        connection = self._connection
        answer = connection.response("PERMANENTFLAGS")[1] if connection else None
        self._known = self._known if self._is_same_folder() else set()
        return b" ".join(one for one in answer or [] if isinstance(one, bytes))

    def _is_same_folder(self) -> bool:
        """Whether numbers mean what they meant when this reader was last connected (UIDVALIDITY)."""
        connection = self._connection
        answer = connection.response("UIDVALIDITY")[1] if connection else None
        before, self._validity = self._validity, answer
        return before == answer

    def _fetch(self, places: Sequence[str]) -> list[Incoming]:
        wanted = f"(UID INTERNALDATE BODY.PEEK[]<0.{LONGEST}>)"
        answer = self._ask("fetch", lambda imap: imap.uid("FETCH", ",".join(places), wanted))
        found = []
        for number, piece in enumerate(answer):
            if not (isinstance(piece, tuple) and len(piece) == 2):
                continue
            after = answer[number + 1] if number + 1 < len(answer) else b""
            head = piece[0] + b" " + (after if isinstance(after, bytes) else b"")
            if uid := _UID.search(head):
                found.append(
                    Incoming(place=uid[1].decode("ascii"), content=piece[1][:LONGEST], received_at=_read_date(head))
                )
        return found

    def _make(self, folder: str) -> str:
        """The name of one of our folders, as commands take it."""
        answer = self._ask("namespace", lambda imap: imap.namespace()) if "NAMESPACE" in self._capabilities else [b""]
        found = _PERSONAL.match(answer[0] or b"")
        prefix = found[1].decode("ascii", "replace") if found else ""
        separator = found[2].decode("ascii", "replace").lstrip("\\") if found and found[2] else "/"
        name = _quote(f"{prefix}Digest{separator}{folder}")
        if name not in self._made:
            with contextlib.suppress(MailboxError):  # it is there already
                self._ask("create", lambda imap: imap.create(name))
            with contextlib.suppress(MailboxError):
                self._ask("subscribe", lambda imap: imap.subscribe(name))
            self._made.add(name)
        return name

    @property
    def _capabilities(self) -> Sequence[str]:
        return self._connect().capabilities

    def _ask(self, what: str, command: Callable[[imaplib.IMAP4], tuple[str, Any]], *, remedy: str = "") -> list[Any]:
        """One command. Raises MailboxError when the server says no, or nothing."""
        imap = self._connect()
        try:
            status, answer = command(imap)
        except (imaplib.IMAP4.abort, OSError) as error:
            self._connection = None
            with contextlib.suppress(OSError):
                imap.shutdown()
            raise MailboxError(self._subject, f"the connection was lost: {what}") from error
        except (imaplib.IMAP4.error, ValueError) as error:
            raise MailboxError(self._subject, f"it cannot {what}", remedy=remedy or None) from error
        if status != "OK":
            raise MailboxError(self._subject, f"it does not {what}", remedy=remedy or None)
        return list(answer)


def _read_date(head: bytes) -> datetime:
    """INTERNALDATE; now where the server does not tell, or tells of a time to come."""
    now = datetime.now(UTC)
    found = _DATE.search(head)
    if not found:
        return now
    try:
        return min(now, datetime.strptime(found[1].decode("ascii").strip(), "%d-%b-%Y %H:%M:%S %z").astimezone(UTC))
    except (ValueError, OverflowError):
        return now


def _quote(name: str) -> str:
    """A folder's name in modified UTF-7 (RFC 3501 §5.1.3), quoted."""
    written = re.sub(r"[^\x20-\x25\x27-\x7e]+", _shift, name)
    return '"' + written.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _shift(found: re.Match[str]) -> str:
    if found[0] == "&":
        return "&-"
    encoded = base64.b64encode(found[0].encode("utf-16-be")).decode("ascii").rstrip("=").replace("/", ",")
    return f"&{encoded}-"
