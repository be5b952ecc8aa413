"""What outlives every kill: `python -m tests.faults.sink EVIDENCE`, an SMTP server and a SendGrid in one process.

Whatever one of them takes is in the file EVIDENCE before the sender hears of it: `transport connection send_key email
seconds`, by the machine's own clock that is never set. It says on stdout what happens as it happens; on stdin it is
told where to hold the next conversation, as JSON: {"at": "reply", "number": 3, "answer": "take and hold"}. Steps are
counted from that line on. Or how long SendGrid thinks over each request that has come: {"slow": 1.0}.
"""

import json
import os
import sys
import threading
import time
from typing import Any, BinaryIO

from tests.doubles.sendgrid_api import SendGridDouble
from tests.faults.smtp_sink import SmtpSink, Step, Taken


class Evidence:
    """The file, and the talk."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)

    def keep(self, line: str) -> None:
        """In one write: it is there whatever is killed next."""
        os.write(self._file, f"{line}\n".encode())

    def say(self, line: str) -> None:
        """A line to the parent process."""
        os.write(1, f"{line}\n".encode())


class Trap:
    """Where the next conversation is held up."""

    def __init__(self, say: Any) -> None:
        self._say = say
        self._lock = threading.Lock()
        self._at, self._left, self._answer = "", 0, ""

    def set(self, at: str, number: int, answer: str) -> None:
        """From now on."""
        with self._lock:
            self._at, self._left, self._answer = at, number, answer

    def __call__(self, kind: str) -> str:
        with self._lock:
            if kind != self._at or self._left == 0:
                return ""
            self._left -= 1
            if self._left:
                return ""
        return self._answer

    def tell(self, kind: str) -> None:
        """That a conversation is held."""
        self._say(f"held {kind}")


class SendGridSink(SendGridDouble):
    """The double, with its requests written down, and held where the trap says."""

    def __init__(self, evidence: Evidence, trap: Trap) -> None:
        super().__init__(answer=self._choose)
        self._evidence = evidence
        self._trap = trap
        self.slow = 0.0  # seconds for each request
        self._never = threading.Event()

    def _choose(self, number: int) -> str:
        return {"take and hold": "accept-and-stall", "hold": "stall", "": "accept"}[self._trap("reply")]

    def receive(self, stream: BinaryIO, length: int) -> bytes:
        """The body, or what of it comes before the sender is killed."""
        first = stream.read(length // 2)
        if self._trap("content"):
            self._trap.tell("content")
            while stream.read(65536):
                pass
            raise ConnectionResetError
        body = first + stream.read(length - len(first))
        self._never.wait(self.slow)
        return body

    def take(self, request: dict[str, Any]) -> None:
        """Answer for a request."""
        for person in request["personalizations"]:
            key, email = person["custom_args"]["send_key"], person["to"][0]["email"]
            self._evidence.keep(f"sendgrid {len(self.requests)} {key} {email} {time.monotonic()}")
        for _ in request["personalizations"]:
            self._evidence.say("taken sendgrid")

    def hold(self, stream: BinaryIO) -> None:
        """Until the sender has gone."""
        self._trap.tell("reply")
        while stream.read(1):
            pass

    def open(self) -> None:
        """A connection has come."""
        self._evidence.say("opened sendgrid")

    def close(self) -> None:
        """A connection has ended."""
        self._evidence.say("closed sendgrid")


def main(path: str) -> None:
    """Serve until stdin ends."""
    evidence = Evidence(path)
    trap = Trap(evidence.say)

    def listen(what: str, connection: int, taken: Taken | None) -> None:
        if taken:
            evidence.keep(f"smtp {connection} {taken.key} {taken.email} {time.monotonic()}")
        evidence.say(f"{what} smtp")

    def answer(step: Step) -> str:
        what = trap(step.kind)
        if what:
            trap.tell(step.kind)
        return what

    with SmtpSink(answer=answer, listen=listen) as smtp, SendGridSink(evidence, trap) as sendgrid:
        evidence.say(json.dumps({"smtp": smtp.port, "sendgrid": sendgrid.url, "key": sendgrid.api_key}))
        for line in sys.stdin:
            order = json.loads(line)
            if "slow" in order:
                sendgrid.slow = order["slow"]
                continue
            trap.set(order["at"], order["number"], order["answer"])
            evidence.say("trapped")


if __name__ == "__main__":
    main(sys.argv[1])
