"""A row of a table → a subscriber, or why it cannot be taken. Nothing is stored here.

What a column holds repeats from row to row, so each cell is read once and remembered: a million rows take seconds.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from digest.audience.addresses import find_look_alike, read_address
from digest.errors import ConfigError
from digest.models import Arrival, Subscriber, SubscriberState

COLUMNS: Final = (
    *("email", "name", "topics", "language", "timezone", "frequency", "state"),
    *("consent_at", "consent_text", "consent_from", "tags", "paused_until"),
)
# What others' exports have beside those, and what is made of it here.
FURTHER: Final = ("first_name", "last_name", "left_at", "left_because", "bounced_at")

_STATES: Final = {
    **{state.value: state for state in SubscriberState if state is not SubscriberState.ERASED},
    **dict.fromkeys(("subscribed", "enabled", "confirmed"), SubscriberState.ACTIVE),
    **dict.fromkeys(("unconfirmed", "nonsubscribed", "transactional"), SubscriberState.PENDING),
    **dict.fromkeys(("disabled", "removed", "archived"), SubscriberState.UNSUBSCRIBED),
    **dict.fromkeys(("blocklisted", "blacklisted", "spam"), SubscriberState.COMPLAINED),
    **dict.fromkeys(("cleaned", "undeliverable"), SubscriberState.BOUNCED),
}
_GONE: Final = frozenset({SubscriberState.UNSUBSCRIBED, SubscriberState.BOUNCED, SubscriberState.COMPLAINED})
_COMPLAINT: Final = re.compile("spam|abuse|complain", re.IGNORECASE)
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_QUOTED_FORMULA: Final = re.compile(r"'(?='*[=+\-@\t\r])")  # as we write it for spreadsheets


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds for all rows of a table."""

    consent: str | None  # the text that these readers agreed to
    consent_from: str | None = None
    topics: Sequence[str]  # the ids that there are
    now: datetime


class RowReader:
    """Reads the rows of one table."""

    def __init__(self, columns: Sequence[str | None], terms: Terms) -> None:
        """`columns` are COLUMNS and FURTHER in the table's order, None for what is of no use."""
        self._at = {name: place for place, name in enumerate(columns) if name}
        self._width = len(columns)
        self._terms = terms
        self._topics = tuple(terms.topics)
        self._email = self._at["email"]
        self._names = [self._at.get(name) for name in ("name", "first_name", "last_name")]
        # Who a row is of differs from row to row; all else repeats, and is read once.
        self._choices = [name for name in self._at if name not in {"email", "name", "first_name", "last_name"}]
        places = [self._at[name] for name in self._choices]
        self._pick = _picker(places)
        self._read_choices = lru_cache(maxsize=4096)(self._make_choices)

    def read(self, cells: Sequence[str]) -> tuple[Arrival, str | None]:
        """One row, and what is worth telling of it and no fault. Raises ConfigError for what cannot be taken.

        Without a consent, of its own or of the table's, a row is pending whatever its state says; who left, bounced or
        complained stays so.
        """
        if len(cells) != self._width:
            if len(cells) > self._width:
                raise ConfigError("the row", "it has more cells than the header")
            cells = [*cells, *[""] * (self._width - len(cells))]
        written = cells[self._email]
        email, name, is_reserved = read_address(_unquote(written) if written[:1] == "'" else written)
        choices = self._read_choices(self._pick(cells))
        arrival = Arrival(email, self._read_name(cells) or name, choices)
        if not is_reserved and email.isascii():
            return arrival, None
        remarks = []
        if mixed := find_look_alike(email):
            remarks.append(f'"{mixed}" in {email} mixes alphabets that look alike: ask the reader whether it is theirs')
        if is_reserved:
            domain = email.rpartition("@")[2]
            remarks.append(f"{domain} is a name reserved for tests and examples: fit for a rehearsal only")
        return arrival, "; ".join(remarks) or None

    def _make_choices(self, cells: tuple[str, ...]) -> Subscriber:
        """All of a subscriber but the address and the name."""
        given = dict(zip(self._choices, cells, strict=True))

        def cell(name: str) -> str:
            return _unquote(given.get(name, "").strip())

        terms, consent_at = self._terms, _read_instant("consent_at", cell("consent_at"))
        state = _find_state(cell)
        agreed = consent_at is not None or terms.consent is not None
        frequency = cell("frequency").lower() or "daily"
        if frequency not in {"daily", "weekly"}:
            raise ConfigError(f'frequency "{frequency}"', "it is not known", remedy="one of daily, weekly")
        return Subscriber(
            email="",
            topics=_read_topics(cell("topics"), self._topics),
            language=_read_language(cell("language")),
            timezone=_read_zone(cell("timezone")),
            frequency="weekly" if frequency == "weekly" else "daily",
            state=state if agreed or state in _GONE else SubscriberState.PENDING,
            consent_at=consent_at or (terms.now if terms.consent else None),
            consent_text=cell("consent_text") or terms.consent,
            consent_from=cell("consent_from") or terms.consent_from,
            tags=_read_tags(cell("tags")),
            paused_until=_read_instant("paused_until", cell("paused_until")),
        )

    def _read_name(self, cells: Sequence[str]) -> str | None:
        whole, first, last = self._names
        name = cells[whole] if whole is not None else ""
        if not name and (first is not None or last is not None):
            name = " ".join(cells[place] for place in (first, last) if place is not None)
        name = " ".join(name.split())
        return (_unquote(name) if name[:1] == "'" else name) or None


def _unquote(text: str) -> str:
    """Without the mark that keeps a spreadsheet from reckoning it: of an address it would make another one."""
    return text[1:] if text[:1] == "'" and _QUOTED_FORMULA.match(text) else text


def read_row(row: Mapping[str, str], terms: Terms) -> tuple[Subscriber, str | None]:
    """One row by its columns' names, and a remark. Raises ConfigError for what cannot be taken."""
    arrival, remark = RowReader(list(row), terms).read(list(row.values()))
    return arrival.as_subscriber(), remark


def _picker(places: Sequence[int]) -> Callable[[Sequence[str]], tuple[str, ...]]:
    if len(places) > 1:
        return itemgetter(*places)  # which gives a tuple of two and more
    return lambda cells: tuple(cells[place] for place in places)


def _find_state(cell: Callable[[str], str]) -> SubscriberState:
    """Also told by the columns of an export of those who left, or who bounced."""
    if cell("bounced_at"):
        return SubscriberState.BOUNCED
    if cell("left_at"):
        is_complaint = _COMPLAINT.search(cell("left_because"))
        return SubscriberState.COMPLAINED if is_complaint else SubscriberState.UNSUBSCRIBED
    return _read_state(cell("state"))


@lru_cache(maxsize=1024)
def _read_state(text: str) -> SubscriberState:
    state = text.strip().lower()
    if state and state not in _STATES:
        known = ", ".join(value.value for value in SubscriberState if value is not SubscriberState.ERASED)
        raise ConfigError(f'state "{state}"', "it is not known", remedy=f"one of {known}")
    return _STATES.get(state, SubscriberState.ACTIVE)


@lru_cache(maxsize=4096)
def _read_topics(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    chosen = tuple(dict.fromkeys(text.replace(";", " ").replace(",", " ").split()))
    unknown = [topic for topic in chosen if topic not in known]
    if unknown:
        remedy = f"known: {', '.join(known) or 'none'}"
        raise ConfigError(f'topic "{unknown[0]}"', "there is none of that id", remedy=remedy)
    return chosen


@lru_cache(maxsize=4096)
def _read_tags(text: str) -> tuple[str, ...]:
    parts = (part.strip(" \t\"'") for part in text.replace(";", ",").split(","))
    return tuple(sorted({part for part in parts if part}))


@lru_cache(maxsize=4096)
def _read_language(text: str) -> str | None:
    tag = text.strip()
    if tag and not _LANGUAGE.fullmatch(tag):
        raise ConfigError(f'language "{tag}"', "it is not known", remedy="use a BCP 47 tag such as en or pt-BR")
    return tag or None


@lru_cache(maxsize=4096)
def _read_zone(text: str) -> str | None:
    name = text.strip()
    if not name:
        return None
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        remedy = "use an IANA name such as Europe/Berlin"
        raise ConfigError(f'timezone "{name}"', "it is not known", remedy=remedy) from None
    return name


@lru_cache(maxsize=4096)
def _read_instant(column: str, text: str) -> datetime | None:
    text = text.strip()
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        remedy = "write it as 2026-01-31T08:00:00Z"
        raise ConfigError(f'{column} "{text}"', "it is not a date", remedy=remedy) from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
