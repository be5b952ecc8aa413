"""SMTP: one kept connection, an account of every message, and TLS that is verified.

A message is marked before MAIL FROM and settled by the server's replies: 4xx before the data was taken is deferred,
5xx is refused, the final 250 is accepted. A connection that breaks once the data has begun leaves that one message
unknown; one that breaks earlier sent nothing.
"""

import contextlib
import re
import smtplib
import ssl
from collections.abc import Callable, Sequence
from typing import Literal

from digest.errors import Refused, TransportError, Unavailable
from digest.models import Batch, DeliveryState, Message, Outcome
from digest.transports import mime

_OK, _FORWARDED, _GO_ON, _SERVICE_CLOSING = 250, 251, 354, 421
_LEADING_DOT = re.compile(rb"(?m)^\.")


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
        seconds: float = 30.0,
    ) -> None:
        """`seconds` bounds each wait for the server."""
        self._host, self._port, self._tls = host, port, tls
        self._username, self._password = username, password
        self._seconds = seconds
        self._connection: smtplib.SMTP | None = None

    def __repr__(self) -> str:
        return f"SmtpTransport(host={self._host!r}, port={self._port}, tls={self._tls!r})"

    def send(
        self,
        batch: Batch,
        on_attempt: Callable[[Sequence[int]], None],
        on_outcome: Callable[[Sequence[Outcome]], None],
    ) -> None:
        """One message after the other. Raises Unavailable or Refused; what is unknown is told as an outcome."""
        template = mime.build(batch.rendition, batch.letterhead)
        for message in batch.messages:
            connection = self._connect()
            on_attempt([message.delivery])
            sender = mime.envelope_sender(message, batch.letterhead)
            outcome, policy = self._hand_over(connection, sender, message, template.address(message))
            on_outcome([outcome])
            if policy:
                raise Refused(self._subject, f"the server refuses this mail for everybody: {outcome.raw}")

    def render(self, batch: Batch) -> list[bytes]:
        """The messages that would be sent."""
        template = mime.build(batch.rendition, batch.letterhead)
        return [template.address(message) for message in batch.messages]

    def check(self) -> str:
        """Connect and log in. Raises TransportError."""
        self._connect()
        how = "logged in" if self._username else "no login"
        return f"{self._host}:{self._port} answers ({self._tls}, {how})"

    def close(self) -> None:
        """Say goodbye to the server, if it still listens."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                connection.quit()
            connection.close()

    @property
    def _subject(self) -> str:
        return f"smtp {self._host}:{self._port}"

    def _connect(self) -> smtplib.SMTP:
        if self._connection is not None:
            return self._connection
        connection: smtplib.SMTP | None = None
        try:
            context = ssl.create_default_context()
            if self._tls == "tls":
                connection = smtplib.SMTP_SSL(self._host, self._port, timeout=self._seconds, context=context)
            else:
                connection = smtplib.SMTP(self._host, self._port, timeout=self._seconds)
            if self._tls == "starttls":
                connection.starttls(context=context)
            connection.ehlo_or_helo_if_needed()
            if self._username:
                self._log_in(connection)
        except TransportError:
            _drop(connection)
            raise
        except smtplib.SMTPNotSupportedError as error:
            _drop(connection)
            raise Refused(
                self._subject, "the server does not offer what is configured", remedy="check [transport] tls"
            ) from error
        except (smtplib.SMTPException, OSError, ValueError) as error:
            _drop(connection)
            raise Unavailable(self._subject, "no connection", remedy="check [transport] host, port and tls") from error
        self._connection = connection
        return connection

    def _log_in(self, connection: smtplib.SMTP) -> None:
        try:
            connection.login(self._username or "", self._password or "")
        except smtplib.SMTPAuthenticationError as error:
            if 400 <= error.smtp_code < 500:
                raise Unavailable(self._subject, f"the server cannot check the login now ({error.smtp_code})") from None
            remedy = "check [transport] username and DIGEST_SMTP_PASSWORD"
            raise Refused(self._subject, f"the login was refused ({error.smtp_code})", remedy=remedy) from None

    def _hand_over(
        self, connection: smtplib.SMTP, sender: str, message: Message, content: bytes
    ) -> tuple[Outcome, bool]:
        """One transaction: the outcome, and whether the server would say the same of everybody's."""
        address = mime.ascii_address(message.email)
        options = [f"size={len(content)}"] if connection.has_extn("size") else []
        if not address.isascii():
            if not connection.has_extn("smtputf8"):
                words = "the server does not take such an address (no SMTPUTF8)"
                return _outcome(message, DeliveryState.REFUSED, words), False
            options += ["SMTPUTF8", "BODY=8BITMIME"]
        step = "MAIL"
        try:
            code, words_ = connection.mail(sender, options)
            if code == _OK:
                step = "RCPT"
                code, words_ = connection.rcpt(address)
            if step == "RCPT" and code in (_OK, _FORWARDED):
                step = "DATA"
                code, words_ = connection.docmd("DATA")
            if step == "DATA" and code == _GO_ON:
                step = "content"
                connection.send(_LEADING_DOT.sub(b"..", content) + b".\r\n")  # RFC 5321 §4.5.2
                code, words_ = connection.getreply()
        except UnicodeError:
            self._reset()
            return _outcome(message, DeliveryState.REFUSED, "an address of it cannot be written in ASCII"), False
        except (smtplib.SMTPException, OSError) as error:
            self._lose()
            return _outcome(message, _lost_at(step), f"the connection was lost: {type(error).__name__}"), False
        reply = _reply(code, words_)
        if step == "content" and code == _OK:
            return _outcome(message, DeliveryState.ACCEPTED, reply), False
        if code == _SERVICE_CLOSING or not 400 <= code < 600:
            self._lose()
        else:
            self._reset()
        if 500 <= code < 600:
            # RFC 3463 §3.8: 5.7.x speaks of the sender's right to send; at RCPT it may be one mailbox's own rule. What
            # is said of MAIL is never about the reader.
            is_for_all = step == "MAIL" or (step != "RCPT" and reply.partition(" ")[2].startswith("5.7."))
            return _outcome(message, DeliveryState.DEFERRED if is_for_all else DeliveryState.REFUSED, reply), is_for_all
        if 400 <= code < 500:
            return _outcome(message, DeliveryState.DEFERRED, reply), False
        return _outcome(message, _lost_at(step), f"the reply makes no sense: {reply}"), False

    def _reset(self) -> None:
        try:
            if self._connection is not None:
                self._connection.rset()
        except (smtplib.SMTPException, OSError):
            self._lose()

    def _lose(self) -> None:
        _drop(self._connection)
        self._connection = None


def _drop(connection: smtplib.SMTP | None) -> None:
    if connection is not None:
        connection.close()


def _outcome(message: Message, state: DeliveryState, raw: str) -> Outcome:
    return Outcome(delivery=message.delivery, state=state, raw=raw)


def _lost_at(step: str) -> DeliveryState:
    """What is known of a message whose fate was not told: until its content left, it certainly was not taken."""
    return DeliveryState.UNKNOWN if step == "content" else DeliveryState.DEFERRED


def _reply(code: int, words: bytes) -> str:
    # Without what could move the cursor of a terminal on which it is shown.
    said = "".join(letter if letter.isprintable() else " " for letter in words.decode("utf-8", "replace"))
    return f"{code} {' '.join(said.split())}"[:500]
