"""A Maildir, read beside the people and programs that use it.

    new/, cur/ ──> batches ──> .Digest.bounces/cur … (Maildir++, so that IMAP servers show it as a folder)

A person's mail stays where it is and unread. That it was looked at is written down in a file of ours, by its unique
name, since a flag would be seen by others. Nothing is ever deleted, and what two readers move at once is moved once.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from digest.audience.mailbox.reading import LONGEST
from digest.errors import MailboxError
from digest.models import Incoming

_BATCH = 25  # of the largest mails fifty megabytes


class MaildirMailbox:
    """protocols.Mailbox."""

    def __init__(self, path: Path, *, reader: str) -> None:
        """`reader` tells what one newsletter has looked at from what another has."""
        self._path = path
        self._known = path / f"digest-{reader}.looked-at"

    def __repr__(self) -> str:
        return f"MaildirMailbox({str(self._path)!r})"

    def batches(self) -> Iterator[list[Incoming]]:
        """What was not looked at yet, oldest first."""
        known = self._read_known()
        found = self._find()
        self._forget(known - {_unique(place) for place in found}, known)
        places = [place for place in found if _unique(place) not in known]
        for start in range(0, len(places), _BATCH):
            yield [mail for place in places[start : start + _BATCH] if (mail := self._read(place))]

    def move(self, places: Sequence[str], folder: str) -> None:
        """Into `.Digest.<folder>`, as read."""
        target = self._path / f".Digest.{folder}"
        try:
            for part in ("tmp", "new", "cur"):
                (target / part).mkdir(parents=True, exist_ok=True)
            (target / "maildirfolder").touch()
            for place in places:
                with contextlib.suppress(FileNotFoundError):  # another reader, or a person, was there first
                    (self._path / place).rename(target / "cur" / f"{_unique(place)}:2,S")
        except OSError as error:
            raise self._fault("mails in it cannot be moved") from error

    def pass_over(self, places: Sequence[str]) -> None:
        """Written down, for good."""
        if not places:
            return
        try:
            with self._known.open("a", encoding="utf-8", errors="surrogateescape") as file:
                file.writelines(f"{_unique(place)}\n" for place in places)
        except OSError as error:
            raise self._fault("it cannot be written") from error

    def check(self) -> str:
        """How many mails lie in it."""
        found = len(self._find())
        if not all(os.access(self._path / part, os.W_OK) for part in ("new", "cur", ".")):
            raise self._fault("it cannot be written")
        return f"{self._path} can be read, with {found} mails"

    def close(self) -> None:
        """Nothing is kept open."""

    def _find(self) -> list[str]:
        found = []
        try:
            for part in ("new", "cur"):
                with os.scandir(self._path / part) as entries:
                    # A pipe or a link is no mail, and could be made to be waited for.
                    found += [f"{part}/{entry.name}" for entry in entries if entry.is_file(follow_symlinks=False)]
        except OSError as error:
            raise self._fault("it cannot be read") from error
        return sorted((place for place in found if not _unique(place).startswith(".")), key=_unique)

    def _read(self, place: str) -> Incoming | None:
        try:
            with (self._path / place).open("rb") as file:
                received = min(os.fstat(file.fileno()).st_mtime, datetime.now(UTC).timestamp())
                content = file.read(LONGEST)
        except (FileNotFoundError, PermissionError):
            # Read by somebody meanwhile: under its new name next time. Or somebody else's: it must not stop the others.
            return None
        except OSError as error:
            raise self._fault("a mail in it cannot be read") from error
        return Incoming(place=place, content=content, received_at=datetime.fromtimestamp(received, UTC))

    def _read_known(self) -> set[str]:
        try:
            return set(self._known.read_text(encoding="utf-8", errors="surrogateescape").split("\n")) - {""}
        except FileNotFoundError:
            return set()
        except OSError as error:
            raise self._fault("it cannot be read") from error

    def _forget(self, gone: set[str], known: set[str]) -> None:
        """Mails that are there no more; only once they are many, since the file is written anew for it."""
        if len(gone) < 1000 or len(gone) * 2 < len(known):
            return
        draft = self._known.with_suffix(".part")
        with contextlib.suppress(OSError):
            draft.write_text("".join(f"{name}\n" for name in sorted(known - gone)), "utf-8", "surrogateescape")
            draft.replace(self._known)

    def _fault(self, message: str) -> MailboxError:
        remedy = "check [inbox] path and who may read and write it"
        return MailboxError(f"inbox {self._path}", message, remedy=remedy)


def _unique(place: str) -> str:
    """What stays of a name when a mail is read or flagged."""
    return place.partition("/")[2].partition(":")[0]
