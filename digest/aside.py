"""Mail beside the ledger: to the operator, or to one person who asked for it on a page. It is of no list."""

from collections.abc import Sequence
from dataclasses import replace

from digest.errors import Refused, TransportError, Unavailable
from digest.models import Batch, DeliveryState, Letterhead, Message, Outcome, Rendition
from digest.protocols import Transport


def hand_over(
    transports: Sequence[Transport], letterhead: Letterhead, rendition: Rendition, to: Sequence[str], *, key: str
) -> str | None:
    """Hand it over to each address, by the first transport there is; returns what went wrong, and no address."""
    faults = []
    for transport in transports:
        try:
            return _send_by(transport, letterhead, rendition, to, key=key)
        except Unavailable as error:  # certainly not sent
            faults.append(str(error))
    return "; ".join(faults) or "there is no transport"


def hand_over_once(
    transports: Sequence[Transport], letterhead: Letterhead, rendition: Rendition, email: str, *, key: str
) -> DeliveryState:
    """Hand one message over to one address; what became of it. `deferred`: it certainly did not go."""
    message = Message(delivery=0, send_key=key, email=email, name=None, unsubscribe_url="")
    batch = Batch(rendition=rendition, letterhead=replace(letterhead, is_bulk=False), messages=(message,))
    for transport in transports:
        outcomes: list[Outcome] = []
        try:
            transport.send(batch, lambda _: None, outcomes.extend)
        except Unavailable:
            if not outcomes:  # certainly not sent: the next may
                continue
        except Refused:
            return outcomes[-1].state if outcomes else DeliveryState.REFUSED
        except TransportError:
            return outcomes[-1].state if outcomes else DeliveryState.UNKNOWN
        return outcomes[-1].state if outcomes else DeliveryState.UNKNOWN
    return DeliveryState.DEFERRED


def _send_by(
    transport: Transport, letterhead: Letterhead, rendition: Rendition, to: Sequence[str], *, key: str
) -> str | None:
    """By one transport. Raises Unavailable where nothing was sent."""
    outcomes: list[Outcome] = []
    messages = tuple(
        Message(delivery=number, send_key=f"{key}-{number}", email=email, name=None, unsubscribe_url="")
        for number, email in enumerate(to)
    )
    size = max(1, transport.batch_size)
    try:
        for start in range(0, len(messages), size):
            batch = Batch(
                rendition=rendition,
                letterhead=replace(letterhead, is_bulk=False),
                messages=messages[start : start + size],
            )
            transport.send(batch, lambda _: None, outcomes.extend)
    except TransportError as error:
        if isinstance(error, Unavailable) and not outcomes:
            raise
        return str(error)
    # What may have been sent is not called refused: whoever hears that sends it again.
    went = (DeliveryState.ACCEPTED, DeliveryState.UNKNOWN)
    refused = [outcome for outcome in outcomes if outcome.state not in went]
    return f"{len(refused)} of {len(messages)} messages were not accepted" if refused else None
