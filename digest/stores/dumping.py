"""PostgreSQL's own copies: pg_dump and pg_restore, where they are installed.

They know every version's secrets and are kept by its makers. A password goes to them in their environment, which
others on the machine cannot read, and never among their arguments, which everybody can.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from sqlalchemy import URL

from digest.errors import StoreError

MAGIC: Final = b"PGDMP"  # with which a dump in pg_dump's custom format begins
_PLAIN: Final = ("--no-owner", "--no-privileges", "--no-password")  # whoever restores it owns it


def begins_with(file: Path, magic: bytes) -> bool:
    """Whether a file is of the kind that begins so. Raises StoreError."""
    try:
        with file.open("rb") as opened:
            return opened.read(len(magic)) == magic
    except OSError as error:
        raise StoreError(str(file), "it cannot be read") from error


def make_private(file: Path) -> None:
    """An empty file that its owner alone may read, whatever the umask: addresses and keys come into it.

    Raises OSError.
    """
    number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(number, 0o600)  # where it was there
    finally:
        os.close(number)


def dump(url: URL, name: str, target: Path) -> None:
    """The whole database into a file, as it is at one moment. Raises StoreError; `name` is what errors call it."""
    try:
        make_private(target)
    except OSError as error:
        raise StoreError(str(target), "it cannot be written") from error
    _run("pg_dump", url, name, "--format=custom", f"--file={target}")


def restore(url: URL, name: str, source: Path) -> None:
    """Such a file into an empty database: all of it or nothing. Raises StoreError."""
    listed = _run("pg_restore", None, str(source), "--list", str(source)).split()
    if not {"editions", "deliveries", "alembic_version"} <= set(listed):
        raise StoreError(str(source), "it holds a database of another program", remedy="restore another")
    _run("pg_restore", url, name, "--single-transaction", "--exit-on-error", "--clean", "--if-exists", str(source))


def _run(program: str, url: URL | None, name: str, *arguments: str) -> str:
    found = shutil.which(program)
    if found is None:
        remedy = "install PostgreSQL's client programs of the server's version (postgresql-client)"
        raise StoreError(program, "it is not on the PATH here, and PostgreSQL needs it for that", remedy=remedy)
    command, environment = [found, *arguments], {**os.environ, "LC_ALL": "C"}
    if url is not None:
        command[1:1] = [*_PLAIN, f"--dbname={_without_password(url)}"]
        environment |= {"PGPASSWORD": str(url.password)} if url.password else {}
    try:
        ended = subprocess.run(  # noqa: S603 - no shell, and the operator's own program
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError as error:
        raise StoreError(program, "it cannot be started") from error
    if ended.returncode:
        raise StoreError(name, f"{program} failed: {_first_fault(ended.stderr, program)}")
    return ended.stdout.decode(errors="replace")


def _first_fault(said: bytes, program: str) -> str:
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    faults = [line for line in lines if "error:" in line] or lines or [f"{program} did not say why"]
    return faults[0].removeprefix(f"{program}: ").removeprefix("error: ")[:300]


def _without_password(url: URL) -> str:
    """As libpq reads it: https://www.postgresql.org/docs/current/libpq-connect.html."""
    parts: dict[str, object] = {"host": url.host, "port": url.port, "user": url.username, "dbname": url.database}
    parts |= {key: value for key, value in url.query.items() if key not in {"password", "sslpassword"}}
    return " ".join(f"{key}={_quote(str(value))}" for key, value in parts.items() if value is not None)


def _quote(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
