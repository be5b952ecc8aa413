"""What a hostile or broken site may answer: a named failure of that source, and the run goes on with the others."""

import email
import email.policy
import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

import pytest

from tests.acceptance.conftest import Desk
from tests.acceptance.test_bad_input import feed, source

SITE = "127.0.0.2"  # listed as allowed; 127.0.0.1, to which "localhost" leads, is not
MEMORY = 500_000_000
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/rss+xml\r\nConnection: close\r\n"
# A process begins with the memory of the one that started it as its most, so a small one stands in between.
MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""
CHALLENGE = b"<!doctype html><html><title>Just a moment...</title><body>Checking your browser<script>x()</script>"
QUADRATIC = b'<!DOCTYPE r [<!ENTITY a "' + b"a" * 50_000 + b'">]>'
EXTERNAL = b'<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


def whole(body: bytes, *more: bytes) -> bytes:
    return HEAD + b"".join(line + b"\r\n" for line in (b"Content-Length: %d" % len(body), *more)) + b"\r\n" + body


def redirect(to: bytes) -> bytes:
    return b"HTTP/1.1 302 Found\r\nLocation: " + to + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def one(title: bytes, head: bytes = b"", link: bytes = b"https://example.com/x") -> bytes:
    return (
        head + b"<rss version='2.0'><channel><title>W</title><item><guid>x</guid><title>" + title + b"</title><link>"
        b"" + link + b"</link><description>Some words.</description></item></channel></rss>"
    )


class Site(StreamRequestHandler):
    """Answers by path; every answer is made when it is asked for."""

    def handle(self) -> None:
        path = self.rfile.readline().split()[1].decode().strip("/")
        while self.rfile.readline().strip():
            pass
        with suppress(OSError):  # the program has gone: that was the point
            self.answer(path)

    def answer(self, path: str) -> None:
        if path == "endless":
            self.wfile.write(HEAD + b"\r\n<rss><channel><item><title>")
            while True:
                self.wfile.write(b"x" * 65_536)
        if path == "dripping":
            self.wfile.write(HEAD + b"\r\n<rss><channel>")
            while True:
                self.wfile.write(b" ")
                threading.Event().wait(0.2)
        self.wfile.write(
            {
                "good": lambda: whole(feed(0, 1, 2, 3)),
                "bomb": lambda: whole(gzip.compress(bytes(300_000_000), 1), b"Content-Encoding: gzip"),
                "file-bomb": lambda: whole(gzip.compress(bytes(300_000_000), 1)),
                "challenge": lambda: whole(CHALLENGE),
                "loop": lambda: redirect(b"/loop"),
                "metadata": lambda: redirect(b"http://169.254.169.254/latest/"),
                "mapped": lambda: redirect(b"http://[::ffff:169.254.169.254]/"),
                "long-title": lambda: whole(one(b"A" * 50_000_000)),
                "quadratic": lambda: whole(one(b"Q &a;" + b"&a;" * 100_000, QUADRATIC)),
                "external": lambda: whole(one(b"E [&a;]", EXTERNAL)),
                "script-link": lambda: whole(one(b"S", link=b"javascript:alert(1)")),
                "null": lambda: whole(b"\0" + one(b"N\0ull")),
            }[path]()
        )


@contextmanager
def serving() -> Iterator[str]:
    with ThreadingTCPServer((SITE, 0), Site) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{SITE}:{server.server_address[1]}"
        server.shutdown()


FAULTS = {
    "bomb": "larger than",
    "file-bomb": "larger than",
    "endless": "larger than",
    "dripping": "within 20 seconds",
    "challenge": "it is a web page",
    "loop": "redirects more than 5 times",
    "metadata": "not a public address",
    "mapped": "not a public address",
    "name": "not a public address",
    "long-title": "larger than",
}
HARMLESS = ["good", "quadratic", "external", "script-link", "null"]


@dataclass(frozen=True)
class Rehearsal:
    """What a run said, what it sent, and the most memory that it held, in bytes."""

    code: int
    report: dict[str, Any]
    mail: str
    memory: int


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    """One run over all of them."""
    desk = Desk(tmp_path_factory.mktemp("hostile"))
    with serving() as url:
        port = url.rpartition(":")[2]
        desk.configure(
            f'[fetch]\nallow_private = ["{SITE}/32"]\n',
            "[edition]\nmin_stories = 1\n",
            *(source(name, f"{url}/{name}") for name in [*HARMLESS, *FAULTS] if name != "name"),
            source("name", f"http://localhost:{port}/good"),
        )
        desk.digest("subscribers", "add", "reader@rehearsal.test")
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, sys.executable, "-m", "digest", "run", "--json"],
            cwd=desk.folder,
            env=desk.environment,
            capture_output=True,
            text=True,
            timeout=150,
        )
    assert "Traceback" not in done.stderr
    memory = int(done.stderr.split()[-1]) * 1024
    (path,) = desk.mails()
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    mail = "".join(part.get_content() for part in message.iter_parts() if isinstance(part, EmailMessage))
    return Rehearsal(done.returncode, json.loads(done.stdout), mail, memory)


@pytest.mark.parametrize("name", FAULTS)
def test_each_is_a_named_failure_of_its_source(name: str, ran: Rehearsal) -> None:
    (row,) = (row for row in ran.report["sources"] if row["id"] == name)
    assert not row["ok"]
    assert FAULTS[name] in row["error"]


@pytest.mark.parametrize("name", HARMLESS)
def test_what_can_be_read_is_read(name: str, ran: Rehearsal) -> None:
    (row,) = (row for row in ran.report["sources"] if row["id"] == name)
    assert row["ok"], row


def test_the_run_goes_on_and_what_it_sends_is_harmless(ran: Rehearsal) -> None:
    assert (ran.code, ran.report["state"]) == (3, "sent")
    assert "Bridge news" in ran.mail
    for word in ("javascript:", "root:", "x()", "\0"):
        assert word not in ran.mail
    assert ran.memory < MEMORY
