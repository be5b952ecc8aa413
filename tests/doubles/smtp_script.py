"""An SMTP server on loopback that says exactly what it is told to, also what no server should."""

import socketserver
import threading
from collections.abc import Mapping
from types import TracebackType

_GOOD = {"EHLO": "250 hello", "MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go on", ".": "250 ok", "RSET": "250 ok"}


class SmtpScript:
    """`with SmtpScript({"DATA": "drop"}) as server: server.port, server.contents`.

    By verb, and "." for the end of the content: the reply, or "drop", which hangs up instead.
    """

    def __init__(self, replies: Mapping[str, str]) -> None:
        self.contents: list[bytes] = []
        script = self
        answers = {**_GOOD, **replies}

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self._say("220 loopback")
                while line := self.rfile.readline():
                    verb = line.split()[0].decode().upper()
                    reply = answers.get(verb, "502 what?")
                    if not self._say(reply):
                        return
                    if verb == "QUIT":
                        return
                    if verb == "DATA" and reply.startswith("354"):
                        content = b""
                        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
                            content += line
                        script.contents.append(content)
                        if not self._say(answers["."]):
                            return

            def _say(self, reply: str) -> bool:
                if reply == "drop":
                    return False
                self.wfile.write(f"{reply}\r\n".encode())
                return True

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def __enter__(self) -> "SmtpScript":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        """The port on 127.0.0.1."""
        return int(self._server.server_address[1])
