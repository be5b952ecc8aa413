"""An IMAP mailbox (RFC 9051, RFC 3501). Asked through `imap_connection`.

Bodies are fetched with PEEK, so that a person's mail stays unread; that it was looked at is a keyword on it, where the
server keeps keywords, else it is remembered for as long as this reader lives. Mails are moved (RFC 6851) where the
server can, else copied and marked as deleted, and expunged by number only (RFC 4315): nobody else's mail is touched.
"""

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from digest.audience.imap_connection import ImapConnection, quote
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
        self._imap = ImapConnection(
            host=host,
            port=port,
            tls=tls,
            username=username,
            password=password,
            table="[inbox]",
            variable="DIGEST_IMAP_PASSWORD",
            seconds=seconds,
        )
        self._folder = folder
        self._keyword = f"$Digest-{reader}"
        self._keeps_keywords = False
        self._known: set[str] = set()
        self._made: set[str] = set()
        self._validity: list[Any] = []

    def __repr__(self) -> str:
        return f"ImapMailbox({self._imap!r})"

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
        numbers = ",".join(places)
        target = self._make(folder)
        self._ask("mark", lambda imap: imap.uid("STORE", numbers, "+FLAGS.SILENT", r"(\Seen)"))
        if "MOVE" in self._capabilities:
            self._ask("move", lambda imap: imap.uid("MOVE", numbers, target))
            return
        self._ask("copy", lambda imap: imap.uid("COPY", numbers, target))
        self._ask("mark", lambda imap: imap.uid("STORE", numbers, "+FLAGS.SILENT", r"(\Deleted)"))
        if "UIDPLUS" in self._capabilities:
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
        return f"{self._imap.place} answers ({self._imap.tls}); {self._folder} has {len((count or b'').split())} mails"

    def close(self) -> None:
        """Say goodbye, if the server still listens. Nothing is expunged by it."""
        self._imap.close()

    def _connect(self) -> None:
        if self._imap.is_open:
            return
        self._imap.open()
        try:
            flags = self._select()
        except MailboxError:
            self._imap.close()
            raise
        self._keeps_keywords = rb"\*" in flags or self._keyword.lower().encode() in flags.lower()

    def _select(self) -> bytes:
        """Open the folder; the flags that may be kept."""
        self._imap.select(quote(self._folder), shown=self._folder)
        answer = self._imap.response("PERMANENTFLAGS")
        self._known = self._known if self._is_same_folder() else set()
        return b" ".join(one for one in answer if isinstance(one, bytes))

    def _is_same_folder(self) -> bool:
        """Whether numbers mean what they meant when this reader was last connected (UIDVALIDITY)."""
        answer = self._imap.response("UIDVALIDITY")
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
        name = quote(f"{prefix}Digest{separator}{folder}")
        if name not in self._made:
            with contextlib.suppress(MailboxError):  # it is there already
                self._ask("create", lambda imap: imap.create(name))
            with contextlib.suppress(MailboxError):
                self._ask("subscribe", lambda imap: imap.subscribe(name))
            self._made.add(name)
        return name

    @property
    def _capabilities(self) -> Sequence[str]:
        self._connect()
        return self._imap.capabilities

    def _ask(self, what: str, command: Callable[[Any], tuple[str, Any]]) -> list[Any]:
        """One command, with the folder open."""
        self._connect()
        return self._imap.ask(what, command)


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
