"""The outbox: messages as files of a Maildir, for rehearsals and for mail programs to open. The honest fake, and the
default."""

import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from digest.errors import Unavailable
from digest.models import Batch, DeliveryState, Outcome
from digest.transports import mime


class OutboxTransport:
    """Writes each message to `new/` under a name made of its send key: the same delivery can never lie there twice."""

    name = "outbox"
    batch_size = 500

    def __init__(self, *, path: Path) -> None:
        """`path` is the Maildir; it is made when it is first written to."""
        self._path = path

    def __repr__(self) -> str:
        return f"OutboxTransport(path={str(self._path)!r})"

    def send(
        self,
        batch: Batch,
        on_attempt: Callable[[Sequence[int]], None],
        on_outcome: Callable[[Sequence[Outcome]], None],
    ) -> None:
        """Write each message: to `tmp/` and on the disk first, then renamed. Raises Unavailable."""
        template = mime.build(batch.rendition, batch.letterhead)
        self._make()
        for message in batch.messages:
            on_attempt([message.delivery])
            try:
                self._write(f"{message.send_key}.{socket.gethostname()}", template.address(message))
            except OSError as error:
                fault = self._unavailable()
                on_outcome([Outcome(delivery=message.delivery, state=DeliveryState.DEFERRED, raw=str(error.strerror))])
                raise fault from error
            on_outcome([Outcome(delivery=message.delivery, state=DeliveryState.ACCEPTED, raw="written")])

    def render(self, batch: Batch) -> list[bytes]:
        """The messages that would be written."""
        template = mime.build(batch.rendition, batch.letterhead)
        return [template.address(message) for message in batch.messages]

    def check(self) -> str:
        """Whether it can be written to. Raises Unavailable."""
        self._make()
        if not os.access(self._path / "new", os.W_OK):
            raise self._unavailable()
        return f"{self._path} can be written"

    def close(self) -> None:
        """Nothing is kept open."""

    def _make(self) -> None:
        try:
            for part in ("tmp", "new", "cur"):
                (self._path / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unavailable() from error

    def _write(self, name: str, content: bytes) -> None:
        draft = self._path / "tmp" / name
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path / "new" / name)

    def _unavailable(self) -> Unavailable:
        remedy = "check that it is a folder that may be written, or change [transport] path"
        return Unavailable(f"outbox {self._path}", "it cannot be written", remedy=remedy)
