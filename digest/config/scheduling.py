"""The tables of config.toml about when and where: [schedule] and [engine]."""

import re
from datetime import date, time, timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from digest.config.values import Duration, Table, TimeOfDay, Weekdays, Zone, kind_of

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _read_weekday(raw: object) -> object:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    name = str(raw).strip().lower()
    if name == "off":
        return None
    if name not in _WEEKDAYS:
        raise ValueError('write a day as "sun", or "off"')
    return _WEEKDAYS.index(name)


def _read_holidays(raw: object) -> object:
    if not isinstance(raw, list | tuple):
        raise ValueError('write days as ["2026-12-25"], or without the year for every year: ["12-25"]')
    return tuple(_read_holiday(one) for one in raw)


def _read_holiday(raw: Any) -> object:
    if isinstance(raw, date):
        return raw
    if isinstance(raw, tuple):
        return raw
    text = str(raw).strip()
    try:
        if re.fullmatch(r"\d\d-\d\d", text):
            day = date.fromisoformat(f"2024-{text}")  # a leap year: the 29th of February is a day, too
            return (day.month, day.day)
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f'"{text}" is no day; write "2026-12-25", or "12-25" for every year') from None


class Pause(Table):
    """[[schedule.pauses]]: days on which nothing is due, both included."""

    first: date
    last: date

    @model_validator(mode="after")
    def _check_order(self) -> "Pause":
        if self.last < self.first:
            raise ValueError(f"it ends on {self.last}, before it begins on {self.first}")
        return self


# A day, or a month and a day of every year.
Holidays = Annotated[tuple[date | tuple[int, int], ...], BeforeValidator(_read_holidays)]


class Schedule(Table):
    """[schedule]"""

    at: TimeOfDay = time(7)
    days: Weekdays = frozenset(range(7))
    timezone: Zone = "UTC"
    per_subscriber_timezone: bool = False  # everyone at their own `at`
    max_lateness: Duration = Field(default=timedelta(hours=4), gt=timedelta())
    weekly: Annotated[int | None, BeforeValidator(_read_weekday)] = 6  # 0 is Monday; None: there is no weekly edition
    holidays: Holidays = ()
    pauses: tuple[Pause, ...] = ()

    def rests_on(self, day: date) -> bool:
        """Whether nothing is due on that day, whatever the weekday."""
        return (
            day in self.holidays
            or (day.month, day.day) in self.holidays
            or any(pause.first <= day <= pause.last for pause in self.pauses)
        )


class LocalEngine(Table):
    """[engine] with kind = "local": everything in the process that decides it."""

    kind: Literal["local"] = "local"


class ProcrastinateEngine(Table):
    """[engine] with kind = "procrastinate": any number of `digest worker` over one PostgreSQL."""

    kind: Literal["procrastinate"]
    concurrency: int = Field(default=4, ge=1, le=64)  # tasks at once, of one worker
    attempts: int = Field(default=5, ge=1, le=100)  # of a task, until it is set aside and reported
    health: str | None = Field(default=None, pattern=r"^(.+:)?\d{1,5}$")  # [HOST:]PORT of a worker's /livez and /readyz


def _kind_or_local(table: Any) -> str:
    kind = kind_of(table)
    return "local" if kind == "None" else kind


EngineTable = Annotated[
    Annotated[LocalEngine, Tag("local")] | Annotated[ProcrastinateEngine, Tag("procrastinate")],
    Discriminator(_kind_or_local),
]
