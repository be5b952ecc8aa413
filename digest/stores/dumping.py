"""PostgreSQL's own copies: pg_dump and pg_restore, where they are installed.

They know every version's secrets and are kept by its makers. A password goes to them in their environment, which
others on the machine cannot read, and never among their arguments, which everybody can.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from sqlalchemy import URL

from digest.errors import StoreError

_BEFORE_FAULT: Final = re.compile(r"^(psql:\S*\s*)?error:\s*", re.IGNORECASE)
MAGIC: Final = b"PGDMP"  # with which a dump in pg_dump's custom format begins


def dump(url: URL, name: str, target: Path) -> None:
    """The whole database into a file, as it is at one moment. Raises StoreError; `name` is what errors call it."""
    _run("pg_dump", url, name, "--no-owner", "--no-privileges", "--format=custom", f"--file={target}")


def restore(url: URL, name: str, source: Path, notes: Mapping[str, str]) -> None:
    """Such a file into an empty database, and `notes` beside its keys: all of it or nothing. Raises StoreError."""
    listed = _run("pg_restore", None, str(source), "--list", str(source)).split()
    if not {"editions", "deliveries", "alembic_version"} <= set(listed):
        raise StoreError(str(source), "it holds a database of another program", remedy="restore another")
    # As text, through psql: pg_restore itself would end its transaction before anything could be added to it.
    writing = ["pg_restore", "--no-owner", "--no-privileges", "--clean", "--if-exists", "--file=-", str(source)]
    taking = ["psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--output=/dev/null"]
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as told:
        written = _start(writing, None, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said)
        with written, _start(taking, url, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=told) as taken:
            is_whole = _pass_on(written, taken, _write_notes(notes))
        if taken.returncode > 0:
            raise _failed("psql", name, told)
        if not is_whole:
            raise _failed("pg_restore", name, said)


def _pass_on(written: "subprocess.Popen[bytes]", taken: "subprocess.Popen[bytes]", last: bytes) -> bool:
    """What one writes to the other, in one transaction with that at its end; whether it was whole: else none of it."""
    if not (written.stdout and taken.stdin):
        raise TypeError("they are pipes")
    try:
        taken.stdin.write(b"BEGIN;\n")
        shutil.copyfileobj(written.stdout, taken.stdin, 1 << 20)
        if written.wait():
            taken.kill()  # before it learns that there is no more: the server undoes what it began
            return False
        taken.stdin.write(last)
        taken.stdin.close()
    except BrokenPipeError:  # psql ended, and says why
        written.stdout.close()
        return False
    finally:
        with suppress(BrokenPipeError):
            taken.stdin.close()
    return not taken.wait()


def _write_notes(notes: Mapping[str, str]) -> bytes:
    rows = ", ".join(f"({_literal(key)}, {_literal(value)})" for key, value in notes.items())
    # A backup of a database that was restored itself has such notes already.
    known = "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
    text = f"RESET search_path;\nINSERT INTO keys (name, value) VALUES {rows} {known};\nCOMMIT;\n"
    return text.encode()


def _literal(text: str) -> str:
    """For a server that takes backslashes for what they are, as every one does by itself."""
    return "'" + text.replace("'", "''") + "'"


def _start(command: Sequence[str], url: URL | None, **pipes: Any) -> "subprocess.Popen[bytes]":
    """One of PostgreSQL's programs, without a shell; at the database of that address. Raises StoreError."""
    program, *arguments = command
    found = shutil.which(program)
    if found is None:
        remedy = "install PostgreSQL's client programs of the server's version (postgresql-client)"
        raise StoreError(program, "it is not on the PATH here, and PostgreSQL needs it for that", remedy=remedy)
    environment = {**os.environ, "LC_ALL": "C"}
    if url is not None:
        arguments = ["--no-password", f"--dbname={_without_password(url)}", *arguments]
        environment |= {"PGPASSWORD": str(url.password)} if url.password else {}
    try:
        return subprocess.Popen([found, *arguments], env=environment, **pipes)  # noqa: S603 - the operator's own
    except OSError as error:
        raise StoreError(program, "it cannot be started") from error


def _run(program: str, url: URL | None, name: str, *arguments: str) -> str:
    with tempfile.TemporaryFile() as said:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": said}
        with _start([program, *arguments], url, **pipes) as started:
            told, _ = started.communicate()
        if started.returncode:
            raise _failed(program, name, said)
    return told.decode(errors="replace")


def _failed(program: str, name: str, said: IO[bytes]) -> StoreError:
    said.seek(0)
    return StoreError(name, f"{program} failed: {_first_fault(said.read(), program)}")


def _first_fault(said: bytes, program: str) -> str:
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    faults = [line for line in lines if "error:" in line.lower()] or lines or [f"{program} did not say why"]
    return _BEFORE_FAULT.sub("", faults[0].removeprefix(f"{program}: "))[:300]


def _without_password(url: URL) -> str:
    """As libpq reads it: https://www.postgresql.org/docs/current/libpq-connect.html."""
    parts: dict[str, object] = {"host": url.host, "port": url.port, "user": url.username, "dbname": url.database}
    parts |= {key: value for key, value in url.query.items() if key not in {"password", "sslpassword"}}
    return " ".join(f"{key}={_quote(str(value))}" for key, value in parts.items() if value is not None)


def _quote(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
