"""A newsletter with its public pages on a real socket, its mail in a real SMTP server, and a clock for it to turn."""

import contextlib
import email
import email.policy
import re
import shutil
import socket
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from digest.app import App
from digest.config import load_config
from digest.decisions import shipped
from digest.models import Subscriber, SubscriberState
from digest.operate.answering import answer_requests
from digest.web.public import create_public
from tests.acceptance.serving import wait_for
from tests.doubles.clock import Clock
from tests.doubles.smtp_server import SmtpServer

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
Fields = Sequence[tuple[str, str]]


class Pages:
    """One newsletter, served."""

    def __init__(self, app: App, clock: Clock, server: SmtpServer, url: str) -> None:
        """Use `serving_pages`."""
        self.app = app
        self.clock = clock
        self.server = server
        self.url = url

    def ask(self, path: str, fields: Fields | bytes | None = None, **headers: str) -> tuple[int, str, dict[str, str]]:
        """One request without cookies: a GET, or a form; the status, the page and the headers."""
        body = fields if fields is None or isinstance(fields, bytes) else urllib.parse.urlencode(fields).encode()
        url = path if path.startswith("http") else self.url + path
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(url, data=body, headers=named)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode(), dict(answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), dict(error.headers)

    def form_key(self) -> str:
        """The key of a form that is shown now."""
        found = re.search(r'name="key" value="([^"]+)"', self.ask("/morning/subscribe")[1])
        assert found
        return found[1]

    def subscribe(self, address: str, *more: tuple[str, str], **headers: str) -> tuple[int, str]:
        """Fill in the form and post it."""
        status, page, _ = self.ask(
            "/morning/subscribe", [("key", self.form_key()), ("email", address), *more], **headers
        )
        return status, page

    def answer(self) -> list[EmailMessage]:
        """Let what was asked for be mailed; the mails that came of it."""
        before = len(self.server.messages)
        answer_requests(self.app)
        return self.mails()[before:]

    def mails(self) -> list[EmailMessage]:
        """Every mail that the server took."""
        return [email.message_from_bytes(raw, policy=email.policy.default) for raw in self.server.contents()]

    def links_of(self, mail: EmailMessage) -> list[str]:
        """The links in the text of a mail."""
        return re.findall(r"https?://\S+", text_of(mail))

    def find(self, address: str) -> Subscriber | None:
        """Who is known by an address."""
        return self.app.store.subscribers.find("morning", address)

    def state_of(self, address: str) -> SubscriberState | None:
        """In which state they are; None: nobody is known."""
        found = self.find(address)
        return found.state if found else None


def text_of(mail: EmailMessage) -> str:
    """The plain text of a mail."""
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def html_of(mail: EmailMessage) -> str:
    """The HTML of a mail."""
    part = mail.get_body(("html",))
    assert part is not None
    return str(part.get_content())


@contextlib.contextmanager
def serving_pages(folder: Path, *, language: str = "en", audience: str = "", below: str = "") -> Iterator[Pages]:
    """The shipped newsletter in a folder; `audience` are lines of that table.

    `below` is a path under which the world knows it, and which is taken off as a proxy does.
    """
    with SmtpServer() as server, socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}{below}"
        shutil.copytree(shipped("samples"), folder / "samples", dirs_exist_ok=True)
        text = shipped("config.toml").read_text(encoding="utf-8")
        smtp = f'kind = "smtp"\nhost = "127.0.0.1"\nport = {server.port}\ntls = "none"\n'
        start = text.index('kind = "outbox"')
        text = text[:start] + smtp + text[text.index("rate =", start) :]
        text = text.replace('"https://news.example.com"', f'"{url}"').replace(
            'language = "en"', f'language = "{language}"'
        )
        for line in audience.splitlines():
            name = line.partition("=")[0].strip()
            text = re.sub(rf"^{name} = .*$", lambda _, line=line: line, text, flags=re.MULTILINE)  # type: ignore[misc]
        path = folder / "config.toml"
        path.write_text(text, encoding="utf-8")
        clock = Clock(NOW)
        with App(load_config(path, {}), clock=clock, wait=clock.wait) as app, on_socket(app, listener, below):
            yield Pages(app, clock, server, url)


@contextlib.contextmanager
def on_socket(app: App, listener: socket.socket, below: str = "") -> Iterator[None]:
    """The public pages on a socket that listens already."""
    public = create_public(app)

    async def take_off(scope: "Scope", receive: "Receive", send: "Send") -> None:
        assert scope["type"] != "http" or scope["path"].startswith(f"{below}/"), "nothing leads out of it"
        await public({**scope, "path": scope.get("path", "").removeprefix(below)}, receive, send)

    config = uvicorn.Config(take_off, log_level="error", access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        wait_for(lambda: server.started, 20, "the pages")
        yield
    finally:
        server.should_exit = True
        thread.join()
