"""The real command line, in real folders, against real servers on loopback."""

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from digest.operate.pictures import find_chromium
from tests.forking import ADDRESS, COMMON, Forked, Forks

NEWSLETTER = """\
[newsletter]
name = "Morning Brief"
slug = "morning"
sender = "Morning Brief <brief@news.test>"
reply_to = "editor@news.test"
postal_address = "1 Example Street, Example City"
base_url = "https://news.test"
"""


@dataclass(frozen=True)
class Ran:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The JSON lines of stdout."""
        return [json.loads(line) for line in self.out.splitlines()]


class Desk:
    """A folder with a configuration, and the command line in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**COMMON, "HOME": str(folder / "home")}
        self._forks = Forks(os.environ[ADDRESS])

    def configure(self, *tables: str) -> None:
        """Write config.toml: the newsletter and these tables."""
        text = "\n".join([NEWSLETTER, *tables])
        (self.folder / "config.toml").write_text(text, encoding="utf-8")

    def digest(self, *arguments: str, **environment: str) -> Ran:
        """Run one command to its end."""
        code, out, err = self._forks.run(list(arguments), self.folder, self.environment | environment, 150)
        assert "Traceback" not in err, err
        return Ran(code, out, err)

    def start(self, *arguments: str, **environment: str) -> Forked:
        """Start a command that goes on; its talk is on stderr."""
        return self._forks.start(list(arguments), self.folder, self.environment | environment)

    def mails(self) -> list[Path]:
        """What lies in the outbox."""
        return sorted((self.folder / "outbox" / "new").glob("*"))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """An empty folder."""
    return Desk(tmp_path)


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that `digest init` filled, with one reader, to be copied."""
    desk = Desk(tmp_path_factory.mktemp("samples"))
    assert desk.digest("init").code == 0
    assert desk.digest("subscribers", "add", "reader@rehearsal.test").code == 0
    return desk.folder


@pytest.fixture
def sample_desk(desk: Desk, samples: Path) -> Desk:
    """A folder that `digest init` filled, with one reader."""
    shutil.copytree(samples, desk.folder, dirs_exist_ok=True)
    return desk


def launch_browser() -> Iterator[Browser]:
    """The Chromium that is installed; the test is skipped where there is none."""
    executable = find_chromium()
    if executable is None:
        pytest.skip("needs chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all tests of a file."""
    yield from launch_browser()


@pytest.fixture
def phone() -> Iterator[Browser]:
    """One for one test: while Playwright runs, this thread has a loop, and no edition could be made or read in it."""
    yield from launch_browser()


Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture
def serve_web() -> Iterator[Callable[[Callable[[str], Answer]], str]]:
    """Start an HTTP server on loopback: give it a function from a path to an answer, get its address."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Callable[[str], Answer]) -> str:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, headers, body = answer(self.path)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
