"""A file of subscribers → subscribers in chunks, and what is to be told of its rows. Nothing is stored here."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import dropwhile, islice
from typing import Final

from digest.audience.rows import RowReader, Terms
from digest.audience.tables import Table, printable
from digest.errors import ConfigError
from digest.models import Arrival

_UNREADABLE: Final = "it cannot be read: a quotation mark is not closed, or it is no JSON object"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is to be told of a row. `line` counts from 1, the header included."""

    line: int
    said: str
    is_fault: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Rows that are taken together: the subscribers, their lines, and what is to be told."""

    readers: tuple[Arrival, ...]
    lines: tuple[int, ...]
    told: tuple[Told, ...]
    last_line: int


def read_chunks(table: Table, terms: Terms, *, size: int, after: int = 0) -> Iterator[Chunk]:
    """The rows behind a line, so many at a time."""
    reader = RowReader(table.columns, terms)
    rows = dropwhile(lambda row: row[0] <= after, table.rows) if after else table.rows
    while (chunk := _read_chunk(reader, islice(rows, size))).last_line:
        yield chunk


def _read_chunk(reader: RowReader, rows: Iterable[tuple[int, Sequence[str] | None]]) -> Chunk:
    """One row after the other, so that its cells are gone before the next are there; `last_line` is 0 without any."""
    readers, lines, told = [], [], []
    read, line = reader.read, 0
    for line, cells in rows:
        if cells is None:
            told.append(Told(line=line, said=_UNREADABLE, is_fault=True))
            continue
        try:
            arrival, remark = read(cells)
        except ConfigError as error:
            told.append(Told(line=line, said=printable(str(error)), is_fault=True))
            continue
        email, name, _ = arrival
        if not (email.isascii() and (name is None or name.isascii())) and _is_broken(f"{email}{name}"):
            told.append(Told(line=line, said="it holds bytes that are not of the file's encoding", is_fault=True))
            continue
        readers.append(arrival)
        lines.append(line)
        if remark:
            told.append(Told(line=line, said=remark, is_fault=False))
    return Chunk(readers=tuple(readers), lines=tuple(lines), told=tuple(told), last_line=line)


def _is_broken(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
