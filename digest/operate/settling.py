"""An operator's word on deliveries: what became of the unknown ones, and that what failed is tried again."""

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

from digest.deliver import batch_size
from digest.errors import ConfigError
from digest.models import Delivery, DeliveryState, EditionState, StoredEdition, fold_address

if TYPE_CHECKING:
    from digest.app import App

_AT_ONCE: Final = 1000
_BEGUN: Final = (EditionState.SENDING, EditionState.STOPPED, EditionState.SENT, EditionState.MISSED)


def list_unknown(app: "App", stored: StoredEdition) -> Iterator[Delivery]:
    """Those of whom nobody knows whether they were sent; also what senders left who are gone. Raises StoreError."""
    app.store.ledger.recover(stored.id, now=app.clock())
    return app.store.ledger.unknown(stored.id)


def settle_by_hand(app: "App", stored: StoredEdition, *, accepted: bool, emails: Collection[str] | None = None) -> int:
    """Settle unknown deliveries, of some readers or of all; returns how many. Raises ConfigError, StoreError.

    Accepted stays accepted; what failed counts as refused, and may be planned again.
    """
    wanted = {fold_address(email): email for email in emails} if emails is not None else None
    if wanted is not None:
        known = {key for one in list_unknown(app, stored) if (key := fold_address(one.email)) in wanted}
        strangers = sorted(email for key, email in wanted.items() if key not in known)
        if strangers:
            raise ConfigError(
                f"edition {stored.reference}",
                f"nothing of it is unknown for {', '.join(strangers)}; nothing was settled",
                remedy="see `digest editions settle`",
            )
    keys = iter(
        [one.send_key for one in list_unknown(app, stored) if wanted is None or fold_address(one.email) in wanted]
    )
    state = DeliveryState.ACCEPTED if accepted else DeliveryState.REFUSED
    answer = f"settled by hand as {'accepted' if accepted else 'failed'}"
    settled = 0
    while chunk := list(islice(keys, _AT_ONCE)):
        settled += _settle(app, stored, chunk, state, answer)
    return settled


def _settle(app: "App", stored: StoredEdition, keys: Sequence[str], state: DeliveryState, answer: str) -> int:
    return app.store.ledger.settle_unknown(stored.id, keys, state, answer, now=app.clock())


def retry_edition(app: "App", stored: StoredEdition) -> int:
    """Plan again what certainly failed, and let the edition go on; returns how many. Raises ConfigError, StoreError."""
    if stored.state not in _BEGUN or stored.edition is None:
        raise ConfigError(
            f"edition {stored.reference}",
            f"it is {stored.state}; only one that went out, or was given up as too late, can be retried",
        )
    app.store.ledger.recover(stored.id, now=app.clock())
    return app.store.ledger.retry(stored.id, batch_size=batch_size(app.lanes), now=app.clock())
