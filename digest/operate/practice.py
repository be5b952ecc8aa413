"""A mail server to practise with: takes every mail on this machine, lays it into a Maildir, and sends none on."""

import asyncio
import mailbox
from collections.abc import Callable
from contextlib import closing
from email.message import Message as Mail
from pathlib import Path
from typing import Final

from aiosmtpd.handlers import Message
from aiosmtpd.smtp import SMTP

from digest.audience.mailbox.reading import read_header
from digest.errors import ConfigError
from digest.listening import listen

_HOST: Final = "127.0.0.1"
_LARGEST: Final = 50_000_000  # bytes


class Practice(Message):
    """One Maildir."""

    def __init__(self, folder: Path, *, on_mail: Callable[[str, str], None]) -> None:
        """`on_mail` hears to whom each mail is, and its subject, on one line.

        Raises ConfigError for a folder of another kind.
        """
        super().__init__()
        try:
            self._kept = mailbox.Maildir(folder)
        except OSError as error:
            raise ConfigError(str(folder), "it cannot be written to", remedy="name another with --out") from error
        self._on_mail = on_mail

    def handle_message(self, message: Mail) -> None:
        """Keep a mail."""
        self._kept.add(message)
        self._on_mail(message["X-RcptTo"] or "", read_header(message, "Subject"))

    async def serve(self, port: int, *, announce: Callable[[int], None], is_over: asyncio.Event) -> None:
        """Take mail until it is over; port 0 takes a free one. Raises ConfigError when it cannot be had."""
        with closing(listen(_HOST, port, remedy="choose another with --port")) as listener:
            server = await asyncio.get_running_loop().create_server(
                lambda: SMTP(self, hostname="localhost", data_size_limit=_LARGEST, enable_SMTPUTF8=True), sock=listener
            )
            announce(listener.getsockname()[1])
            await is_over.wait()
            server.close()
