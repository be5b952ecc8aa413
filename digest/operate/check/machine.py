"""The machine: room on its disks, who may read and write what, backups, and the clocks of the world."""

import re
import stat
import zoneinfo
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from digest.config.delivering import OutboxTable, SmtpTable
from digest.decisions import is_rehearsal
from digest.errors import DigestError
from digest.operate.check.checked import Checked, Result

if TYPE_CHECKING:
    from importlib.abc import Traversable

    from digest.app import App

_FULL: Final = 200 * 2**20  # bytes left: an edition may fail for want of room
_TIGHT: Final = 2**30
_BACKUP_DAYS: Final = 7
_ZONE_VERSION: Final = re.compile(r"# version (\d{4}[a-z]+)")
_OLD_ZONES: Final = timedelta(days=550)


def check_machine(app: "App") -> Iterator[Checked]:
    """Each of them."""
    yield from _check_space(app)
    yield from _check_files(app)
    yield from _check_backup(app)
    yield from _check_journal(app)
    yield check_zone_data(zoneinfo.TZPATH, app.clock())


def _check_space(app: "App") -> Iterator[Checked]:
    """Once for each disk on which we write."""
    places = {app.config.path.parent: "the configuration"}
    with suppress(DigestError):  # which the database's own line says
        places |= {path.parent: "the database" for path in app.store.files}
    for table in app.config.transports:
        if isinstance(table, OutboxTable):
            places[table.path] = "the outbox"
    seen: set[int] = set()
    for place, what in places.items():
        found = next(folder for folder in (place, *place.parents) if folder.exists())
        if (disk := found.stat().st_dev) in seen:
            continue
        seen.add(disk)
        free = psutil.disk_usage(str(found)).free
        result: Result = "failure" if free < _FULL else "warning" if free < _TIGHT else "ok"
        remedy = None if result == "ok" else "make room: what cannot be written is not sent"
        message = f"{free / 2**30:.1f} GB are free where {what} lies"
        yield Checked(subject="disk", result=result, message=message, remedy=remedy)


def _check_files(app: "App") -> Iterator[Checked]:
    """Who on this machine may read what holds addresses or secrets, or change what we do."""
    sound = Checked(
        subject="permissions", result="ok", message="others on this machine can change or read nothing of it"
    )
    yield from list(_find_open_files(app)) or [sound]


def _find_open_files(app: "App") -> Iterator[Checked]:
    def tell(one: Path, message: str, remedy: str, result: Result = "warning") -> Checked:
        return Checked(subject=f"permissions {one.name}", result=result, message=message, remedy=remedy)

    path = app.config.path
    if _mode(path) & stat.S_IWOTH:
        yield tell(path, "everybody here may change it", f"chmod o-w {path}", "failure")
    if _holds_password(app.config.store.url) and not _is_from_environment(app) and _mode(path) & stat.S_IROTH:
        remedy = "move the address with its password into DIGEST_STORE_URL"
        yield tell(path, "everybody here may read the database's password in it", remedy)
    keys = [table.dkim.key for table in app.config.transports if isinstance(table, SmtpTable) and table.dkim]
    for one in [path.parent / ".env", *keys]:
        if _mode(one) & stat.S_IROTH:
            yield tell(one, "everybody here may read it", f"chmod o-rwx {one}")
    with suppress(DigestError):
        for one in app.store.files[:1]:
            if _mode(one) & stat.S_IROTH and not is_rehearsal(app.config):
                yield tell(one, "everybody here may read the readers' addresses in it", f"chmod o-rwx {one}")


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0  # it is not there, or not ours to see


def _holds_password(url: str) -> bool:
    head = url.partition("://")[2].rpartition("@")[0]
    return ":" in head


def _is_from_environment(app: "App") -> bool:
    """Whether the file says nothing of the address: it is then not there to be read."""
    try:
        return app.config.store.url not in app.config.path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return False


def _check_backup(app: "App") -> Iterator[Checked]:
    try:
        last, now = app.store.find_last_backup(), app.clock()
    except DigestError:
        return
    if is_rehearsal(app.config) and last is None:
        yield Checked(subject="backup", result="ok", message="none yet; nobody is mailed for real")
        return
    remedy = "run `digest db backup FILE` once a day, or see that whatever else copies the database does"
    if last is None:
        yield Checked(subject="backup", result="warning", message="none is on record", remedy=remedy)
        return
    is_old = now - last > timedelta(days=_BACKUP_DAYS)
    yield Checked(
        subject="backup",
        result="warning" if is_old else "ok",
        message=f"the last one is of {last:%Y-%m-%d %H:%M} UTC",
        remedy=remedy if is_old else None,
    )


def _check_journal(app: "App") -> Iterator[Checked]:
    try:
        journal = app.store.journal
    except DigestError:
        return
    if journal is None:
        return
    fault = journal.find_fault()
    yield Checked(
        subject="journal",
        result="failure" if fault else "ok",
        message=fault or f"who leaves is noted in {journal.path}",
        remedy="let this user write there, or name another file as [store] journal" if fault else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneData:
    """The data on time zones that are in use: `place` is the folder, or the package, that they come from."""

    version: str | None  # as "2026a"; None: their files do not say it
    place: str

    def __str__(self) -> str:
        return f"tzdata {self.version or 'of an unknown version'}, from {self.place}"


def find_zone_data(folders: Sequence[str]) -> ZoneData:
    """What `zoneinfo` reads: the first of these folders (`zoneinfo.TZPATH`) that has zones, else the package tzdata."""
    for folder in map(Path, folders):
        if (folder / "UTC").is_file():
            return ZoneData(version=_read_version(folder), place=f"the system's {folder}")
    return ZoneData(version=_read_version(files("tzdata") / "zoneinfo"), place="the package tzdata")


def _read_version(folder: "Traversable") -> str | None:
    try:
        found = _ZONE_VERSION.match((folder / "tzdata.zi").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    return found[1] if found else None


def check_zone_data(folders: Sequence[str], now: datetime) -> Checked:
    """Whether the data are of an age at which clocks have changed since."""
    data = find_zone_data(folders)
    is_old = data.version is not None and now - datetime(int(data.version[:4]), 1, 1, tzinfo=UTC) > _OLD_ZONES
    return Checked(
        subject="time zone data",
        result="warning" if is_old else "ok",
        message=str(data),
        remedy=f"bring {data.place} up to date: countries change their clocks" if is_old else None,
    )
