"""A seed, what became of its copy, and the words for it, in which no address stands. Pure."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from email.policy import compat32
from typing import Final

from digest.errors import Refused, Unavailable
from digest.models import DeliveryState, Outcome, Verdict
from digest.ports import CanaryMailbox

_ADDRESS: Final = re.compile(r"[^\s<>]*@[^\s<>]*")
_CODES: Final = re.compile(r"\b([245]\d\d)(?:[ -]([245]\.\d{1,3}\.\d{1,3}))?\b")


@dataclass(slots=True)
class Seed:
    """One seed, and what became of its copy. `send_key` is the copy's own name."""

    email: str
    send_key: str
    mailbox: CanaryMailbox
    is_sent: bool = False
    answer: str = ""  # why it was not taken yet
    verdict: Verdict | None = None
    fault: str = ""

    @property
    def is_open(self) -> bool:
        """Whether there is something to wait for."""
        return self.verdict is None and not self.fault


def is_copy(head: bytes, send_key: str) -> bool:
    """Whether these are the header fields of the message with that name, and not of an answer to it. Pure.

    Some providers give it a Message-ID of their own; the way out stays ours.
    """
    for name, value in BytesHeaderParser(policy=compat32).parsebytes(head).items():
        if name.lower() in {"message-id", "list-unsubscribe"} and send_key in "".join(str(value).split()):
            return True
    return False


def take_outcome(seed: Seed, outcome: Outcome | None, fault: Exception | None) -> None:
    """What became of a seed's message. What may have been sent is waited for."""
    state = outcome.state if outcome else None
    if state is DeliveryState.REFUSED or (outcome is None and isinstance(fault, Refused)):
        seed.fault = f"was refused: {_say_codes(outcome.raw if outcome else str(fault))}"
    elif state is DeliveryState.DEFERRED or (outcome is None and isinstance(fault, Unavailable)):
        seed.answer = _say_codes(outcome.raw if outcome else str(fault))
    else:
        seed.is_sent = True


def describe_seeds(seeds: Sequence[Seed]) -> list[str]:
    """What kept which share of the seeds from passing, the most first; each line names no address."""
    told: Counter[str] = Counter()
    for seed in seeds:
        if seed.verdict and seed.verdict.faults:
            where = f" (at {seed.verdict.receiver})" if seed.verdict.receiver else ""
            told[", ".join(seed.verdict.faults) + where] += 1
        elif seed.fault:
            told[seed.fault] += 1
    return [f"{number} of {len(seeds)} seeds: {what}" for what, number in told.most_common()]


def say_fault(error: Exception) -> str:
    """A fault in its own words, without an address."""
    return _ADDRESS.sub("…", str(error))


def _say_codes(words: str) -> str:
    """A server's codes, for in its words the address may stand."""
    found = _CODES.search(words)
    return " ".join(part for part in found.groups() if part) if found else _ADDRESS.sub("…", words) or "no reason given"
