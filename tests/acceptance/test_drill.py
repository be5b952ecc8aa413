"""`digest drill`: the real sender, really killed, against real sinks; and the operator's own left alone."""

import hashlib
import json
import os
import re
import shutil
import signal
import smtplib
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.acceptance.conftest import Desk
from tests.acceptance.serving import wait_for
from tests.doubles.ports import free_port
from tests.doubles.postgresql import PostgresServer

OWN = """\
[transport]
kind = "smtp"
host = "mail.example.com"
username = "operator"
connections = 2

[store]
url = "sqlite:///own.db"

[alerts]
to = ["operator@news.test"]

[[sources]]
id = "wire"
kind = "feed"
url = "https://feeds.example.com/rss"
rights = "own"
"""


@pytest.fixture
def own(desk: Desk, tmp_path: Path) -> Iterator[Desk]:
    """An operator's folder, and a place for what is temporary beside it."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    desk.folder = tmp_path / "own"
    desk.folder.mkdir()
    desk.environment["TMPDIR"] = str(scratch)
    desk.configure(OWN)
    (desk.folder / "templates").mkdir()
    yield desk
    assert not [process for process in psutil.process_iter(["cwd"]) if str(scratch) in str(process.info["cwd"])]


def files_in(folder: Path) -> dict[str, str]:
    """Every file with a hash of what is in it."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def check(row: dict[str, Any], *, kills: int) -> None:
    """The promise, and that it was put to the test."""
    assert row["held"], row
    assert (row["twice"], row["lost"], row["faults"]) == (0, 0, [])
    assert row["kills_while_sending"] == row["kills"] == kills
    assert row["accepted"] + row["unknown"] == row["subscribers"]
    assert row["unknown"] <= row["unknown_at_most"]


def test_a_sender_killed_again_and_again_mails_nobody_twice_and_loses_nobody(own: Desk) -> None:
    before = files_in(own.folder)
    drill = ("drill", "--subscribers", "60", "--kills", "3", "--seed", "7", "--transport", "sendgrid", "--json")
    done = own.digest(*drill, DIGEST_STORE_URL="sqlite:////nowhere/at/all.db")
    (row,) = done.rows
    assert done.code == 0, done.err
    check(row, kills=3)
    assert row["folder"] is None
    assert "kill 3 of 3" in done.err
    assert files_in(own.folder) == before, "nothing of the operator's own is touched"
    assert list((own.folder.parent / "scratch").iterdir()) == []


def test_a_drill_that_is_stopped_leaves_nothing_behind(own: Desk) -> None:
    process = own.start("drill", "--subscribers", "500", "--kills", "500")
    for line in iter(process.stderr.readline, ""):
        if line.startswith("kill 1 of"):
            break
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "the drill was stopped" in err
    assert list((own.folder.parent / "scratch").iterdir()) == []


def test_a_drill_on_postgresql_takes_an_empty_database_only(own: Desk, postgresql: PostgresServer) -> None:
    url = postgresql.create()
    try:
        drill = ("drill", "--subscribers", "20", "--kills", "1", "--store", url, "--json")
        (row,) = own.digest(*drill).rows
        check(row, kills=1)
        assert row["store"] == "postgresql"
        again = own.digest(*drill)
        assert again.code == 2
        assert "the database is not empty" in again.err
    finally:
        postgresql.drop(url)


def blocks(repository: Path, language: str) -> list[str]:
    """The page's examples."""
    page = (repository / "docs/drill.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


@pytest.fixture
def shell(own: Desk, tmp_path: Path) -> Desk:
    """A shell in a folder that anybody may write to, with `digest` on its path."""
    command = tmp_path / "bin" / "digest"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m digest "$@"\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    package = Path(__file__).resolve().parents[2]
    own.environment |= {"PATH": f"{command.parent}:{os.environ['PATH']}", "PYTHONPATH": str(package)}
    return own


def run_shell(shell: Desk, folder: Path, script: str) -> tuple[str, dict[str, Any]]:
    """What an example prints, and the drill's own object."""
    environment = shell.environment | {"DIGEST_CONFIG": str(shell.folder / "config.toml")}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-mc", script], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads((folder / "drill.json").read_text())


def test_the_list_of_our_own_sink_shows_nobody_twice_and_nobody_lost(shell: Desk, repository: Path) -> None:
    before = files_in(shell.folder)
    printed, row = run_shell(shell, shell.folder, blocks(repository, "sh")[0])
    assert printed == ""
    check(row, kills=2)
    assert row["unknown_at_most"] == 2 * 2, "the operator's number of connections"
    assert files_in(shell.folder).keys() - before.keys() == {"drill.json"}
    page = (repository / "docs/drill.md").read_text(encoding="utf-8")
    for name in row:
        assert f"`{name}`" in page


def test_postfixs_own_sink_says_the_same(shell: Desk, repository: Path) -> None:
    if shutil.which("smtp-sink", path="/usr/sbin:/usr/bin") is None:
        pytest.skip("needs postfix")
    shell.environment["PATH"] += ":/usr/sbin"
    script = blocks(repository, "sh")[1].replace("2525", str(free_port())).replace("--kills 2", "--kills 1")
    folder = Path(tempfile.mkdtemp(prefix="digest-sink-", dir="/tmp"))
    try:
        if os.getuid() == 0:
            folder.chmod(0o711)
            script = script.replace("mkdir dumped", "mkdir -m 777 dumped").replace("smtp-sink", "smtp-sink -u nobody")
        printed, row = run_shell(shell, folder, script)
    finally:
        shutil.rmtree(folder)
    assert printed == ""
    assert row["held"] and row["kills_while_sending"] == 1
    assert row["twice"] is None, "that is for the operator to count"


def test_a_few_lines_of_python_are_a_sink(shell: Desk, repository: Path) -> None:
    port = free_port()
    (script,) = blocks(repository, "python")

    def send() -> bool:
        try:
            with smtplib.SMTP("127.0.0.1", port, timeout=10) as server:
                server.sendmail("a@rehearsal.test", ["b@rehearsal.test"], "Subject: x\r\n\r\nx")
        except ConnectionRefusedError:
            return False
        return True

    with subprocess.Popen([sys.executable, "-c", script.replace("2525", str(port))], cwd=shell.folder) as sink:
        try:
            wait_for(send, 30, "the sink")
        finally:
            sink.terminate()
    assert (shell.folder / "record.txt").read_text() == "b@rehearsal.test\n"
