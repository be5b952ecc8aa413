"""What stops a sender or an edition by itself: lost answers, one refusal for everybody, shares that are too high."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

from digest.models import DeliveryState, Outcome

# In a row, with nothing accepted between, before a sender stops by itself.
_MOST_UNKNOWN, _MOST_LOST_ANSWERS, _MOST_REFUSALS = 50, 3, 10

_ADDRESS = re.compile(r"[^\s<>()\"',;:]+@(?=[\w.-])")

# RFC 3463 §3.2: it is this mailbox, or its domain. Ten readers of one company that is no more are not everybody.
_ABOUT_READER = re.compile(r"\b5\.1\.(1|2|3|6|10)\b")

_SETTLED = ("accepted", "refused", "unknown", "delivered", "bounced", "dropped", "complained")
_ACCEPTED, _UNKNOWN, _REFUSED = DeliveryState.ACCEPTED, DeliveryState.UNKNOWN, DeliveryState.REFUSED


@dataclass(slots=True)
class Breaker:
    """Trips when answers are lost, or one refusal comes back for everybody, with nothing accepted between.

    Then it is not about single readers, and going on would only lose more of them. It is asked before anything leaves,
    never in the middle of a request. All connections share one.
    """

    connections: int = 1  # a server that restarts takes one answer from each of them
    fault: str = ""
    unknown: int = 0
    lost_answers: int = 0
    refusals: int = 0
    refusal: str = ""
    lock: Lock = field(default_factory=Lock, repr=False)

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Take in what one answer, or its want, said of some messages."""
        by_state = {outcome.state: outcome.raw for outcome in outcomes}
        with self.lock:
            if _ACCEPTED in by_state:
                self.unknown = self.lost_answers = self.refusals = 0
                return
            if (words := by_state.get(_UNKNOWN)) is not None:
                self.unknown += sum(outcome.state is _UNKNOWN for outcome in outcomes)
                self.lost_answers += 1
                if self.unknown >= _MOST_UNKNOWN or self.lost_answers >= _MOST_LOST_ANSWERS + self.connections - 1:
                    self.fault = f"the answers are lost, {self.unknown} messages in a row: {words}"
            if (words := by_state.get(_REFUSED)) is not None:
                refusal = words if _ABOUT_READER.search(words) else without_particulars(words)
                self.refusals = self.refusals + 1 if refusal == self.refusal else 1
                self.refusal = refusal
                if self.refusals >= _MOST_REFUSALS:
                    self.fault = f"everybody is refused, {self.refusals} times in a row: {words}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """[breakers]: shares of the settled messages at which an edition stops, once `after` of them are settled."""

    failures: float  # refused or unknown
    bounces: float
    complaints: float
    after: int


def find_excess(counts: Mapping[str, int], limits: Limits) -> str | None:
    """What is too much of what was settled; None: nothing is. One message is no share, of however few. Pure."""

    def add_up(*states: str) -> int:
        return sum(counts.get(state, 0) for state in states)

    settled = add_up(*_SETTLED)
    if settled < limits.after:
        return None
    for what, number, limit in (
        ("refused or unknown", add_up("refused", "unknown"), limits.failures),
        ("bounced", add_up("bounced"), limits.bounces),
        ("complained about", add_up("complained"), limits.complaints),
    ):
        if number > max(1, limit * settled):
            return f"{number} of {settled} messages {what}, more than {limit:.2%}"
    return None


def without_particulars(words: str) -> str:
    """A receiver's words without those that differ from reader to reader, so that one refusal is known again. Pure.

    Most servers repeat the address that they refuse, and many add a number of their own, such as `a4-20sm1.2`.
    """
    return " ".join("…" if _is_particular(word) else word for word in words.split())


def _is_particular(word: str) -> bool:
    return "@" in word or (any(map(str.isdigit, word)) and any(map(str.isalpha, word)))


def without_addresses(words: str) -> str:
    """A receiver's words without the local parts of addresses in them: faults are read and logged anywhere. Pure."""
    return _ADDRESS.sub("…@", words)
