"""How a new subscriber is asked to confirm."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from digest.models import Choices, Subscriber
from digest.operate.signing_up import ask_to_subscribe

if TYPE_CHECKING:
    from digest.app import App

# Has a mail to confirm go out to somebody; False: not now, for the address was asked too often today.
Ask = Callable[["App", Subscriber], bool]


def ask_to_confirm(app: "App", reader: Subscriber) -> bool:
    """The same mail as after the page; a token vouches for its program, so only the address is limited."""
    choices = Choices(
        topics=reader.topics, language=reader.language, timezone=reader.timezone, frequency=reader.frequency
    )
    return ask_to_subscribe(app, reader.email, choices, network=None, consent_text=reader.consent_text)
