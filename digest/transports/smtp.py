"""SMTP: one kept connection, an account of every message, and TLS that is verified.

    mark ──> MAIL, RCPT, DATA ──> content and its dot ──> settle
              │ at once where the server offers PIPELINING (RFC 2920), else one by one
              └ refused, or lost here: nothing of the message has left

A message is marked before MAIL and settled by the server's replies: 4xx is deferred, 5xx is refused, the final 250 is
accepted. A connection that breaks once all the content has left leaves that one message unknown; one that breaks
earlier sent nothing. What a reply means is `smtp_replies`', how it is read `smtp_connection`'s.
"""

import re
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from digest.errors import Refused, Unavailable
from digest.models import Batch, DeliveryState, Letterhead, Message, Outcome, Rendition
from digest.transports import mime
from digest.transports.smtp_connection import Connection
from digest.transports.smtp_replies import WANTED, Code, Step, Verdict, judge, lost
from digest.transports.smtp_server import Server
from digest.transports.smtp_transaction import LostError, hand_over

if TYPE_CHECKING:  # it loads much, for those who sign
    from digest.transports.dkim_signing import Signer

# Nothing that could end the address or the command (RFC 5321 §4.1.2); quoted local parts with spaces are no readers'.
_ENVELOPE = re.compile(r"[^\s<>\x00-\x1f\x7f-\x9f]+@[^\s<>@\x00-\x1f\x7f-\x9f]+")
_ADDRESS = re.compile(r"[^\s<>,;:'\"()]+@[^\s<>,;:'\"()]+")
_WHILE = 2.0  # seconds after which a connection that nothing went over is no new one: marking may have to wait its turn
_WAITS = 6  # so many of them make a message's deadline, unless it is said


class SmtpTransport:
    """One connection to a server, opened when it is first needed and again when it was lost. For one thread."""

    name = "smtp"
    batch_size = 50  # after a power cut a whole claimed batch is unknown, so batches are small

    def __init__(
        self,
        *,
        host: str,
        port: int,
        tls: Literal["starttls", "tls", "none"] = "starttls",
        username: str | None = None,
        password: str | None = None,
        signer: "Signer | None" = None,
        seconds: float = 30.0,
        deadline: float | None = None,
        idle_seconds: float = 30.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`seconds` bounds each wait for the server, `deadline` connecting, and all of one message: six times that.

        After `idle_seconds` the server is asked whether it is still there, before a message is marked. Raises
        ConfigError.
        """
        self._server = Server(
            host=host, port=port, tls=tls, username=username, password=password, seconds=seconds, monotonic=monotonic
        )
        self._told = f"SmtpTransport(host={host!r}, port={port}, tls={tls!r})"
        self._signer = signer
        self._seconds, self._idle_seconds = seconds, idle_seconds
        self._deadline = _WAITS * seconds if deadline is None else deadline
        self._monotonic = monotonic
        self._connection: Connection | None = None
        self._used_at = 0.0
        self._strikes = 0  # messages in a row that the server's own trouble kept back
        self._ready: tuple[Rendition, Letterhead, mime.Wire] | None = None

    def __repr__(self) -> str:
        return self._told

    def send(
        self,
        batch: Batch,
        on_attempt: Callable[[Sequence[int]], None],
        on_outcome: Callable[[Sequence[Outcome]], None],
    ) -> None:
        """One message after the other. Raises Unavailable or Refused; what is unknown is told as an outcome."""
        wire = self._prepare(batch)
        for message in batch.messages:
            filled = wire.fill(message)
            connection = self._connect(self._deadline)
            sender = self._envelope_sender(connection, message, batch.letterhead)
            self._check_size(connection, filled.size)
            on_attempt([message.delivery])
            verdict, words = self._hand_over(connection, sender, message, filled)
            self._strikes = self._strikes + 1 if verdict.is_server else 0
            if self._strikes > 1:
                # What was marked has not left: this message and the rest may go elsewhere.
                raise Unavailable(self._server.subject, f"it takes no mail now: {_hide_addresses(words)}")
            on_outcome([Outcome(delivery=message.delivery, state=verdict.state, raw=words)])
            if verdict.fault:
                fault = f"the server refuses this mail for everybody: {_hide_addresses(words)}"
                raise verdict.fault(self._server.subject, fault, remedy=verdict.remedy)

    def render(self, batch: Batch) -> list[bytes]:
        """The messages that would be sent, signed where they are signed."""
        template = mime.build(batch.rendition, batch.letterhead)
        sign = self._signer.prepare(template) if self._signer else None
        return [template.address(message, sign) for message in batch.messages]

    def check(self) -> str:
        """Connect and log in, and see whether receivers will find the key of the signature. Raises TransportError."""
        self._connect(self._deadline)
        found = [self._server.describe(), *([self._signer.check()] if self._signer else [])]
        return "; ".join(found)

    def close(self) -> None:
        """Say goodbye to the server, if it still listens."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._server.part_from(connection)

    def _prepare(self, batch: Batch) -> mime.Wire:
        """The template of a batch; batches of one edition follow each other, and share it."""
        if self._ready is None or self._ready[:2] != (batch.rendition, batch.letterhead):
            template = mime.build(batch.rendition, batch.letterhead)
            sign = self._signer.prepare(template) if self._signer else None
            self._ready = (batch.rendition, batch.letterhead, mime.Wire(template, sign))
        return self._ready[2]

    def _connect(self, seconds: float) -> Connection:
        """The kept connection when it is still good, else a new one within so many seconds. Raises TransportError."""
        kept = self._connection
        if kept is not None:
            is_idle = self._monotonic() - self._used_at > self._idle_seconds
            if kept.is_silent() and (not is_idle or self._server.is_there(kept)):
                return kept
            self._lose()
        self._connection = self._server.connect(seconds)
        self._used_at = self._monotonic()
        return self._connection

    def _lose(self) -> None:
        if self._connection is not None:
            self._connection.drop()
            self._connection = None

    def _envelope_sender(self, connection: Connection, message: Message, letterhead: Letterhead) -> str:
        sender = mime.ascii_address(mime.envelope_sender(message, letterhead))
        if not _ENVELOPE.fullmatch(sender) or not (sender.isascii() or connection.takes_utf8):
            remedy = "check [newsletter] sender, and [inbox] where there is one"
            raise Refused(self._server.subject, "the server cannot be told who sends this", remedy=remedy)
        return sender

    def _check_size(self, connection: Connection, size: int) -> None:
        """All messages of an edition are about as large: what is too much for one is for all."""
        if connection.most_bytes and size > connection.most_bytes:
            fault = f"a message has {size:,} bytes, and the server takes {connection.most_bytes:,}"
            remedy = "make the edition smaller, or ask the server's operator for more"
            raise Refused(self._server.subject, fault, remedy=remedy)

    def _hand_over(
        self, connection: Connection, sender: str, message: Message, filled: mime.Filled
    ) -> tuple[Verdict, str]:
        """One marked message: what becomes of it, and the server's words. Raises TransportError: then nothing has left.

        Servers end a kept connection that was idle, or after so many messages, with a 421 or without a word: as long as
        nothing of the message has left, it goes over a new one.
        """
        address = mime.ascii_address(message.email)
        needs_utf8 = not (filled.is_ascii and sender.isascii() and address.isascii())
        if not _ENVELOPE.fullmatch(address):
            return Verdict(state=DeliveryState.REFUSED), "the address cannot be written in an envelope"
        until = self._monotonic() + self._deadline
        while True:
            if needs_utf8 and not connection.takes_utf8:
                words = "the server does not take such an address (no SMTPUTF8)"
                return Verdict(state=DeliveryState.REFUSED), words
            mail = _mail_command(connection, sender, filled.size, needs_utf8=needs_utf8)
            rcpt = f"RCPT TO:<{address}>\r\n".encode()
            was_used = connection.is_used or self._monotonic() - self._used_at > _WHILE
            connection.is_used = True
            connection.expire_in(until - self._monotonic(), each=self._seconds)
            try:
                step, reply = hand_over(connection, mail, rcpt, filled.content)
            except LostError as error:
                self._lose()
                if error.step is Step.CONTENT or not was_used:
                    return lost(error.step), f"the connection was lost: {error}"
            else:
                self._used_at = self._monotonic()
                is_sane = reply.is_failure or reply.code in WANTED[step]
                if reply.code == Code.CLOSING or not is_sane:
                    self._lose()
                if reply.code != Code.CLOSING or step is Step.CONTENT or not was_used:
                    return judge(step, reply), str(reply) if is_sane else f"the reply makes no sense: {reply}"
            connection = self._connect(max(0.1, until - self._monotonic()))


def _mail_command(connection: Connection, sender: str, size: int, *, needs_utf8: bool) -> bytes:
    """Bodies are quoted-printable: only an international address makes a message anything but ASCII (RFC 6531 §3.6)."""
    declared = f" SIZE={size}" if connection.has_extn("size") else ""
    utf8 = " BODY=8BITMIME SMTPUTF8" if needs_utf8 else ""
    return f"MAIL FROM:<{sender}>{declared}{utf8}\r\n".encode()


def _hide_addresses(words: str) -> str:
    """A server may repeat whom it was asked for; a fault goes into reports and logs."""
    return _ADDRESS.sub("…", words)
