"""Dates as publishers write them: RFC 822, ISO 8601 and W3CDTF, and what people type, in the languages of CLDR.

A date without a zone is UTC. What cannot be read for certain is absent, never guessed: 3/4/2025 is March to some and
April to others, and a wrong date is worse than none.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from digest.months import foreign_months, month_names

_OLDEST: Final = 1900  # what lies before is a program's way to write "none", such as 0001-01-01

# RFC 822 §5.1, and the names that are met and mean one thing only. Hours from UTC.
_ZONES: Final[Mapping[str, float]] = {
    **dict.fromkeys(("Z", "UT", "UTC", "GMT", "WET"), 0),
    **dict.fromkeys(("EDT", "AST"), -4),
    **dict.fromkeys(("EST", "CDT"), -5),
    **dict.fromkeys(("CST", "MDT"), -6),
    **dict.fromkeys(("MST", "PDT"), -7),
    **dict.fromkeys(("PST", "AKDT"), -8),
    **dict.fromkeys(("AKST",), -9),
    **dict.fromkeys(("HST",), -10),
    **dict.fromkeys(("ADT", "BRT", "ART"), -3),
    **dict.fromkeys(("NST",), -3.5),
    **dict.fromkeys(("NDT",), -2.5),
    **dict.fromkeys(("BST", "CET", "MET", "WEST", "MEZ", "WAT"), 1),
    **dict.fromkeys(("CEST", "MEST", "EET", "SAST", "CAT", "MESZ"), 2),
    **dict.fromkeys(("EEST", "MSK", "TRT", "EAT"), 3),
    **dict.fromkeys(("MSD", "GST"), 4),
    **dict.fromkeys(("PKT",), 5),
    **dict.fromkeys(("IST",), 5.5),
    **dict.fromkeys(("NPT",), 5.75),
    **dict.fromkeys(("ICT", "WIB"), 7),
    **dict.fromkeys(("SGT", "HKT", "AWST", "PHT", "MYT"), 8),
    **dict.fromkeys(("JST", "KST"), 9),
    **dict.fromkeys(("ACST",), 9.5),
    **dict.fromkeys(("AEST",), 10),
    **dict.fromkeys(("ACDT",), 10.5),
    **dict.fromkeys(("AEDT",), 11),
    **dict.fromkeys(("NZST",), 12),
    **dict.fromkeys(("NZDT",), 13),
}
_ENGLISH: Final[Mapping[str, int]] = {
    name: number for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)
}

_ISO = re.compile(
    r"(\d{4})(?:-?(\d\d)(?:-?(\d\d))?|-(\d{3}))?"
    r"(?:(?:[Tt]|\s+)(\d\d?):?(\d\d)(?::?(\d\d)(?:[.,:](\d{1,9}))?)?\s*(.*))?"
)
_RFC822 = re.compile(
    r"(?:[^\W\d]+\.?,?\s*)?(\d{1,2})[\s-]+([A-Za-z]{3})[a-z]*\.?,?[\s-]+(\d{4}|\d\d)"
    r"(?:,?\s+(\d\d?):(\d\d)(?::(\d\d)(?:\.\d+)?)?\s*(.*))?"
)
_CLOCK = re.compile(
    r"(?<!\d)(\d{1,2})(?:[:.h](\d\d)(?:[:.](\d\d)(?:[.,]\d+)?)?|(?=\s*[ap]\.?m\b))(?!\d)", re.IGNORECASE
)
_EAST_ASIAN = re.compile(r"(\d{4})\s*[年년]\s*(\d{1,2})\s*[月월]\s*(\d{1,2})\s*[日일]")
_EAST_ASIAN_CLOCK = re.compile(r"(\d{1,2})\s*[時时시]\s*(\d{1,2})\s*[分분](?:\s*(\d{1,2})\s*[秒초])?")
_NUMERIC = re.compile(r"(?<![\d:])(\d{4}|\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{1,2})(?![\d:])")
_OFFSET = re.compile(r"(?:(?:UTC|GMT|Z)\s*)?([+\-\u2212])\s*(\d{1,2}):?(\d\d)?(?!\d)", re.IGNORECASE)
_AFTERNOON = re.compile(r"(?<![^\W\d_])(?:([ap])\.?m\b\.?|(오전|上午|午前)|(오후|下午|午後))", re.IGNORECASE)
_NAME = re.compile(r"[^\W\d_]+")
# What Americans call their zones, whatever the season.
_SEASONLESS: Final[Mapping[str, str]] = {
    "ET": "America/New_York",
    "CT": "America/Chicago",
    "MT": "America/Denver",
    "PT": "America/Los_Angeles",
}
_AREA = re.compile(r"[A-Z][A-Za-z]+(?:/[A-Z][A-Za-z_]+){1,2}")
_EPOCH = re.compile(r"\d{10}(?:\d{3})?")


@lru_cache(maxsize=1024)
def parse_date(text: str, language: str | None = None) -> datetime | None:
    """The instant a text names, as aware UTC, or None. `language` (BCP 47) tells apart months that languages share."""
    text = " ".join(text.split())
    if not text or len(text) > 100:
        return None
    try:
        for read in (_read_iso, _read_rfc822):
            found = read(text)
            if found:
                break
        else:
            found = _read_epoch(text) or _read_words(text, language)
        if found is None:
            return None
        found = found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if found.year >= _OLDEST else None


def _read_iso(text: str) -> datetime | None:
    """ISO 8601 calendar and ordinal dates, W3CDTF, RFC 3339, and the same with a space or a zone's name."""
    found = _ISO.fullmatch(text)
    if not found:
        return None
    year, month, day, ordinal, hour, minute, second, fraction, zone = found.groups()
    if not month and not ordinal and hour:
        return None
    instant = datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
    if ordinal:
        instant += timedelta(days=int(ordinal) - 1)
    if hour is None:
        return instant
    micro = int((fraction or "0")[:6].ljust(6, "0"))
    return _at(instant, int(hour), int(minute), int(second or 0), micro, zone)


def _read_rfc822(text: str) -> datetime | None:
    """RFC 822 and 2822 dates, with English months; the weekday is not looked at."""
    found = _RFC822.fullmatch(text)
    month = _ENGLISH.get(found.group(2).lower()) if found else None
    if not found or not month:
        return None
    day, _, year, hour, minute, second, zone = found.groups()
    instant = datetime(_full_year(year), month, int(day), tzinfo=UTC)
    return instant if hour is None else _at(instant, int(hour), int(minute), int(second or 0), 0, zone)


def _read_epoch(text: str) -> datetime | None:
    """Seconds or milliseconds since 1970, as programs that forget to format a date write them."""
    if not _EPOCH.fullmatch(text):
        return None
    return datetime.fromtimestamp(int(text) / (1000 if len(text) == 13 else 1), UTC)


def _read_words(text: str, language: str | None) -> datetime | None:
    """What people type: find the day first, then in what is left the time and the zone."""
    east = _EAST_ASIAN.search(text)
    numeric = _NUMERIC.search(text)
    if east:
        year, month, day = (int(part) for part in east.groups())
        rest = text[east.end() :]
    elif numeric:
        found = _read_numeric(*numeric.groups())
        if found is None:
            return None
        year, month, day = found
        rest = text[: numeric.start()] + " " + text[numeric.end() :]
    else:
        named = _read_named(text, language)
        if named is None:
            return None
        year, month, day, rest = named
    instant = datetime(year, month, day, tzinfo=UTC)
    clock = _EAST_ASIAN_CLOCK.search(rest) or _CLOCK.search(rest)
    if not clock:
        return instant
    hour, minute, second = (int(part or 0) for part in clock.groups())
    zone = rest[: clock.start()] + " " + rest[clock.end() :]
    return _at(instant, hour, minute, second, 0, zone)


def _read_numeric(first: str, mark: str, second: str, third: str) -> tuple[int, int, int] | None:
    """Year, month and day of a date in digits; None when it could be two days, or has no full year."""
    if len(first) == 4:
        return int(first), int(second), int(third)
    if len(third) != 4:
        return None
    one, two, year = int(first), int(second), int(third)
    if mark == "." or one > 12 or one == two:
        return year, two, one
    return (year, one, two) if two > 12 else None


def _read_named(text: str, language: str | None) -> tuple[int, int, int, str] | None:
    """Year, month, day and the rest of a text in which one word is a month."""
    for word in _NAME.finditer(text):
        month = _month(word.group(), language)
        if month:
            break
    else:
        return None
    before, after = text[: word.start()], text[word.end() :]
    clock = _CLOCK.search(after)
    dated = after[: clock.start()] if clock else after
    if not re.search(r"\d", dated) and not clock:
        return None
    day = re.search(r"(?<!\d)(\d{1,2})\D{0,6}$", before)
    year = re.match(r"\D{0,6}(\d{4}|'?\d\d)(?!\d)", dated)
    if day and year:  # 24 novembre 2025, 20:15
        return _full_year(year.group(1)), month, int(day.group(1)), after[year.end() :]
    day = re.match(r"\D{0,3}(\d{1,2})(?!\d)", after)
    if not day:
        return None
    rest = after[day.end() :]
    year = re.search(r"(?<!\d)(\d{4})\D{0,3}$", before)
    if year:  # 2025. november 24.
        return int(year.group(1)), month, int(day.group(1)), rest
    # Mon Nov 24 08:15:00 EST 2025 (asctime) has its year at the end, November 24, 2025 before the time.
    year = re.match(r"\D{0,4}(\d{4})(?!\d)", rest) or re.search(r"(?<![\d+\-:])(\d{4})\s*$", rest)
    if not year:
        return None
    return int(year.group(1)), month, int(day.group(1)), rest[: year.start()] + rest[year.end() :]


def _at(day: datetime, hour: int, minute: int, second: int, micro: int, rest: str | None) -> datetime:
    """That time of the day, in the zone that `rest` names. Raises ValueError for a time that there is not."""
    rest = rest or ""
    half = _AFTERNOON.search(rest)
    if half:
        letter, morning, _ = half.groups()
        is_morning = bool(morning) or (letter or "").lower() == "a"
        hour = hour % 12 + (0 if is_morning else 12) if hour <= 12 else hour
        rest = rest[: half.start()] + rest[half.end() :]
    if not (0 <= hour <= 24 and 0 <= minute <= 59 and 0 <= second <= 60):
        raise ValueError("no such time")
    # Hour 24 is the next midnight (ISO 8601), second 60 a leap second.
    passed = timedelta(hours=hour, minutes=minute, seconds=second, microseconds=micro)
    return (day.replace(tzinfo=None) + passed).replace(tzinfo=_zone(rest))


def _zone(text: str) -> tzinfo:
    """The zone that a text names; UTC when it names none, or none that is known (RFC 5322 §4.3)."""
    offset = _OFFSET.search(text)
    if offset:
        sign, hours, minutes = offset.groups()
        east = timedelta(hours=int(hours), minutes=int(minutes or 0))
        return timezone(east if sign == "+" else -east)
    area = _AREA.search(text)
    if area:
        try:
            return ZoneInfo(area.group())
        except (KeyError, OSError):
            return UTC
    for name in _NAME.findall(text):
        if name.upper() in _ZONES:
            return timezone(timedelta(hours=_ZONES[name.upper()]))
        if name in _SEASONLESS:
            return ZoneInfo(_SEASONLESS[name])
    return UTC


def _full_year(year: str) -> int:
    """Two digits are of the years 1969 to 2068, as POSIX has them (RFC 2822 §4.3 puts the turn at 50)."""
    number = int(year.lstrip("'"))
    if len(year.lstrip("'")) > 2:
        return number
    return number + (2000 if number < 69 else 1900)


def _month(word: str, language: str | None) -> int | None:
    name = word.casefold()
    english = _ENGLISH.get(name[:3])
    if english and (len(name) == 3 or name in month_names("en")):
        return english
    if language:
        own = month_names(language.split("-")[0].lower()).get(name)
        if own:
            return own
    return foreign_months().get(name)
