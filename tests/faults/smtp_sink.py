"""An SMTP server on loopback that writes down what it takes before it says so, and misbehaves where it is told to."""

import socket
import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from types import TracebackType

_GOOD = {"open": "220 loopback", "mail": "250 2.1.0 ok", "rcpt": "250 2.1.5 ok", "data": "354 go on"}
_QUEUED = "250 2.0.0 queued"


@dataclass(frozen=True, slots=True)
class Step:
    """Where a conversation stands: "open", "mail", "rcpt", "data", "content" (half-way) or "reply" (all of it came).

    `number` counts the steps of that kind, over all connections, from 1.
    """

    kind: str
    number: int
    connection: int
    email: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that the server answers for from now on."""

    connection: int
    key: str  # the local part of its Message-ID: the delivery's send_key
    email: str


class SmtpSink:
    """`with SmtpSink(answer=…) as sink: sink.port, sink.taken`.

    `answer(step)` says what is done: "" is what a good server does; a reply; "drop" hangs up; "hold" says nothing until
    the other side has gone; "crawl REPLY" says it a byte at a time, until the other side has gone. At "reply", "take
    and drop" and "take and hold" take the message first. `listen` is told of each connection and each message.
    """

    def __init__(
        self,
        *,
        answer: Callable[[Step], str] = lambda step: "",
        listen: Callable[[str, int, Taken | None], None] = lambda what, connection, taken: None,
        extensions: tuple[str, ...] = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"),
        crawl: float = 0.02,
    ) -> None:
        """Listens at once, on a port of its own; `crawl` is the pause between the bytes of a slow reply."""
        self.taken: list[Taken] = []
        self.opened = 0
        self.answer = answer
        self._listen = listen
        self.extensions = extensions
        self._crawl = crawl
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._steps: dict[str, int] = {}
        self._stopping = threading.Event()
        sink = self

        class Handler(socketserver.StreamRequestHandler):
            disable_nagle_algorithm = True  # each reply leaves at once, also where several were asked for together

            def handle(self) -> None:
                _Conversation(sink, self).run()

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            request_queue_size = 64

            def get_request(self) -> tuple[socket.socket, object]:
                connection = super().get_request()
                sink.open()
                return connection

        self._server = Server(("127.0.0.1", 0), Handler)

    def __enter__(self) -> "SmtpSink":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        """The port on 127.0.0.1."""
        return int(self._server.server_address[1])

    def misbehave(self, answer: Callable[[Step], str]) -> None:
        """From now on; steps are counted anew."""
        with self._lock:
            self._steps, self.answer = {}, answer

    def open(self) -> None:
        """A connection has come."""
        with self._lock:
            self.opened += 1
            self._listen("opened", self.opened, None)

    def number(self) -> int:
        """A name for a conversation."""
        return next(self._numbers)

    def close(self, connection: int) -> None:
        """A connection has ended."""
        with self._lock:
            self._listen("closed", connection, None)

    def ask(self, kind: str, connection: int, email: str = "") -> str:
        """What is to be done at a step."""
        with self._lock:
            self._steps[kind] = number = self._steps.get(kind, 0) + 1
        return self.answer(Step(kind, number, connection, email))

    def take(self, taken: Taken) -> None:
        """Answer for a message."""
        with self._lock:
            self.taken.append(taken)
            self._listen("taken", taken.connection, taken)


class _Conversation:
    def __init__(self, sink: SmtpSink, handler: socketserver.StreamRequestHandler) -> None:
        self._sink = sink
        self._handler = handler
        self._number = 0
        self._email = ""
        self._stage = ""
        self._accepts = False

    def run(self) -> None:
        self._number = self._sink.number()
        try:
            self._talk()
        except OSError:
            pass  # it was killed, or hung up
        finally:
            self._sink.close(self._number)

    def _talk(self) -> None:
        if not self._step("open"):
            return
        while line := self._handler.rfile.readline():
            match line.split(b" ")[0].strip().upper():
                case b"EHLO":
                    words = ["loopback", *self._sink.extensions]
                    lines = [f"250-{word}" for word in words[:-1]] + [f"250 {words[-1]}"]
                    going = self._say("\r\n".join(lines))
                case b"MAIL":
                    going = self._step("mail")
                    self._stage = "mail" if self._accepts else ""
                case b"RCPT" if self._stage == "mail":
                    self._email = line.decode("utf-8").partition("<")[2].partition(">")[0]
                    going = self._step("rcpt")
                    self._stage = "rcpt" if self._accepts else "mail"
                case b"DATA" if self._stage == "rcpt":
                    going = self._step("data") and (not self._accepts or self._read_content())
                    self._stage = ""
                case b"RCPT" | b"DATA":
                    going = self._say("503 5.5.1 nobody to mail it to")
                case b"RSET":
                    self._stage = ""
                    going = self._say("250 2.0.0 ok")
                case b"QUIT":
                    self._say("221 2.0.0 bye")
                    return
                case _:
                    going = self._say("502 5.5.1 what?")
            if not going:
                return

    def _step(self, kind: str) -> bool:
        what = self._sink.ask(kind, self._number, self._email) or _GOOD[kind]
        self._accepts = what.startswith(("2", "3", "crawl 2", "crawl 3"))
        return self._do(what)

    def _read_content(self) -> bool:
        key, lines, half = "", 0, 200
        while (line := self._handler.rfile.readline()) != b".\r\n":
            if not line:
                return False
            lines += 1
            if line.lower().startswith(b"message-id:"):
                key = line.decode().partition("<")[2].partition("@")[0]
            if lines == half and (what := self._sink.ask("content", self._number, self._email)):
                return self._do(what)
        what = self._sink.ask("reply", self._number, self._email) or _QUEUED
        if what.startswith(("2", "take", "crawl 2")):
            self._sink.take(Taken(self._number, key, self._email))
        return self._do(what.removeprefix("take and "))

    def _do(self, what: str) -> bool:
        if what == "drop":
            # With what it sent unread: a reset, as of a server that crashed.
            return False
        if what == "hold":
            self._wait_for_the_end()
            return False
        if what.startswith("crawl "):
            for byte in f"{what.removeprefix('crawl ')}\r\n".encode():
                if self._sink._stopping.wait(self._sink._crawl):
                    return False
                self._handler.wfile.write(bytes([byte]))
            return True
        going = self._say(what)
        return going and not what.startswith("421")

    def _wait_for_the_end(self) -> None:
        connection: socket.socket = self._handler.connection
        connection.settimeout(0.2)
        while not self._sink._stopping.is_set():
            try:
                if not connection.recv(65536):
                    return
            except TimeoutError:
                continue

    def _say(self, reply: str) -> bool:
        self._handler.wfile.write(f"{reply}\r\n".encode())
        return True
