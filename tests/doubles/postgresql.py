"""A real PostgreSQL server of our own, started as an unprivileged user, with its files in a temporary folder."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from itertools import count
from pathlib import Path
from types import TracebackType

import psycopg


def find_binaries() -> Path | None:
    """The folder with `initdb`, `pg_ctl` and `postgres`; None where PostgreSQL is not installed."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))[::-1]:
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


class PostgresServer:
    """`with PostgresServer() as server: url = server.create()`. `durable` has it wait for the disk, as by default."""

    def __init__(self, *, durable: bool = False) -> None:
        """Starts nothing yet."""
        binaries = find_binaries()
        assert binaries, "find_binaries() says whether it is installed"
        self._binaries = binaries
        self._durable = durable
        # PostgreSQL refuses to run as root.
        self._user = pwd.getpwnam("nobody" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name)
        self._names = count(1)
        self.port = 0

    def __enter__(self) -> "PostgresServer":
        self._folder = Path(tempfile.mkdtemp(prefix="digest-postgresql-"))
        if os.getuid() == 0:
            os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        # As text in its user's own order: the same everywhere.
        self._run("initdb", "--auth=trust", "--username=digest", "--encoding=UTF8", "--locale=C", "--no-sync")
        options = [
            "listen_addresses = '127.0.0.1'",
            f"unix_socket_directories = '{self._folder}'",
            "max_connections = 200",
            "shared_buffers = 128MB",
            *(() if self._durable else ("fsync = off", "full_page_writes = off")),
        ]
        with (self._folder / "db" / "postgresql.conf").open("a") as file:
            file.write("\n".join(options) + "\n")
        for is_last in (False, False, True):
            with socket.socket() as probe:  # which another may take before the server does
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
            try:
                self.start()
            except AssertionError:
                if is_last:
                    raise
            else:
                break
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._run("pg_ctl", "start", "--wait", "--silent", f"--log={self._folder / 'log'}", f"--options=-p {self.port}")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: "fast" ends every connection, "immediate" is a crash."""
        self._run("pg_ctl", "stop", "--wait", "--silent", f"--mode={mode}")

    @property
    def pid(self) -> int:
        """Of the process that starts all the others."""
        return int((self._folder / "db" / "postmaster.pid").read_text().split()[0])

    def ask_for_passwords(self, user: str) -> None:
        """Let that user in by password alone."""
        access = self._folder / "db" / "pg_hba.conf"
        access.write_text(f"host all {user} 127.0.0.1/32 scram-sha-256\n{access.read_text()}")
        self._run("pg_ctl", "reload", "--silent")

    def create(self, like: str = "template1") -> str:
        """A new database, empty or with all that the one of that name holds; its address."""
        name = f"test{next(self._names)}"
        self._admit(f"CREATE DATABASE {name} TEMPLATE {like} STRATEGY file_copy")
        return self.url(name)

    def url(self, name: str) -> str:
        """The address of a database."""
        return f"postgresql+psycopg://digest@127.0.0.1:{self.port}/{name}"

    def drop(self, url: str) -> None:
        """Remove a database, whoever is connected."""
        self._admit(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def _admit(self, statement: str) -> None:
        with psycopg.connect(f"postgresql://digest@127.0.0.1:{self.port}/postgres", autocommit=True) as connection:
            connection.execute(statement)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), *arguments, "--pgdata", str(self._folder / "db")]
        if os.getuid() == 0:
            ids = [f"--reuid={self._user.pw_uid}", f"--regid={self._user.pw_gid}", "--clear-groups"]
            command = ["setpriv", *ids, *command]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/"
        )
        assert done.returncode == 0, done.stdout.decode()
