"""The tutorial, word by word: every command of it is run, and every table put into config.toml, in an empty HOME."""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.utils import format_datetime
from pathlib import Path

from tests.acceptance.conftest import Answer, Desk, Ran
from tests.doubles.ports import free_port
from tests.forking import COMMON, Forked

_BLOCK = re.compile(r"```(console|toml)\n(.*?)```", re.DOTALL)
_RFC822 = re.compile(r"(?<=<pubDate>)[^<]*")
_ISO = re.compile(r"20\d\d-\d\d-\d\dT[0-9:.]+(Z|[+-]\d\d:\d\d)")


def make_fresh(feed: str) -> bytes:
    """One of the invented outlets' feeds, as of the last hours."""
    at = datetime.now(UTC) - timedelta(hours=3)
    return _ISO.sub(at.isoformat(), _RFC822.sub(format_datetime(at), feed)).encode()


@dataclass
class Stranger:
    """Somebody who types what the page says."""

    home: Path
    feeds: str  # where the three are, instead of at example.org
    port: int  # of the practice server
    desk: Desk = field(init=False)  # where it is now
    ran: list[tuple[str, Ran]] = field(default_factory=list)
    running: list[Forked] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.desk = Desk(self.home)
        self.desk.environment["HOME"] = str(self.home)

    def type(self, line: str) -> None:
        """One command."""
        line = re.sub(r"https://(one|two|three)\.example\.org/feed\.xml", rf"{self.feeds}/\1", line)
        words = shlex.split(line.removesuffix(" &"))
        if words[0] == "cd":
            self.desk.folder = (self.desk.folder / words[1].replace("~", str(self.home))).resolve()
            return
        if words[0] != "digest" or words[1:2] == ["--version"]:
            return  # step 1: the environment is the one that the tests run in
        if words[1] == "sink":
            words += ["--port", str(self.port)]
        if words[1] == "serve":
            words += ["--port", "0"]
        if line.endswith(" &"):
            self.running.append(self.desk.start(*words[1:]))
            return
        done = self.desk.digest(*words[1:])
        self.ran.append((line, done))
        assert done.code == 0, (line, done.out, done.err)

    def write(self, table: str) -> None:
        """What the page shows of config.toml goes where that table stands, and the rest of it stays."""
        path, table = self.desk.folder / "config.toml", table.replace("2525", str(self.port))
        text = path.read_text(encoding="utf-8")
        name = re.escape(table.partition("\n")[0])
        start = re.search(rf"^{name}.*$", text, re.MULTILINE)
        assert start, name
        end = re.search(r"^\[", text[start.end() :], re.MULTILINE)
        rest = text[start.end() :][end.start() if end else len(text) :]
        path.write_text(f"{text[: start.start()]}{table}\n{rest}", encoding="utf-8")


@contextmanager
def reading(page: str, stranger: Stranger) -> Iterator[Stranger]:
    """Do all that the page says, in its order."""
    try:
        for kind, block in _BLOCK.findall(page):
            if kind == "toml":
                stranger.write(block.strip())
                continue
            for line in block.splitlines():
                if line.startswith("$ "):
                    stranger.type(line[2:])
        yield stranger
    finally:
        for process in stranger.running:
            process.terminate()
        for process in stranger.running:
            process.communicate(timeout=30)


def test_a_stranger_gets_from_nothing_to_a_daily_mail(
    repository: Path, tmp_path: Path, serve_web: Callable[[Callable[[str], Answer]], str]
) -> None:
    feeds = {"/one": "harbour-herald.xml", "/two": "selwick-radio.xml", "/three": "the-orbit.json"}

    def answer(path: str) -> Answer:
        if path not in feeds:
            return 404, {}, b""
        return 200, {}, make_fresh((repository / "samples" / feeds[path]).read_text(encoding="utf-8"))

    page = (repository / "docs/tutorial.md").read_text(encoding="utf-8")
    # The remark on feeds of one's own network stands behind the step that needs it here.
    remark = "```toml\n[fetch]"
    before, after = page.split("$ digest sources add https://one", 1)
    assert remark in after
    table = remark + after.split(remark)[1].split("```")[0] + "```\n"
    page = before.rstrip() + "\n```\n" + table + "```console\n$ digest sources add https://one" + after
    stranger = Stranger(home=tmp_path, feeds=serve_web(answer), port=free_port())
    with reading(page, stranger) as done:
        news = tmp_path / "news"
        assert (news / "first.html").stat().st_size > 5000
        mails = [
            message_from_bytes(path.read_bytes(), policy=policy.default)
            for path in sorted((news / "received/new").glob("*"))
        ]
        assert sorted(str(mail["To"]) for mail in mails) == ["Ann <ann@example.com>", "Ben <ben@example.com>"]
        first, second = (ran for line, ran in done.ran if line.startswith("digest run"))
        assert "2 messages accepted" in first.out
        serving = done.running[-1]
        assert "an edition is due at 07:00 UTC" in serving.stderr.readline()
        (checked,) = (ran.out for line, ran in done.ran if line == "digest check")
        assert "failure" not in checked, checked
        assert "is under a name reserved for tests and examples" in checked
        assert "was already sent" in second.out


def test_nothing_of_the_tutorial_is_left_out(repository: Path) -> None:
    page = (repository / "docs/tutorial.md").read_text(encoding="utf-8")
    assert page.count("```") == 2 * len(_BLOCK.findall(page)), "every block is one that is run or written"


def test_the_practice_server_says_when_its_port_is_taken(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "digest", "sink", "--port", str(port)]
    with subprocess.Popen(command, cwd=tmp_path, env=COMMON, text=True, stderr=subprocess.PIPE) as first:
        try:
            assert first.stderr
            assert f"Listening on 127.0.0.1:{port}" in first.stderr.readline()
            second = subprocess.run(command, cwd=tmp_path, env=COMMON, text=True, capture_output=True, check=False)
            assert second.returncode == 2
            assert "another program has that port (choose another with --port)" in second.stderr
        finally:
            first.terminate()
    assert first.returncode == 0
