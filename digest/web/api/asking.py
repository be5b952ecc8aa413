"""How a new subscriber is asked to confirm."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from digest.models import Subscriber

if TYPE_CHECKING:
    from digest.app import App

# Has a mail to confirm go out to somebody; False: not now, for the address was asked too often today.
Ask = Callable[["App", Subscriber], bool]


def ask_to_confirm(app: "App", reader: Subscriber) -> bool:  # noqa: ARG001 - until sign-up by mail is here
    """Nothing is mailed: the reader is pending, as after an import without consent."""
    return True
