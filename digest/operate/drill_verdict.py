"""What arrived in a drill, held against what the ledger says. Pure."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from digest.models import TAKEN_ON

_NAMED: Final = ("unknown", "refused", "skipped")  # `digest editions show --missing` says who


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Addresses, by what is wrong or to be known of them."""

    accepted: frozenset[str]
    unknown: frozenset[str]
    left_out: frozenset[str]  # refused or skipped: named, and nothing arrived
    unknown_arrived: frozenset[str]  # of the unknown, those who have it
    twice: frozenset[str]
    lost: frozenset[str]  # accepted and never arrived, or in no state that names them
    denied: frozenset[str]  # arrived, and the ledger says that they have it not: somebody may send it again
    strangers: frozenset[str]  # arrived, and no subscriber

    def faults(self, unknown_at_most: int) -> list[str]:
        """How the promise was broken, a line each; none: it held."""
        found = [
            (self.twice, "got it more than once"),
            (self.lost, "accepted or unsettled in the ledger, and nothing arrived"),
            (self.denied, "got it, though the ledger says that they did not"),
            (self.strangers, "got it and are no subscribers"),
        ]
        faults = [f"{len(people)} {words}: {', '.join(sorted(people)[:3])}" for people, words in found if people]
        if len(self.unknown) > unknown_at_most:
            faults.append(f"{len(self.unknown)} are unknown, where {unknown_at_most} may be")
        return faults


def compare(arrived: Counter[str], ledger: Mapping[str, str], subscribers: Collection[str]) -> Compared:
    """`arrived` counts addresses, `ledger` has their states."""
    by_state = {state: {one for one, its in ledger.items() if its == state} for state in set(ledger.values())}
    accepted = frozenset().union(*(by_state.get(state, ()) for state in TAKEN_ON))
    named = frozenset().union(*(by_state.get(state, ()) for state in _NAMED))
    unknown = frozenset(by_state.get("unknown", ()))
    got = frozenset(arrived)
    return Compared(
        accepted=accepted,
        unknown=unknown,
        left_out=named - unknown - got,
        unknown_arrived=unknown & got,
        twice=frozenset(address for address, times in arrived.items() if times > 1),
        lost=(accepted - got) | (frozenset(subscribers) - accepted - named),
        denied=(got & frozenset(subscribers)) - accepted - unknown,
        strangers=got - frozenset(subscribers),
    )


def list_arrived(text: str) -> Counter[str]:
    """How often each address stands in a list, a line each."""
    return Counter(line for line in text.splitlines() if line)
