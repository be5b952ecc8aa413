"""A file beside the database that is only added to: what no older copy of the database may make undone.

    {"at": …, "by": "3f9a…", "left": ["9f…", …], "newsletter": "brief", "reason": "unsubscribed"}
    {"at": …, "by": "3f9a…", "back": ["9f…", …], "newsletter": "brief"}
    {"at": …, "by": "3f9a…", "begun": "2026-11-27", "newsletter": "brief", "cadence": "daily", "cutoff_at": …}

Addresses are the keyed hashes of `suppressing`; `by` names that key, and with it the database. "" is every newsletter.
A line is on the disk right before what it tells of is committed, or, of an edition, before anything of it leaves: after
a crash there may be a line too many, and never one too few. That it cannot be written keeps nobody from leaving, and no
edition from its readers: it is told, and written with the next. The database knows each line by a number: where one has
lines that it does not know, it is older than its journal.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Any, Final

from sqlalchemy import Connection, Engine, event

from digest.errors import StoreError
from digest.models import Cadence
from digest.stores.schema import journal_lines
from digest.stores.statements import chunks, upsert

_NOTED: Final = "digest journal"  # what a transaction is to add
_TAIL: Final = 64 * 1024  # bytes that tell, with few exceptions, whether a database is as new as its journal
_CHUNK: Final = 500  # addresses of a line


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """An edition of which somebody was about to be sent something."""

    newsletter: str
    cadence: Cadence
    date: date
    cutoff_at: datetime | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What happened at one time: some left, or came back, or an edition began to be sent."""

    number: int  # by which a database knows it
    at: datetime
    newsletter: str
    left: tuple[str, ...] = ()
    reason: str = ""
    back: tuple[str, ...] = ()
    begun: Begun | None = None


@dataclass(slots=True, kw_only=True)
class Reading:
    """The lines of one database, and how many were passed over."""

    by: str
    of_others: int = 0  # lines of another database
    broken: int = 0  # lines that cannot be read: a power cut may have torn one

    def read(self, lines: Iterable[bytes]) -> Iterator[Line]:
        """Those of this database, as they stand there."""
        for line in lines:
            try:
                told = json.loads(line)
                if told["by"] == self.by:
                    yield _read_line(line, told)
                else:
                    self.of_others += 1
            except (ValueError, KeyError, TypeError, AttributeError):
                self.broken += 1


def _read_line(line: bytes, told: Mapping[str, Any]) -> Line:
    at, newsletter, begun = datetime.fromisoformat(told["at"]), str(told["newsletter"]), None
    if "begun" in told:
        cutoff, day = told.get("cutoff_at"), date.fromisoformat(told["begun"])
        cutoff_at = datetime.fromisoformat(cutoff) if cutoff else None
        begun = Begun(newsletter=newsletter, cadence=told["cadence"], date=day, cutoff_at=cutoff_at, at=at)
    return Line(
        number=number_line(line),
        at=at,
        newsletter=newsletter,
        left=tuple(map(str, told.get("left", ()))),
        reason=str(told["reason"]) if "left" in told else "",
        back=tuple(map(str, told.get("back", ()))),
        begun=begun,
    )


def number_line(line: bytes) -> int:
    """By what a database knows a line, whatever journal it stands in: 64 bits of its bytes. Pure."""
    return int.from_bytes(blake2b(line.strip(), digest_size=8).digest(), signed=True)


def name_key(key: str) -> str:
    """By what a journal knows the key of a database, which it does not hold. Pure."""
    return blake2b(key.encode(), digest_size=8, person=b"digest journal"[:16]).hexdigest()


class Journal:
    """Adds to the file, from any number of threads and processes."""

    def __init__(self, path: Path) -> None:
        """Nothing is opened or made yet."""
        self.path = path
        self.fault = ""  # why what was noted last is not in it; "": it is
        self._unwritten: list[bytes] = []  # which the next one, or a look, brings with it
        self._turn = Lock()

    def follow(self, engine: Engine) -> None:
        """Add what is noted within a transaction as that is committed, and nothing of one that is undone."""
        event.listen(engine, "commit", self._add_noted)
        event.listen(engine, "rollback", _forget_noted)

    def note_left(
        self, connection: Connection, key: str, newsletter: str, addresses: Sequence[str], reason: str, *, at: datetime
    ) -> None:
        """That these addresses are not to be mailed."""
        for chunk in chunks(addresses, _CHUNK):
            told = {"left": list(chunk), "newsletter": newsletter, "reason": reason}
            _note(connection, key, at, told)

    def note_back(
        self, connection: Connection, key: str, newsletter: str, addresses: Sequence[str], *, at: datetime
    ) -> None:
        """That what kept these addresses from being mailed does so no more."""
        for chunk in chunks(addresses, _CHUNK):
            told = {"back": list(chunk), "newsletter": newsletter}
            _note(connection, key, at, told)

    def note_begun(self, connection: Connection, key: str, begun: Begun) -> None:
        """That an edition is about to be sent from here."""
        cutoff = begun.cutoff_at.isoformat() if begun.cutoff_at else None
        told = {"begun": begun.date.isoformat(), "newsletter": begun.newsletter, "cadence": begun.cadence}
        _note(connection, key, begun.at, {**told, "cutoff_at": cutoff})

    def read(self, reading: Reading) -> Iterator[Line]:
        """All that it says of one database; it must be there. Raises StoreError."""
        try:
            with self.path.open("rb") as file:
                yield from reading.read(file)
        except OSError as error:
            remedy = "put it there, and let this user read it"
            raise StoreError(str(self.path), "it cannot be read", remedy=remedy) from error

    def read_end(self, by: str) -> list[Line]:
        """What it says last of a database: at the least one line, if it has any. Raises StoreError."""
        try:
            with self.path.open("rb") as file:
                size, length = os.fstat(file.fileno()).st_size, _TAIL
                while True:
                    file.seek(start := max(0, size - length))
                    if start:
                        file.readline()  # the rest of one
                    if (found := list(Reading(by=by).read(file))) or not start:
                        return found
                    length *= 8  # there are others' lines, or a long one
        except FileNotFoundError:
            return []  # nobody has left yet
        except OSError as error:
            raise StoreError(str(self.path), "it cannot be read", remedy="let this user read it") from error

    def find_fault(self) -> str:
        """Why nothing can be added to it; "" when it can. What could not be added before is."""
        self._add([])
        return self.fault

    def _add_noted(self, connection: Connection) -> None:
        if noted := connection.info.pop(_NOTED, None):
            self._add(noted)

    def _add(self, lines: Sequence[bytes]) -> None:
        with self._turn:
            self._unwritten.extend(lines)
            rest = b"".join(self._unwritten)
            try:
                with self._open() as file:
                    size = os.fstat(file).st_size
                    if rest and size and os.pread(file, 1, size - 1) != b"\n":
                        rest = b"\n" + rest  # one before was torn
                    while rest:
                        rest = rest[os.write(file, rest) :]
                    if self._unwritten:
                        os.fsync(file)
            except OSError as error:
                self.fault = f"{self.path}: {error.strerror or error}"
            else:
                self.fault = ""
                self._unwritten.clear()

    @contextmanager
    def _open(self) -> Iterator[int]:
        """By nobody else until this ends; made when it is not there."""
        is_new = not self.path.exists()
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if is_new:
                _keep_name(self.path.parent)
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)


def _note(connection: Connection, key: str, at: datetime, told: Mapping[str, object]) -> None:
    """In the database now, in the file as this is committed."""
    line = json.dumps({"at": at.isoformat(), "by": name_key(key), **told}, separators=(",", ":")).encode()
    connection.execute(upsert(journal_lines).values(line=number_line(line)).on_conflict_do_nothing())
    connection.info.setdefault(_NOTED, []).append(line + b"\n")


def _forget_noted(connection: Connection) -> None:
    if not connection.invalidated:  # what is known of a lost one went with it, and asking for that raises
        connection.info.pop(_NOTED, None)


def _keep_name(folder: Path) -> None:
    """That there is a new file in it outlives a power cut, too."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
