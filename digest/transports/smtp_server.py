"""Where mail is handed over: connecting there, verifying who it is, and logging in."""

import contextlib
import smtplib
import ssl
from collections.abc import Callable
from functools import cached_property
from ipaddress import ip_address
from typing import Literal

from digest.errors import ConfigError, PolicyRefused, Refused, TransportError, Unavailable
from digest.transports.smtp_connection import Connection, Reply

_FAREWELL_SECONDS = 5.0


class Server:
    """A host and port, how to talk to it, and as whom. It keeps no connection."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        tls: Literal["starttls", "tls", "none"],
        username: str | None,
        password: str | None,
        seconds: float,
        monotonic: Callable[[], float],
    ) -> None:
        """`seconds` bounds each wait for it. Raises ConfigError for a password that everybody on the way could read."""
        self._host, self._port, self._tls = host, port, tls
        self._username, self._password = username, password
        self._seconds = seconds
        self._monotonic = monotonic
        if username and tls == "none" and not _is_loopback(host):
            remedy = 'set [transport] tls = "starttls" or "tls"'
            raise ConfigError("transport smtp", f"the password would go to {host} unencrypted", remedy=remedy)

    @property
    def subject(self) -> str:
        """What its errors are about."""
        return f"smtp {self._host}:{self._port}"

    def describe(self) -> str:
        """How it was reached, once it was."""
        return f"{self._host}:{self._port} answers ({self._tls}, {'logged in' if self._username else 'no login'})"

    def connect(self, seconds: float) -> Connection:
        """A new connection, ready for mail, within so many seconds. Raises TransportError."""
        connection: Connection | None = None
        try:
            connection = Connection(
                self._host,
                self._port,
                tls=self._tls,
                context=lambda: self._context,
                seconds=seconds,
                each=min(self._seconds, seconds),
                monotonic=self._monotonic,
            )
            if self._username:
                self._log_in(connection, self._username, self._password or "")
        except (smtplib.SMTPException, OSError, ValueError, TransportError) as error:
            if connection is not None:
                connection.drop()
            raise self._explain(error) from _cause(error)
        return connection

    def is_there(self, connection: Connection) -> bool:
        """Ask a server that had nothing to do for a while."""
        try:
            connection.expire_in(self._seconds, each=self._seconds)
            return connection.noop()[0] // 100 == 2
        except (smtplib.SMTPException, OSError):
            return False

    def part_from(self, connection: Connection) -> None:
        """Say goodbye, if it still listens."""
        with contextlib.suppress(smtplib.SMTPException, OSError):
            connection.expire_in(_FAREWELL_SECONDS, each=_FAREWELL_SECONDS)
            connection.quit()
        connection.drop()

    @cached_property
    def _context(self) -> ssl.SSLContext:
        """Chain and name are verified. Reading all authorities costs more than a message: once for all connections."""
        return ssl.create_default_context()

    def _log_in(self, connection: Connection, username: str, password: str) -> None:
        """Raises TransportError and what smtplib raises."""
        remedy = "check [transport] username and DIGEST_SMTP_PASSWORD"
        if not (username.isascii() and password.isascii()):
            raise Refused(self.subject, "the login holds characters outside ASCII", remedy=remedy)
        try:
            connection.login(username, password)
        except smtplib.SMTPAuthenticationError as error:
            if 400 <= error.smtp_code < 500:
                raise Unavailable(self.subject, f"the server cannot check the login now ({error.smtp_code})") from None
            raise Refused(self.subject, f"the login was refused ({error.smtp_code})", remedy=remedy) from None
        except smtplib.SMTPNotSupportedError:
            remedy = "remove [transport] username, or check port and tls: some servers offer it only there"
            raise Refused(self.subject, "the server takes no login", remedy=remedy) from None
        except (smtplib.SMTPServerDisconnected, smtplib.SMTPResponseException):
            raise
        except smtplib.SMTPException:
            fault = "it offers no way to log in that is known here (CRAM-MD5, PLAIN or LOGIN)"
            raise Refused(self.subject, fault, remedy="ask its operator") from None

    def _explain(self, error: Exception) -> TransportError:
        """What kept us from connecting, in our words."""
        if isinstance(error, TransportError):
            return error
        if isinstance(error, smtplib.SMTPNotSupportedError):
            fault = "the server does not offer what is configured"
            return Refused(self.subject, fault, remedy="check [transport] tls")
        if isinstance(error, smtplib.SMTPResponseException):
            words = error.smtp_error
            return self._explain_rejection(
                Reply(code=error.smtp_code, words=words if isinstance(words, bytes) else words.encode())
            )
        if isinstance(error, ssl.SSLCertVerificationError):
            fault = f"its certificate is not to be trusted, so nothing is sent: {error.verify_message}"
            remedy = (
                "write [transport] host as the certificate has it; an authority of your own is named by SSL_CERT_FILE"
                " in the environment"
            )
            return Unavailable(self.subject, fault, remedy=remedy)
        return Unavailable(self.subject, "no connection", remedy="check [transport] host, port and tls")

    def _explain_rejection(self, reply: Reply) -> TransportError:
        """A session that is turned away before it begins.

        RFC 5321 §3.1, §4.2.3: 554 in place of the greeting says that there is no mail service here, for us or for
        anybody. No mail was offered, so none was refused: another server may be asked, and this one later. Only where
        it says that its reason is a policy (5.7.x, such as a blocked address) the mail must not look for another way.
        """
        if 500 <= reply.code < 600 and reply.status.startswith("5.7."):
            remedy = "ask the server's operator why this machine may not send"
            return PolicyRefused(self.subject, f"the server takes no mail from here: {reply}", remedy=remedy)
        return Unavailable(self.subject, f"the server takes no mail now: {reply}")


def _cause(error: Exception) -> Exception | None:
    """What is worth telling beside our own words; never what may hold a part of a login."""
    is_told = isinstance(error, TransportError | smtplib.SMTPResponseException | ssl.SSLCertVerificationError)
    return None if is_told or isinstance(error, UnicodeError) else error


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
