"""A connection to an SMTP server: smtplib connects, encrypts and logs in; reading and writing are bounded here.

smtplib waits anew for each byte, and reads a reply for as long as its server goes on: one that drips holds it for
ever. Here everything up to `expire_in` has to be over at one instant, and a reply has a greatest length.
"""

import math
import re
import select
import smtplib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

_LONGEST_LINE = 4096  # RFC 5321 §4.5.3.1.5 allows 512
_MOST_LINES = 128
_CODE = re.compile(rb"[2-5][0-9]{2}(?=[ \-\r\n]|$)")
_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?=\s|$)")
_CHUNK = 65536
_READY = 220
_LONGEST_WORDS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a server answered. `code` is -1 where the answer makes no sense."""

    code: int
    words: bytes

    @property
    def is_failure(self) -> bool:
        """Whether it says that something was not done: 4xx or 5xx."""
        return 400 <= self.code < 600

    @property
    def status(self) -> str:
        """The enhanced status code (RFC 3463), "" when there is none; one of another class than the reply is none."""
        found = _ENHANCED.match(self.words.decode("latin-1").lstrip())
        return found[0] if found and found[1] == str(self.code)[0] else ""

    def __str__(self) -> str:
        """On one line, without what could move the cursor of a terminal on which it is shown."""
        first, *others = self.words.decode("utf-8", "replace").split("\n")
        # Servers say the status again on each line.
        said = " ".join([first, *(line.removeprefix(self.status) for line in others)])
        shown = "".join(letter if letter.isprintable() else " " for letter in said)
        return " ".join([str(self.code), *shown.split()])[:_LONGEST_WORDS]


class NotAllLeftError(smtplib.SMTPServerDisconnected):
    """The connection broke before the last byte was handed to the operating system."""


class Connection(smtplib.SMTP):
    """smtplib's client with bounded reading and writing. Not for several threads."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: Literal["starttls", "tls", "none"],
        context: Callable[[], ssl.SSLContext],
        seconds: float,
        each: float,
        monotonic: Callable[[], float],
    ) -> None:
        """Connect, encrypt and say hello: all of it within `seconds`, and each wait within `each`.

        Raises smtplib.SMTPException, OSError and ValueError.
        """
        self._monotonic = monotonic
        self._buffer = bytearray()
        self._context = context() if tls == "tls" else None
        self.is_used = False  # whether a message went over it
        self.must_reset = False  # whether the server may hold the envelope of a message that came to nothing
        self.expire_in(seconds, each=each)
        super().__init__(local_hostname=_find_own_name(), timeout=each)
        self._host = host  # the name that the server's certificate has to be for
        try:
            code, words = self.connect(host, port)
            if code != _READY:
                raise smtplib.SMTPConnectError(code, words)
            if tls == "starttls":
                self.starttls(context=context())
                if self.has_more:  # what came before the encryption must not be taken for an answer after it
                    raise smtplib.SMTPServerDisconnected("the server went on unencrypted after STARTTLS")
            self.ehlo_or_helo_if_needed()
        except BaseException:
            self.drop()
            raise

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        """As smtplib asks for it, and encrypted at once where that is wanted."""
        plain = socket.create_connection((host, port), timeout)
        # Each write is whole: its tail need not wait until the server has acknowledged the rest.
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._context.wrap_socket(plain, server_hostname=host) if self._context else plain

    def expire_in(self, seconds: float, *, each: float) -> None:
        """From here on everything together may take so long, and a single wait no longer than `each`."""
        self._until = self._monotonic() + seconds
        self._each = each

    def send(self, s: "str | bytes | bytearray | memoryview") -> None:  # type: ignore[override]
        """Write all of it. Raises NotAllLeftError."""
        content = s.encode(self.command_encoding) if isinstance(s, str) else s
        if self.sock is None:
            raise NotAllLeftError("there is no connection")
        left = memoryview(content)
        try:
            while left:
                self._allow(self.sock)
                left = left[self.sock.send(left) :]
        except OSError as error:
            raise NotAllLeftError(_say(error)) from None

    def getreply(self) -> tuple[int, bytes]:
        """The next reply. Raises SMTPServerDisconnected."""
        reply = self.read_reply()
        return reply.code, reply.words

    def read_reply(self, *, is_patient: bool = False) -> Reply:
        """The next reply, of one line or several. Raises SMTPServerDisconnected, also for one without an end.

        A patient reader waits for it as long as everything together may take.
        """
        if is_patient:
            self._each = math.inf
        codes: set[bytes] = set()
        words: list[bytes] = []
        while len(words) < _MOST_LINES:
            line = self._read_line()
            code = _CODE.match(line)
            if code is None:
                return Reply(code=-1, words=line.rstrip())
            codes.add(code[0])
            words.append(line[4:].strip())
            if line[3:4] != b"-":
                # Every line of a reply has the same code (RFC 5321 §4.2.1).
                return Reply(code=int(code[0]) if len(codes) == 1 else -1, words=b"\n".join(words))
        self.drop()
        raise smtplib.SMTPServerDisconnected("the reply has no end")

    @property
    def is_pipelined(self) -> bool:
        """Whether commands may be sent before those ahead of them are answered (RFC 2920)."""
        return self.has_extn("pipelining")

    @property
    def takes_utf8(self) -> bool:
        """Whether addresses may be other than ASCII (RFC 6531)."""
        return self.has_extn("smtputf8") and self.has_extn("8bitmime")

    @property
    def most_bytes(self) -> int:
        """The greatest message that the server takes (RFC 1870 §6.1), 0 where it names none."""
        announced = self.esmtp_features.get("size", "").split(" ")[0]
        return int(announced) if re.fullmatch(r"[0-9]{1,20}", announced) else 0

    @property
    def has_more(self) -> bool:
        """Whether something was read that belongs to no reply so far: then the two sides are out of step."""
        return bool(self._buffer)

    def is_silent(self) -> bool:
        """Whether the server has neither hung up nor said anything unasked; takes no time."""
        if self.sock is None or self._buffer:
            return False
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        if not poll.poll(0):
            return True
        try:
            self.sock.settimeout(0)
            self._buffer += self.sock.recv(_CHUNK)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True  # TLS has words of its own, such as new session tickets
        except OSError:
            pass
        return False

    def drop(self) -> None:
        """Hang up, without a word."""
        sock, self.sock = self.sock, None
        self._buffer = bytearray()
        if sock is not None:
            sock.close()

    def _read_line(self) -> bytes:
        start = 0
        while (end := self._buffer.find(b"\n", start)) < 0:
            start = len(self._buffer)
            if start > _LONGEST_LINE:
                self.drop()
                raise smtplib.SMTPServerDisconnected("a line of the reply has no end")
            self._buffer += self._receive()
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        return line

    def _receive(self) -> bytes:
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("there is no connection")
        try:
            self._allow(self.sock)
            received: bytes = self.sock.recv(_CHUNK)
        except OSError as error:
            self.drop()
            raise smtplib.SMTPServerDisconnected(_say(error)) from None
        if not received:
            self.drop()
            raise smtplib.SMTPServerDisconnected("the server hung up")
        return received

    def _allow(self, sock: socket.socket) -> None:
        left = min(self._until - self._monotonic(), self._each)
        if left <= 0:
            raise TimeoutError("it took too long")
        sock.settimeout(left)


@cache
def _find_own_name() -> str:
    """What EHLO says, as smtplib finds it: that may ask the DNS, and wait for it, so it is done once."""
    return smtplib.SMTP().local_hostname


def _say(error: OSError) -> str:
    return str(error.strerror or error) or type(error).__name__
