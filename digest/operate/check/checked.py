"""What a check says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from digest.errors import DigestError

Result = Literal["ok", "warning", "failure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What became of one check."""

    subject: str
    result: Result
    message: str
    remedy: str | None = None


def attempt(subject: str, check: Callable[[], str]) -> Checked:
    """A check that says what is right, or raises DigestError."""
    try:
        return Checked(subject=subject, result="ok", message=check())
    except DigestError as error:
        return Checked(subject=subject, result="failure", message=words_of(error), remedy=error.remedy)


def words_of(error: DigestError) -> str:
    """The fault with its cause, without the remedy, which has a column of its own."""
    return str(error).removesuffix(f" ({error.remedy})")
