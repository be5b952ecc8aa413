"""How a new subscriber is asked to confirm."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from digest.models import Subscriber
from digest.operate import signing_up

if TYPE_CHECKING:
    from digest.app import App

# Has a mail to confirm go out to somebody; False: not now, for the address was asked too often today.
Ask = Callable[["App", Subscriber], bool]


def ask_to_confirm(app: "App", reader: Subscriber) -> bool:
    """The mail that the page would send. The token vouches for where it was asked: only the address is limited."""
    choices = signing_up.choices_of(reader)
    return signing_up.ask_to_subscribe(app, reader.email, choices, network=None, consent_text=reader.consent_text)
