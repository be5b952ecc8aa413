"""How an edition speaks its language: phrases from TOML tables; plurals, numbers and dates by Babel."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_skeleton, format_time
from babel.numbers import format_decimal

from digest.errors import RenderError
from digest.text import widen_tag

_FALLBACK = "en"
_PLURALS = frozenset({"zero", "one", "two", "few", "many", "other"})
_NAME = re.compile(r"\{(\w+)\}")


class Wording:
    """The phrases and the formats of one language. What a language lacks is said in English."""

    def __init__(self, folders: Sequence[Path], language: str) -> None:
        """`folders` are template roots, the first one's phrases winning. Raises RenderError."""
        self.language = language
        self.phrases = load_phrases(folders, language)
        self._locale = _locale(language)

    def say(self, key: str, **values: object) -> str:
        """The phrase with its `{names}` filled in. Raises LookupError where no table has it."""
        if key not in self.phrases:
            raise LookupError(f"there is no phrase {key!r}")
        phrase = self.phrases[key]
        for name, value in values.items():
            phrase = phrase.replace(f"{{{name}}}", str(value))
        return phrase

    def say_of(self, cadence: str, key: str, **values: object) -> str:
        """The phrase as an edition of that cadence says it: `end_weekly` of the week, where there is one, for `end`."""
        own = f"{key}_{cadence}"
        return self.say(own if own in self.phrases else key, **values)

    def weekday(self, number: int) -> str:
        """The name of a day of the week; 0 is Monday."""
        return str(self._locale.days["stand-alone"]["wide"][number])

    def count(self, key: str, number: int) -> str:
        """The phrase for so many: `stories` is looked up as `stories_one`, `stories_few` …, as plurals go."""
        form = f"{key}_{self._locale.plural_form(number)}"
        written = format_decimal(number, locale=self._locale)
        return self.say(form if form in self.phrases else f"{key}_other", n=written)

    def duration(self, key: str, span: timedelta) -> str:
        """The phrase for a span of time, `key_days` from two days on and `key_hours` below."""
        hours = max(1, round(span / timedelta(hours=1)))
        return self.count(f"{key}_days", round(hours / 24)) if hours >= 48 else self.count(f"{key}_hours", hours)

    def day_in_full(self, day: date) -> str:
        """A day with its year."""
        return format_date(day, "long", locale=self._locale)

    def time_of_day(self, moment: time) -> str:
        """A time of day."""
        return format_time(moment, "short", locale=self._locale).replace("\u202f", "\xa0")

    def day(self, day: date) -> str:
        """A day of this year, short."""
        return format_skeleton("MMMd", day, locale=self._locale)

    def join(self, names: Sequence[str]) -> str:
        """Several names, one after the other."""
        return self.say("comma").join(names)

    def moment(self, moment: datetime, zone: tzinfo, today: date) -> str:
        """When something was published: the time of day, or on another day than `today` which one."""
        local = moment.astimezone(zone)
        if local.date() != today:
            return self.day(local.date())
        # CLDR parts time and AM by a narrow space that many fonts draw as none.
        time_of_day = format_time(local, "short", tzinfo=zone, locale=self._locale).replace("\u202f", "\xa0")
        return f"{time_of_day} UTC" if local.tzname() == "UTC" else time_of_day


def format_day(day: date, language: str) -> str:
    """The date in full, weekday first, as it stands on a line of its own."""
    written = format_date(day, "full", locale=_locale(language))
    return written[:1].upper() + written[1:]


def load_phrases(folders: Sequence[Path], language: str) -> Mapping[str, str]:
    """`email/phrases/*.toml` of the language over its parent's over English. Raises RenderError."""
    tables = [_find_tables(folder) for folder in folders]
    phrases: dict[str, str] = {}
    names: dict[str, frozenset[str]] = {}  # of each phrase, what is filled in
    for tag in dict.fromkeys((_FALLBACK, *reversed(list(widen_tag(language))))):
        for table in reversed(tables):
            if path := table.get(tag):
                own = _read(path)
                _check_names(path, own, names)
                phrases.update(own)
        if tag == _FALLBACK:
            for key, phrase in phrases.items():
                family = _family(key)
                names[family] = names.get(family, frozenset()) | set(_NAME.findall(phrase))
    if not phrases:
        looked = " or ".join(str(folder) for folder in folders)
        raise RenderError(
            f"email/phrases/{_FALLBACK}.toml", "the phrases are missing", remedy=f"put them under {looked}"
        )
    return phrases


def _check_names(path: Path, phrases: Mapping[str, str], names: Mapping[str, frozenset[str]]) -> None:
    """What nobody fills in would be mailed as it stands."""
    for key, phrase in phrases.items():
        known_names = names.get(_family(key))
        if known_names is None:  # a phrase for the operator's own templates
            continue
        if unknown := set(_NAME.findall(phrase)) - known_names:
            known = ", ".join(f"{{{name}}}" for name in sorted(known_names)) or "none"
            raise RenderError(str(path), f"{key} has {{{min(unknown)}}}, which is not filled in", remedy=f"use {known}")


def _family(key: str) -> str:
    """A phrase's key without its plural form: in one of them a number may be a word."""
    stem, _, form = key.rpartition("_")
    return stem if form in _PLURALS else key


def _find_tables(folder: Path) -> dict[str, Path]:
    """The tables of a folder by their language's tag in small letters: files may well be called pt-BR.toml."""
    return {path.stem.lower(): path for path in sorted((folder / "email" / "phrases").glob("*.toml"))}


def find_languages(folders: Sequence[Path]) -> frozenset[str]:
    """The languages that there are phrases of, as tags in small letters."""
    return frozenset(tag for folder in folders for tag in _find_tables(folder))


def _read(path: Path) -> Mapping[str, str]:
    try:
        found = path.stat()
        return _parse(path, found.st_mtime_ns, found.st_size)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise RenderError(str(path), "the phrases cannot be read", remedy="correct the file") from error


# Every page asks for its phrases, and a table takes 4 ms to read; one that was changed is another.
@lru_cache(maxsize=64)
def _parse(path: Path, changed: int, size: int) -> Mapping[str, str]:  # noqa: ARG001 - what makes it another
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RenderError(str(path), "the phrases cannot be read", remedy="correct the file") from error
    wrong = [key for key, value in table.items() if not isinstance(value, str)]
    if wrong:
        raise RenderError(str(path), f"{wrong[0]!r} is not text", remedy='write key = "phrase"')
    return table


def _locale(language: str) -> Locale:
    for name in widen_tag(language):
        try:
            return Locale.parse(name, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return Locale.parse(_FALLBACK)
