"""What journals say, and a database does not know: because it was put back, or because a process died in between."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from typing import Final

from sqlalchemy import Connection, select

from digest.stores.database import Database
from digest.stores.journal import Begun, Journal, Line, Reading
from digest.stores.schema import journal_lines
from digest.stores.statements import chunks

_CHUNK: Final = 500  # lines that are held


@dataclass(slots=True, kw_only=True)
class Missing:
    """What journals say, and a database does not know."""

    left: dict[tuple[str, str], Line] = field(default_factory=dict)  # by newsletter and address: the last word
    begun: dict[tuple[str, str, date], Begun] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)

    def add(self, line: Line) -> None:
        """One more line, in whatever order."""
        self.numbers.append(line.number)
        for address in line.left:
            known = self.left.get((line.newsletter, address))
            if known is None or known.at <= line.at:
                self.left[line.newsletter, address] = line
        if one := line.begun:
            known_one = self.begun.get(which := (one.newsletter, one.cadence, one.date))
            if known_one is None or known_one.at <= one.at:
                self.begun[which] = one

    def drop(self, back: Mapping[tuple[str, str], datetime]) -> None:
        """Leave out who came back after having left."""
        for which, at in back.items():
            if which in self.left and self.left[which].at <= at:
                del self.left[which]


def read_missing(database: Database, journals: Collection[Journal], reading: Reading) -> Missing:
    """Line by line, as there may be millions: of what is known only who came back is kept. Raises StoreError."""
    missing, back = Missing(), dict[tuple[str, str], datetime]()
    with database.read_all() as connection:
        for journal in journals:
            lines = journal.read(reading)
            while chunk := list(islice(lines, _CHUNK)):
                for line in find_unknown(connection, chunk):
                    missing.add(line)
                for line in chunk:
                    for address in line.back:
                        which = (line.newsletter, address)
                        back[which] = max(back.get(which, line.at), line.at)
    missing.drop(back)
    return missing


def find_unknown(connection: Connection, lines: Sequence[Line]) -> list[Line]:
    """The lines that this database does not know."""
    known: set[int] = set()
    for chunk in chunks([line.number for line in lines]):
        query = select(journal_lines.c.line).where(journal_lines.c.line.in_(chunk))
        known.update(connection.execute(query).scalars())
    return [line for line in lines if line.number not in known]
