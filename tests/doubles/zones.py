"""A time zone of a test's own, in which a whole minute comes when the test wants it.

An edition is due at a minute; by the real clock one is up to sixty seconds away. The clock stays the machine's: the
zone is a file like any other (RFC 9636), some seconds east of UTC.
"""

import os
import struct
import zoneinfo
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

SEARCHED: Final = "PYTHONTZPATH"  # the variable that says where Python looks for time zones


@dataclass(frozen=True, slots=True, kw_only=True)
class Appointment:
    """An instant that is a whole minute somewhere."""

    due: datetime  # UTC
    day: date  # the wall's, there
    at: str  # HH:MM, there
    zone: str  # its name, for a process that looks in `path`
    path: str  # for PYTHONTZPATH


@contextmanager
def appointment(folder: Path, *, seconds: int) -> Iterator[Appointment]:
    """A whole minute that comes in so many seconds; this process knows its zone meanwhile."""
    due = (datetime.now(UTC) + timedelta(seconds=seconds + 1)).replace(microsecond=0)
    east = timedelta(seconds=-due.second % 60)
    zone = f"Test/East{int(east.total_seconds())}"  # a process keeps what it has read of a zone by its name
    path = folder / "zones" / zone
    path.parent.mkdir(parents=True)
    path.write_bytes(_write_zone(east))
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=[str(folder / "zones"), *before])
    try:
        wall = due + east
        found = os.pathsep.join(zoneinfo.TZPATH)
        yield Appointment(due=due, day=wall.date(), at=f"{wall:%H:%M}", zone=zone, path=found)
    finally:
        zoneinfo.reset_tzpath(to=before)


def _write_zone(east: timedelta) -> bytes:
    """A zone that was always so far east of UTC, as a TZif file of version 1 (RFC 9636 §3)."""
    name = b"HERE\0"
    counts = struct.pack(">6l", 0, 0, 0, 0, 1, len(name))
    return b"TZif\0" + bytes(15) + counts + struct.pack(">lbb", int(east.total_seconds()), 0, 0) + name
