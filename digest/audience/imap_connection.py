"""A connection to an IMAP server (RFC 9051, RFC 3501): opened, logged in, asked. The only module that knows imaplib."""

import base64
import contextlib
import imaplib
import re
import ssl
from collections.abc import Callable
from typing import Any, Literal

from digest.errors import LoginRefused, MailboxError


class ImapConnection:
    """Connects when it is first needed, and again after it was lost. Raises MailboxError, and nothing else."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        tls: Literal["tls", "starttls", "none"],
        username: str,
        password: str,
        table: str,
        variable: str,
        seconds: float = 30.0,
    ) -> None:
        """`table` of config.toml and `variable` of the environment stand in remedies; `seconds` bounds each wait."""
        self._host, self._port, self._tls = host, port, tls
        self._username, self._password = username, password
        self._table, self._variable = table, variable
        self._seconds = seconds
        self._connection: imaplib.IMAP4 | None = None

    def __repr__(self) -> str:
        return f"ImapConnection(host={self._host!r}, port={self._port}, tls={self._tls!r})"

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._connection is not None

    @property
    def place(self) -> str:
        """Where it leads, for people."""
        return f"{self._host}:{self._port}"

    @property
    def tls(self) -> str:
        """How it is kept from others' eyes."""
        return self._tls

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What the server can do."""
        return tuple(self.open().capabilities)

    def open(self) -> imaplib.IMAP4:
        """The connection, made and logged in where there is none."""
        if self._connection is not None:
            return self._connection
        remedy = f"check {self._table} host, port and tls"
        try:
            context = ssl.create_default_context()
            imap: imaplib.IMAP4
            if self._tls == "tls":
                imap = imaplib.IMAP4_SSL(self._host, self._port, ssl_context=context, timeout=self._seconds)
            else:
                imap = imaplib.IMAP4(self._host, self._port, timeout=self._seconds)
        except (imaplib.IMAP4.error, OSError, ValueError) as error:
            raise MailboxError(self._subject, "no connection", remedy=remedy) from error
        self._connection = imap
        try:
            if self._tls == "starttls":
                self.ask("start TLS", lambda imap: imap.starttls(ssl_context=context))
            self._log_in(imap)
        except MailboxError:
            self.close()
            raise
        return imap

    def ask(self, what: str, command: Callable[[imaplib.IMAP4], tuple[str, Any]], *, remedy: str = "") -> list[Any]:
        """One command, and the answer to it; `what` completes "it cannot …"."""
        imap = self.open()
        try:
            status, answer = command(imap)
        except (imaplib.IMAP4.abort, OSError) as error:
            self._connection = None
            with contextlib.suppress(OSError):
                imap.shutdown()
            raise MailboxError(self._subject, f"the connection was lost: {what}") from error
        except (imaplib.IMAP4.error, ValueError) as error:
            raise MailboxError(self._subject, f"it cannot {what}", remedy=remedy or None) from error
        if status != "OK":
            raise MailboxError(self._subject, f"it does not {what}", remedy=remedy or None)
        return list(answer)

    def select(self, name: str, *, shown: str) -> None:
        """Open a folder by its name as commands take it; `shown` is what people call it."""
        self.ask(f"open {shown}", lambda imap: imap.select(name), remedy=f"check {self._table} folder")

    def response(self, name: str) -> list[Any]:
        """What the server said under that name beside its last answers."""
        answer = self._connection.response(name)[1] if self._connection else None
        return [one for one in answer or [] if one is not None]

    def close(self) -> None:
        """Say goodbye, if the server still listens. Nothing is expunged by it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(imaplib.IMAP4.error, OSError):
                connection.logout()

    @property
    def _subject(self) -> str:
        return f"{self._table.strip('[]')} {self.place}"

    def _log_in(self, imap: imaplib.IMAP4) -> None:
        remedy = f"check {self._table} username and {self._variable}"
        secret = f"\0{self._username}\0{self._password}".encode()
        try:
            if "AUTH=PLAIN" in imap.capabilities:  # RFC 4616: takes any characters, as LOGIN does not
                status, _ = imap.authenticate("PLAIN", lambda _: secret)
            else:
                status, _ = imap.login(self._username, self._password)
        except (imaplib.IMAP4.abort, OSError) as error:
            raise MailboxError(self._subject, "the connection was lost at the login") from error
        except (imaplib.IMAP4.error, UnicodeError):
            raise LoginRefused(self._subject, "the login was refused", remedy=remedy) from None  # it may repeat us
        if status != "OK":
            raise LoginRefused(self._subject, "the login was refused", remedy=remedy)
        # What may be used is often told only to those who are in.
        answer = self.ask("capability", lambda imap: imap.capability())
        imap.capabilities = tuple(str(answer[-1], "ascii", "replace").upper().split())


def quote(name: str) -> str:
    """A folder's name in modified UTF-7 (RFC 3501 §5.1.3), quoted."""
    return quote_raw(re.sub(r"[^\x20-\x25\x27-\x7e]+", _shift, name))


def quote_raw(name: str) -> str:
    """The same of a name that is in modified UTF-7 already, as a server lists it."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _shift(found: re.Match[str]) -> str:
    if found[0] == "&":
        return "&-"
    encoded = base64.b64encode(found[0].encode("utf-16-be")).decode("ascii").rstrip("=").replace("/", ",")
    return f"&{encoded}-"
