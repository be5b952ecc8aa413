"""A seed mailbox: what came to it since it was opened, and whether the receiver takes that for junk.

Only header fields are fetched, with PEEK. Mails stay where they are; copies are marked as read. Junk folders are found
by their special use (RFC 6154), else by their usual names.
"""

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from digest.audience.imap_connection import ImapConnection, quote, quote_raw
from digest.errors import MailboxError
from digest.models import Copy

_BATCH = 10
_MOST = 200  # mails of a folder that are looked at each time, the newest: a seed mailbox gets little else
_LONGEST = 262_144  # bytes of a mail's header fields
_UID = re.compile(rb"\bUID (\d+)")
_LISTED = re.compile(rb'^\(([^)]*)\) (?:"(\\?.)"|NIL) (.*)$', re.DOTALL)
_JUNK = frozenset({"junk", "spam", "junk email", "junk e-mail", "junk mail", "bulk mail", "bulk"})


@dataclass(slots=True)
class _Folder:
    """A folder that is looked into, by its name as commands take it."""

    name: str
    shown: str
    is_junk: bool = False
    validity: list[Any] = field(default_factory=list)
    first: int = 1  # the lowest number that a mail may have which came since
    known: set[str] = field(default_factory=set)


class ImapSeeds:
    """protocols.SeedMailbox."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        tls: Literal["tls", "starttls", "none"],
        username: str,
        password: str,
        folder: str,
        variable: str = "DIGEST_CANARY_PASSWORD",
        seconds: float = 30.0,
    ) -> None:
        """`variable` of the environment holds the password; `seconds` bounds each wait."""
        self._imap = ImapConnection(
            host=host,
            port=port,
            tls=tls,
            username=username,
            password=password,
            table="[canary]",
            variable=variable,
            seconds=seconds,
        )
        self._folder = _Folder(name=quote(folder), shown=folder)
        self._folders: list[_Folder] = []

    def __repr__(self) -> str:
        return f"ImapSeeds({self._imap!r})"

    def begin(self) -> None:
        """Log in, and remember where what is to come begins."""
        self._folders = [self._folder, *self._find_junk()]
        for number, folder in enumerate(list(self._folders)):
            try:
                self._imap.select(folder.name, shown=folder.shown)
            except MailboxError:
                if number == 0 or not self._imap.is_open:
                    raise
                self._folders.remove(folder)  # one that nobody can open
                continue
            folder.validity = self._imap.response("UIDVALIDITY")
            folder.known = set()
            folder.first = self._find_next()

    def arrived(self) -> list[Copy]:
        """What came since, and was not told yet; the folder itself first."""
        return [copy for folder in self._folders for copy in self._look(folder)]

    def mark(self, copies: Sequence[Copy]) -> None:
        """Mark these as read."""
        for folder in self._folders:
            places = ",".join(copy.place for copy in copies if copy.folder == folder.shown)
            if places:
                self._imap.select(folder.name, shown=folder.shown)
                self._store_seen(places)

    def check(self) -> str:
        """Log in, and see whether the folders are there."""
        self.begin()
        junk = ", ".join(folder.shown for folder in self._folders if folder.is_junk)
        where = f" and {junk}" if junk else "; no junk folder is known there"
        return f"{self._imap.place} answers ({self._imap.tls}); copies are looked for in {self._folder.shown}{where}"

    def close(self) -> None:
        """Say goodbye, if the server still listens."""
        self._imap.close()

    def _store_seen(self, places: str) -> None:
        self._imap.ask("mark", lambda imap: imap.uid("STORE", places, "+FLAGS.SILENT", r"(\Seen)"))

    def _find_junk(self) -> list[_Folder]:
        # Some servers tell of special uses only when they are asked for them.
        told = {"SPECIAL-USE", "LIST-EXTENDED"} <= set(self._imap.capabilities)
        pattern = '"*" RETURN (SPECIAL-USE)' if told else '"*"'
        with contextlib.suppress(MailboxError):
            listed = self._imap.ask("list", lambda imap: imap.list('""', pattern))
            return [folder for one in listed if (folder := _read_listed(one)) and folder.name != self._folder.name]
        if not self._imap.is_open:
            self._imap.open()
        return []

    def _find_next(self) -> int:
        """The number that the next mail of the open folder will have at least."""
        told = self._imap.response("UIDNEXT")
        if told and isinstance(told[-1], bytes) and told[-1].isdigit():
            return int(told[-1])
        return max(self._search("ALL"), default=0) + 1

    def _search(self, *criteria: str) -> list[int]:
        (found, *_) = self._imap.ask("search", lambda imap: imap.uid("SEARCH", *criteria))
        return [int(place) for place in (found or b"").split()]

    def _look(self, folder: _Folder) -> list[Copy]:
        self._imap.select(folder.name, shown=folder.shown)
        validity = self._imap.response("UIDVALIDITY")
        if validity != folder.validity:  # numbers mean something else now
            folder.validity, folder.first, folder.known = validity, 1, set()
        # "n:*" names the last mail also where its number is lower.
        found = sorted(place for place in self._search("UID", f"{folder.first}:*") if place >= folder.first)
        places = [str(place) for place in found[-_MOST:] if str(place) not in folder.known]
        copies: list[Copy] = []
        for start in range(0, len(places), _BATCH):
            copies += self._fetch(folder, places[start : start + _BATCH])
        folder.known.update(copy.place for copy in copies)
        return copies

    def _fetch(self, folder: _Folder, places: Sequence[str]) -> list[Copy]:
        wanted = f"(UID BODY.PEEK[HEADER]<0.{_LONGEST}>)"
        answer = self._imap.ask("fetch", lambda imap: imap.uid("FETCH", ",".join(places), wanted))
        copies = []
        for number, piece in enumerate(answer):
            if not (isinstance(piece, tuple) and len(piece) == 2):
                continue
            after = answer[number + 1] if number + 1 < len(answer) else b""
            about = piece[0] + b" " + (after if isinstance(after, bytes) else b"")
            if uid := _UID.search(about):
                place = uid[1].decode("ascii")
                copies.append(Copy(folder=folder.shown, place=place, head=piece[1], is_junk=folder.is_junk))
        return copies


def _read_listed(listed: Any) -> _Folder | None:
    """A junk folder from a line of LIST; None: it is another."""
    line, name = listed if isinstance(listed, tuple) else (listed, None)  # a name may come as a literal
    found = _LISTED.match(line) if isinstance(line, bytes) else None
    if not found:
        return None
    raw = (name if name is not None else found[3]).decode("ascii", "replace").strip()
    if name is None and raw.startswith('"'):
        raw = re.sub(r"\\(.)", r"\1", raw[1:-1])
    flags = found[1].lower().split()
    separator = found[2].decode("ascii", "replace").lstrip("\\") if found[2] else "/"
    last = raw.rpartition(separator)[2].lower()
    if rb"\noselect" in flags or (rb"\junk" not in flags and last not in _JUNK):
        return None
    return _Folder(name=quote_raw(raw), shown=raw, is_junk=True)
