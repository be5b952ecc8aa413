"""An SMTP server on loopback that says exactly what it is told to, also what no server should."""

import contextlib
import socket
import socketserver
import ssl
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType

_GOOD = {
    "greeting": "220 loopback",
    "STARTTLS": "220 go ahead",
    "MAIL": "250 ok",
    "RCPT": "250 ok",
    "DATA": "354 go on",
    ".": "250 ok",
    "RSET": "250 ok",
    "NOOP": "250 ok",
    "QUIT": "221 bye",
}


class SmtpScript:
    """`with SmtpScript({"DATA": "drop"}) as server: server.port, server.contents`.

    By verb, "greeting" for the beginning, and "." for the end of the content: the reply, or several, one each time,
    of which the last stays. Instead of a reply: "drop" hangs up, "stall" says nothing more, "drip" says a byte now and
    then and never comes to an end. What stands under "content" is said when it begins, and then it hangs up.
    """

    def __init__(
        self,
        replies: Mapping[str, str | Sequence[str]],
        *,
        offers: Sequence[str] = (),
        tls: ssl.SSLContext | None = None,
        is_encrypted: bool = False,
        most_messages: int | None = None,
        holds_back: bool = False,
        host: str = "127.0.0.1",
    ) -> None:
        """`offers` are the extensions; with `tls` also STARTTLS, or encrypted at once where `is_encrypted` is set.

        It takes `most_messages` on a connection. With `holds_back` nothing is answered before DATA: whoever waits for
        the answer to MAIL waits in vain.
        """
        self.contents: list[bytes] = []
        self.commands: list[str] = []
        self.connections = 0
        self._open: set[socket.socket] = set()
        self._ends = threading.Event()
        self._times: Counter[str] = Counter()
        self._answers = {**_GOOD, **replies}
        self._offers = [*offers, *(["STARTTLS"] if tls and not is_encrypted else [])]
        self._tls, self._is_encrypted = tls, is_encrypted
        self._most_messages = most_messages
        self._holds_back = holds_back
        script = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                script.connections += 1
                with contextlib.suppress(OSError):
                    script._talk(self.request)

        self._server = socketserver.ThreadingTCPServer((host, 0), Handler)
        self._server.daemon_threads = True

    def __enter__(self) -> "SmtpScript":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.set()
        self.hang_up()
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        """The port on `host`."""
        return int(self._server.server_address[1])

    def hang_up(self) -> None:
        """As a server does to connections that have had nothing to do for a while."""
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _talk(self, plain: socket.socket) -> None:
        sock = self._tls.wrap_socket(plain, server_side=True) if self._tls and self._is_encrypted else plain
        self._open.add(sock)
        try:
            while (upgraded := self._converse(sock)) is not None:
                self._open.discard(sock)
                sock = upgraded
                self._open.add(sock)
        finally:
            self._open.discard(sock)
            sock.close()

    def _converse(self, sock: socket.socket) -> socket.socket | None:
        """Until it hangs up, or the encrypted socket on which it goes on."""
        lines = sock.makefile("rb", buffering=0 if self._tls and not self._is_encrypted else -1)
        held, messages = b"", 0
        is_upgraded = isinstance(sock, ssl.SSLSocket) and not self._is_encrypted
        if not is_upgraded and not self._say(sock, self._answer("greeting")):
            return None
        with lines:
            while line := lines.readline():
                self.commands.append(line.decode("utf-8", "replace").rstrip("\r\n"))
                verb = line.split()[0].decode("utf-8", "replace").upper()
                reply = self._answer(verb)
                if verb == "EHLO" and "EHLO" not in self._answers:
                    offers = [offer for offer in self._offers if not (is_upgraded and offer == "STARTTLS")]
                    reply = "\r\n".join(
                        f"250{'-' if number < len(offers) else ' '}{words}"
                        for number, words in enumerate(["loopback", *offers])
                    )
                if verb == "MAIL":
                    messages += 1
                    if self._most_messages and messages > self._most_messages:
                        self._say(sock, "421 4.7.0 too many messages on this connection")
                        return None
                if self._holds_back and verb in {"RSET", "MAIL", "RCPT"}:
                    held += f"{reply}\r\n".encode()
                    continue
                sock.sendall(held)
                held = b""
                if not self._say(sock, reply) or verb == "QUIT":
                    return None
                if verb == "STARTTLS" and reply.startswith("220") and self._tls:
                    return self._tls.wrap_socket(sock, server_side=True)
                if verb == "DATA" and reply.startswith("354"):
                    if "content" in self._answers:
                        lines.readline()
                        self._say(sock, self._answer("content"))
                        return None
                    content = b""
                    while (line := lines.readline()) not in {b".\r\n", b""}:
                        content += line
                    if line:
                        self.contents.append(content)
                    if not line or not self._say(sock, self._answer(".")):
                        return None
        return None

    def _answer(self, verb: str) -> str:
        answer = self._answers.get(verb, "502 what?")
        if isinstance(answer, str):
            return answer
        self._times[verb] += 1
        return answer[min(self._times[verb], len(answer)) - 1]

    def _say(self, sock: socket.socket, reply: str) -> bool:
        if reply == "drop":
            return False
        if reply == "stall":
            self._ends.wait(60)
            return False
        if reply == "drip":
            sock.sendall(b"250-")
            while not self._ends.wait(0.02):
                sock.sendall(b"x")
            return False
        sock.sendall(f"{reply}\r\n".encode())
        return True
