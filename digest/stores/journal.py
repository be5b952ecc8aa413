"""A file beside the database that is only added to: what no older copy of the database may make undone.

    {"at": …, "by": "3f9a…", "left": ["9f…", …], "newsletter": "brief", "reason": "unsubscribed"}
    {"at": …, "by": "3f9a…", "back": ["9f…", …], "newsletter": "brief"}
    {"at": …, "by": "3f9a…", "begun": "2026-11-27", "newsletter": "brief", "cadence": "daily", "cutoff_at": …}

Addresses are the keyed hashes of `suppressing`; `by` names that key, and with it the database. "" is every newsletter.
A line is on the disk right before what it tells of is committed, or, of an edition, before anything of it leaves: after
a crash there may be a line too many, and never one too few. That it cannot be written keeps nobody from leaving.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, event

from digest.errors import StoreError
from digest.models import Cadence

_NOTED: Final = "digest journal"  # what a transaction is to add

TAIL: Final = 64 * 1024  # bytes that tell whether a database is as new as its journal


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """Why an address is not mailed any more, and since when."""

    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """An edition of which somebody was about to be sent something."""

    newsletter: str
    cadence: Cadence
    date: date
    cutoff_at: datetime | None
    at: datetime


@dataclass(slots=True, kw_only=True)
class Journaled:
    """What a journal says of one database, line after line: the last word on each address, and every edition."""

    left: dict[tuple[str, str], Left] = field(default_factory=dict)  # by newsletter and address
    begun: dict[tuple[str, str, date], Begun] = field(default_factory=dict)
    of_others: int = 0  # lines of another database
    broken: int = 0  # lines that cannot be read: a power cut may have torn one

    def add(self, line: bytes, by: str) -> None:
        """Read one more line, of the database with that key."""
        try:
            told = json.loads(line)
            if told["by"] == by:
                self._add(told)
            else:
                self.of_others += 1
        except (ValueError, KeyError, TypeError, AttributeError):
            self.broken += 1

    def _add(self, told: Mapping[str, Any]) -> None:
        at, newsletter = datetime.fromisoformat(told["at"]), str(told["newsletter"])
        if "begun" in told:
            cutoff = told.get("cutoff_at")
            begun = Begun(
                newsletter=newsletter,
                cadence=told["cadence"],
                date=date.fromisoformat(told["begun"]),
                cutoff_at=datetime.fromisoformat(cutoff) if cutoff else None,
                at=at,
            )
            self.begun.setdefault((newsletter, begun.cadence, begun.date), begun)
        for address in told.get("left", ()):
            self.left[newsletter, address] = Left(reason=str(told["reason"]), at=at)
        for address in told.get("back", ()):
            self.left.pop((newsletter, address), None)


def name_key(key: str) -> str:
    """By what a journal knows the key of a database, which it does not hold. Pure."""
    return blake2b(key.encode(), digest_size=8, person=b"digest journal"[:16]).hexdigest()


class Journal:
    """Adds to the file, from any number of threads and processes."""

    def __init__(self, path: Path) -> None:
        """Nothing is opened or made yet."""
        self.path = path
        self.fault = ""  # why the last line is not in it; "": it is

    def follow(self, engine: Engine) -> None:
        """Add what is noted within a transaction as that is committed, and nothing of one that is undone."""
        event.listen(engine, "commit", self._add_noted)
        event.listen(engine, "rollback", _forget_noted)

    def note_left(
        self, connection: Connection, key: str, newsletter: str, addresses: Sequence[str], reason: str, *, at: datetime
    ) -> None:
        """That these addresses are not to be mailed."""
        if addresses:
            told = {"left": list(addresses), "newsletter": newsletter, "reason": reason}
            connection.info.setdefault(_NOTED, []).append(_write_line(key, at, told))

    def note_back(
        self, connection: Connection, key: str, newsletter: str, addresses: Sequence[str], *, at: datetime
    ) -> None:
        """That what kept these addresses from being mailed does so no more."""
        if addresses:
            told = {"back": list(addresses), "newsletter": newsletter}
            connection.info.setdefault(_NOTED, []).append(_write_line(key, at, told))

    def add_begun(self, key: str, begun: Begun) -> None:
        """That an edition is about to be sent from here; at once."""
        cutoff = begun.cutoff_at.isoformat() if begun.cutoff_at else None
        told = {"begun": begun.date.isoformat(), "newsletter": begun.newsletter, "cadence": begun.cadence}
        self._add([_write_line(key, begun.at, {**told, "cutoff_at": cutoff})])

    def read(self, key: str, *, last: int | None = None) -> Journaled:
        """What it says of the database with that key; of its `last` bytes only. Raises StoreError."""
        found, by = Journaled(), name_key(key)
        try:
            with self.path.open("rb") as file:
                if last is not None and (start := self.path.stat().st_size - last) > 0:
                    file.seek(start)
                    file.readline()  # the rest of one
                for line in file:
                    found.add(line, by)
        except FileNotFoundError:
            pass  # nobody has left yet
        except OSError as error:
            raise StoreError(str(self.path), "it cannot be read", remedy="let this user read it") from error
        return found

    def find_fault(self) -> str:
        """Why nothing can be added to it; "" when it can. Adds nothing."""
        try:
            with self._open():
                return ""
        except OSError as error:
            return f"{self.path}: {error.strerror or error}"

    def _add_noted(self, connection: Connection) -> None:
        self._add(connection.info.pop(_NOTED, ()))

    def _add(self, lines: Sequence[bytes]) -> None:
        if not lines:
            return
        rest = b"".join(lines)
        try:
            with self._open() as file:
                size = os.fstat(file).st_size
                if size and os.pread(file, 1, size - 1) != b"\n":
                    rest = b"\n" + rest  # one before was torn
                while rest:
                    rest = rest[os.write(file, rest) :]
                os.fsync(file)
            self.fault = ""
        except OSError as error:
            self.fault = f"{self.path}: {error.strerror or error}"

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


def _forget_noted(connection: Connection) -> None:
    connection.info.pop(_NOTED, None)


def _write_line(key: str, at: datetime, told: Mapping[str, object]) -> bytes:
    line = {"at": at.isoformat(), "by": name_key(key), **told}
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def _keep_name(folder: Path) -> None:
    """That there is a new file in it outlives a power cut, too."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
