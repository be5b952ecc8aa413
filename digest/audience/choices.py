"""What somebody typed into a page → an address and choices, or what is wrong with it, by the name of a phrase. Pure."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from digest.audience.addresses import LONGEST_ADDRESS, parse_address
from digest.errors import ConfigError
from digest.models import Choices, Frequency

LONGEST: Final = 400  # characters of a field: nothing longer is looked at
_LONGEST_PAUSE: Final = timedelta(days=366)
_FREQUENCIES: Final[Mapping[str, Frequency]] = {"daily": "daily", "weekly": "weekly"}
# Letters of these stand beside each other in words that nobody forged.
_WRITTEN_TOGETHER: Final = frozenset({"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "LATIN"})

Given = Mapping[str, Sequence[str]]  # a form's fields; each may stand in it several times


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a newsletter lets its readers choose from."""

    topics: tuple[str, ...]  # ids
    languages: tuple[str, ...]  # tags in small letters


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with a field."""

    field: str
    key: str  # of a phrase


def read_email(text: str) -> str | Fault:
    """The address that was typed, as it is written by rule. No name may stand beside it: a stranger may type it."""
    typed = text.strip()
    if not typed:
        return Fault(field="email", key="fault_email_empty")
    if len(typed) > LONGEST_ADDRESS:
        return Fault(field="email", key="fault_email_long")
    if any(unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} for sign in text.strip(" ")):
        return Fault(field="email", key="fault_email")
    try:
        found = parse_address(typed) if "<" not in typed else None
    except ConfigError:
        found = None
    if found is None:
        return Fault(field="email", key="fault_email")
    local, _, domain = typed.rpartition("@")
    if unicodedata.normalize("NFKC", typed) != unicodedata.normalize("NFC", typed):
        return Fault(field="email", key="fault_email_alike")
    if any(_mixes_scripts(label) for label in (local, *domain.split("."), *found.email.rpartition("@")[2].split("."))):
        return Fault(field="email", key="fault_email_alike")
    if len(found.email) > LONGEST_ADDRESS:
        return Fault(field="email", key="fault_email_long")
    return found.email


def read_choices(given: Given, offer: Offer, *, before: Choices | None = None) -> tuple[Choices, list[Fault]]:
    """What was chosen, and what is wrong with it; a field that was not on the form stays as it was `before`."""
    old = before or Choices()
    faults = []
    topics = tuple(dict.fromkeys(topic for topic in given.get("topic", ()) if topic))
    if any(topic not in offer.topics for topic in topics):
        faults.append(Fault(field="topic", key="fault_topic"))
    language = _one(given, "language", old.language)
    if language and language != old.language and language.lower() not in offer.languages:
        faults.append(Fault(field="language", key="fault_language"))
    zone = _one(given, "timezone", old.timezone)
    if zone and zone != old.timezone and not is_zone(zone):
        faults.append(Fault(field="timezone", key="fault_timezone"))
    frequency = _FREQUENCIES.get(_one(given, "frequency", old.frequency) or "daily")
    if frequency is None:
        faults.append(Fault(field="frequency", key="fault_frequency"))
    chosen = Choices(topics=topics, language=language, timezone=zone, frequency=frequency or old.frequency)
    return chosen, faults


def read_pause(given: Given, *, before: datetime | None, today: date, zone: ZoneInfo) -> datetime | Fault | None:
    """When a pause that was chosen ends: at the beginning of a day; None where there is none."""
    chosen = _one(given, "pause", "keep")
    match chosen:
        case "keep":
            return before
        case None:
            return None
        case "1" | "2" | "4":
            until = today + timedelta(weeks=int(chosen))
        case "until":
            try:
                until = date.fromisoformat(_one(given, "until", None) or "")
            except ValueError:
                return Fault(field="until", key="fault_until")
        case _:
            return Fault(field="until", key="fault_until")
    if not today < until <= today + _LONGEST_PAUSE:
        return Fault(field="until", key="fault_until")
    return datetime.combine(until, time(), zone).astimezone(UTC)


def is_too_long(given: Given) -> bool:
    """Whether a field holds more than anybody types."""
    return any(len(value) > LONGEST for values in given.values() for value in values)


def is_zone(name: str) -> bool:
    """Whether there is a time zone of that name, as IANA writes it."""
    return name in known_zones()


@cache
def known_zones() -> frozenset[str]:
    """Every time zone that this machine knows. Looked up once: it takes 20 ms."""
    return frozenset(available_timezones())


def _one(given: Given, name: str, absent: str | None) -> str | None:
    values = given.get(name)
    if values is None:
        return absent
    return values[-1].strip() or None


def _mixes_scripts(word: str) -> bool:
    """Whether letters of different scripts stand in one word: so a Cyrillic “а” passes for a Latin one."""
    scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in word if letter.isalpha()}
    scripts -= {"FEMININE", "MASCULINE", "MODIFIER"}
    return len(scripts) > 1 and not scripts <= _WRITTEN_TOGETHER
