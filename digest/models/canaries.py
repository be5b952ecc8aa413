"""The copy of an edition that a seed mailbox got, and what its receiver says of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A mail that came to a seed mailbox since it was opened."""

    folder: str
    place: str  # by which the mailbox finds it again
    head: bytes  # its header fields, as they stand there
    is_junk: bool = False  # where the receiver puts what is not wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a receiver's own Authentication-Results say of a copy."""

    receiver: str | None  # its authserv-id (RFC 8601 §2.5); None: it gives no name, or says nothing
    faults: tuple[str, ...] = ()  # what was to pass and did not, in words without an address
