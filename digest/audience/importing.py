"""Rows of a table → subscribers, or why a row is refused. Nothing is stored here."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from digest.audience.addresses import parse_address
from digest.errors import ConfigError
from digest.models import Subscriber, SubscriberState

COLUMNS = ("email", "name", "topics", "language", "timezone", "frequency", "state", "consent_at")
_GONE = {SubscriberState.UNSUBSCRIBED, SubscriberState.BOUNCED, SubscriberState.COMPLAINED}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRow:
    """A row that was read. `remark` is worth telling and no fault."""

    subscriber: Subscriber
    remark: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvRow:
    """A row of a file: a subscriber, or the fault. `line` counts from 1, the header included."""

    line: int
    subscriber: Subscriber | None = None
    fault: str | None = None
    remark: str | None = None


@dataclass(slots=True)
class Tally:
    """What an import met on its way."""

    taken: int = 0
    refused: list[CsvRow] = field(default_factory=list)
    remarks: list[CsvRow] = field(default_factory=list)

    def pick(self, rows: Iterable[CsvRow]) -> Iterator[Subscriber]:
        """The subscribers among the rows; the rest is kept here."""
        for row in rows:
            if row.subscriber is None:
                self.refused.append(row)
                continue
            if row.remark:
                self.remarks.append(row)
            self.taken += 1
            yield row.subscriber


def read_row(row: Mapping[str, str], *, consent: str | None, topics: Sequence[str], now: datetime) -> ReadRow:
    """One row. Raises ConfigError for what cannot be taken.

    `consent` is the text that the reader agreed to. Without it, and without a `consent_at` of the row's own, a row is
    pending whatever its state says; who left, bounced or complained stays so.
    """
    address = parse_address(row.get("email", ""))
    consent_at = _read_instant(row.get("consent_at", ""))
    state = _read_choice(
        row, "state", {state.value for state in SubscriberState if state is not SubscriberState.ERASED}
    )
    agreed = bool(consent) or consent_at is not None
    wanted = SubscriberState(state) if state else SubscriberState.ACTIVE
    chosen = tuple(
        dict.fromkeys(part for part in row.get("topics", "").replace(";", ",").replace(" ", ",").split(",") if part)
    )
    unknown = [topic for topic in chosen if topic not in topics]
    if unknown:
        raise ConfigError(
            f'topic "{unknown[0]}"',
            "there is none of that id",
            remedy=f"known: {', '.join(topics) or 'none'}",
        )
    subscriber = Subscriber(
        email=address.email,
        name=" ".join(row.get("name", "").split()) or address.name,
        topics=chosen,
        language=_read_language(row.get("language", "").strip()),
        timezone=_read_zone(row.get("timezone", "").strip()),
        frequency="weekly" if _read_choice(row, "frequency", {"daily", "weekly"}) == "weekly" else "daily",
        state=wanted if agreed or wanted in _GONE else SubscriberState.PENDING,
        consent_at=consent_at or (now if consent else None),
        consent_text=consent,
    )
    remarks = []
    if address.reserved:
        domain = address.email.rpartition("@")[2]
        remarks.append(f"{domain} is a name reserved for tests and examples: fit for a rehearsal only")
    if subscriber.frequency == "weekly":
        remarks.append("this version makes daily editions only: a weekly reader is kept, and not mailed")
    return ReadRow(subscriber=subscriber, remark="; ".join(remarks) or None)


def read_csv(path: Path, *, consent: str | None, topics: Sequence[str], now: datetime) -> Iterator[CsvRow]:
    """The rows of a CSV file with a header, in its order. Raises ConfigError when the file as a whole cannot be read.

    Separated by commas, semicolons or tabs; UTF-8 with or without a byte order mark.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            separator = max(",;\t", key=first.count)
            reader = csv.DictReader(file, delimiter=separator, restval="")
            names = [(name or "").strip().lower() for name in reader.fieldnames or ()]
            if "email" not in names:
                raise ConfigError(
                    str(path), "it has no column email", remedy="give it a header line that names its columns"
                )
            unknown = [name for name in names if name not in COLUMNS]
            if unknown:
                raise ConfigError(
                    str(path),
                    f'it has a column "{unknown[0]}"',
                    remedy=f"known columns: {', '.join(COLUMNS)}",
                )
            reader.fieldnames = names
            for row in reader:
                if any(isinstance(value, str) and value.strip() for value in row.values()):
                    yield _read_line(reader.line_num, row, consent, topics, now)
    except FileNotFoundError:
        raise ConfigError(str(path), "there is no such file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(str(path), "it cannot be read", remedy="save it as CSV in UTF-8") from error


def _read_line(line: int, row: Mapping[str, str], consent: str | None, topics: Sequence[str], now: datetime) -> CsvRow:
    if None in row:  # csv.DictReader keeps what has no column under None
        return CsvRow(line=line, fault="the row has more cells than the header")
    try:
        read = read_row(row, consent=consent, topics=topics, now=now)
    except ConfigError as error:
        return CsvRow(line=line, fault=str(error))
    return CsvRow(line=line, subscriber=read.subscriber, remark=read.remark)


def _read_choice(row: Mapping[str, str], column: str, choices: set[str]) -> str | None:
    value = row.get(column, "").strip().lower()
    if value and value not in choices:
        raise ConfigError(f'{column} "{value}"', "it is not known", remedy=f"one of {', '.join(sorted(choices))}")
    return value or None


def _read_language(tag: str) -> str | None:
    if tag and not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", tag):
        raise ConfigError(f'language "{tag}"', "it is not known", remedy="use a BCP 47 tag such as en or pt-BR")
    return tag or None


def _read_zone(name: str) -> str | None:
    if not name:
        return None
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f'timezone "{name}"', "it is not known", remedy="use an IANA name such as Europe/Berlin"
        ) from None
    return name


def _read_instant(text: str) -> datetime | None:
    text = text.strip()
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f'consent_at "{text}"', "it is not a date", remedy="write it as 2026-01-31T08:00:00Z"
        ) from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
