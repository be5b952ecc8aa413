"""Subscribers → lines of CSV or JSON, as an import takes them back."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final, Literal

from digest.audience.rows import COLUMNS
from digest.models import Subscriber

Format = Literal["csv", "jsonl"]

# A spreadsheet would reckon what begins with one of these: an apostrophe makes it a text, and is gone at an import.
# So is one of those that stand before it already, for what is taken back to be what it was.
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")


def write_lines(readers: Iterable[Subscriber], form: Format) -> Iterator[str]:
    """The lines of a file, without their ends; of CSV the header first."""
    if form == "jsonl":
        for reader in readers:
            yield json.dumps({name: _value(reader, name) for name in COLUMNS}, ensure_ascii=False)
        return
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="")
    for row in _rows(readers):
        writer.writerow(row)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _rows(readers: Iterable[Subscriber]) -> Iterator[tuple[str, ...]]:
    yield COLUMNS
    for reader in readers:
        yield tuple(_cell(_value(reader, name)) for name in COLUMNS)


def _value(reader: Subscriber, name: str) -> str | list[str] | None:
    value = getattr(reader, name)
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if value is not None else None


def _cell(value: str | list[str] | None) -> str:
    text = ",".join(value) if isinstance(value, list) else value or ""
    return f"'{text}" if _FORMULA.match(text) else text
