"""A real SMTP server on loopback (aiosmtpd) that keeps what it accepts, and can be told to misbehave."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass(frozen=True)
class Received:
    """A message that was accepted."""

    sender: str
    recipient: str
    content: bytes


class _Handler:
    def __init__(self, server: "SmtpServer") -> None:
        self._server = server

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's names
        self, smtp: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = self._server.on_rcpt(address)
        if reply.startswith("2"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, smtp: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        address = envelope.rcpt_tos[0]
        reply = self._server.on_data(address)
        content = envelope.original_content or b""
        if reply == "drop":  # takes the message and hangs up before the answer
            self._server.messages.append(Received(str(envelope.mail_from), address, content))
            smtp.transport.abort()
            return ""
        if reply.startswith("2"):
            received = Received(str(envelope.mail_from), address, content)
            self._server.messages.append(received)
            self._server.deliver(received)
        return reply


class SmtpServer:
    """`with SmtpServer() as server: server.port, server.messages`."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        login: tuple[str, str] | None = None,
        on_rcpt: Callable[[str], str] = lambda address: "250 2.1.5 ok",
        on_data: Callable[[str], str] = lambda address: "250 2.0.0 queued",
        deliver: Callable[[Received], None] = lambda received: None,
    ) -> None:
        """`on_rcpt` and `on_data` choose the reply for an address; "drop" accepts and hangs up without a reply.

        `deliver` gets what is accepted, before the answer leaves.
        """
        self.messages: list[Received] = []
        self.connections = 0
        self.on_rcpt = on_rcpt
        self.on_data = on_data
        self.deliver = deliver
        options: dict[str, Any] = {"enable_SMTPUTF8": False, "tls_context": tls}
        if login:

            def authenticate(
                server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
            ) -> AuthResult:
                given = (data.login.decode(), data.password.decode()) if isinstance(data, LoginPassword) else None
                return AuthResult(success=given == login, handled=given == login)  # unhandled: the library says no

            options |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": tls is not None}
        counting = self

        class CountingController(Controller):
            def factory(self) -> SMTP:
                counting.connections += 1
                return super().factory()

            def _trigger_server(self) -> None:
                self.port = self.server.sockets[0].getsockname()[1]  # of the port 0 that was asked for
                super()._trigger_server()

        self._controller = CountingController(_Handler(self), hostname="127.0.0.1", port=0, **options)

    def __enter__(self) -> "SmtpServer":
        self._controller.start()
        self.connections = 0  # the controller tries itself once
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._controller.stop()

    @property
    def port(self) -> int:
        """The port on 127.0.0.1."""
        return int(self._controller.server.sockets[0].getsockname()[1])

    def contents(self) -> list[bytes]:
        """The messages' bytes, in the order of arrival."""
        return [message.content for message in self.messages]
