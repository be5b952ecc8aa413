"""What an operator's link to the approval page says: which edition, until when, and to whom it was mailed. Pure.

    EDITION-UNTIL-NUMBER     the number is made of the address, which itself is not in it

Whoever is taken out of [alerts] has links that work no more.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

_SHORTEST: Final = timedelta(hours=48)  # a weekend's Saturday edition may be decided on by Monday


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What a link says."""

    edition: int
    until: datetime
    number: int


def expires_at(now: datetime, max_lateness: timedelta) -> datetime:
    """Until when a link that is mailed now works: as long as the edition may be sent, and two days at least."""
    return now + max(_SHORTEST, max_lateness)


def write_value(edition: int, until: datetime, email: str) -> str:
    """What is signed."""
    return f"{edition}-{int(until.timestamp())}-{_number_of(email)}"


def read_value(value: str) -> Pass:
    """What was signed, taken apart."""
    edition, until, number = (int(part) for part in value.split("-"))
    return Pass(edition=edition, until=datetime.fromtimestamp(until, UTC), number=number)


def place_among(number: int, emails: Sequence[str]) -> int | None:
    """Which of the addresses a link was mailed to, from 1; None: none of these."""
    return next((place for place, email in enumerate(emails, 1) if _number_of(email) == number), None)


def _number_of(email: str) -> int:
    digest = hashlib.sha256(email.casefold().encode()).digest()
    return int.from_bytes(digest[:4]) % 10_000
