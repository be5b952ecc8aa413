"""What providers and mailboxes say later, into the store: who is mailed no more, and what became of each delivery."""

import hashlib
import logging
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from digest import alerting, aside
from digest.adapters import open_transports
from digest.audience.bounces import BounceRules, read_status
from digest.decisions import alert_addresses
from digest.errors import DigestError
from digest.models import Event, EventKind, Heard, Letterhead, Rendition, Wave

if TYPE_CHECKING:
    from digest.app import App

_LOOK_BACK: Final = timedelta(days=7)  # for what servers refused while they were talked to
_REPLY: Final = re.compile(r"[45]\d\d\b")
_MOST_AT_ONCE: Final = 5000  # events in one transaction


def make_bounce_rules(app: "App") -> BounceRules:
    """How much is enough, as [bounces] has it."""
    table = app.config.bounces
    return BounceRules(
        hard_days=table.hard_days,
        soft_run=table.soft_run,
        wave=table.wave,
        wave_within=table.wave_within,
        wave_share=table.wave_share,
    )


def take_events(app: "App", events: Sequence[Event]) -> Heard:
    """Take events in as one transaction, in any order and however often they come. Raises StoreError.

    The operator is told of each new wave; where that mail cannot go, the log says so and `digest status` has it.
    """
    heard = keep_events(app, events)
    tell_waves(app, heard.waves)
    return heard


def keep_events(app: "App", events: Sequence[Event]) -> Heard:
    """The same, and nobody is told: that may take a while, and is `tell_waves`'. Raises StoreError."""
    slug, now = app.config.newsletter.slug, app.clock()
    return app.store.events.take(slug, events, make_bounce_rules(app), now=now)


def take_refusals(app: "App") -> Heard:
    """Take as events what servers refused at once while messages were handed over. Raises StoreError.

    No provider and no mailbox tells of those: a server that says 550 to the address is the only one who says it.
    """
    now = app.clock()
    found = app.store.events.unheard_refusals(app.config.newsletter.slug, since=now - _LOOK_BACK)
    events = [
        Event(
            provider="smtp",
            event_id=f"refused:{send_key}",
            kind=EventKind.BOUNCED,
            occurred_at=settled_at,
            send_key=send_key,
            email=email,
            status=read_status(None, answer),
            answer=answer,
        )
        for send_key, email, answer, settled_at, _ in found
        if _REPLY.match(answer)  # what we could not even ask a server is no word of it
    ]
    total = Heard(new=0)
    for start in range(0, len(events), _MOST_AT_ONCE):
        heard = take_events(app, events[start : start + _MOST_AT_ONCE])
        total = Heard(
            new=total.new + heard.new,
            ended=total.ended + heard.ended,
            quarantined=total.quarantined + heard.quarantined,
            waves=(*total.waves, *heard.waves),
        )
    return total


def tell_waves(app: "App", waves: Sequence[Wave]) -> None:
    """Tell the operator of each wave, by mail and in the log."""
    for wave in waves:
        said = f"{wave.events} refusals from {wave.domain} at once were set aside; see `digest events list`"
        fault = mail_operator(app, alerting.write_wave_alert(app.config.newsletter.name, wave), key=_name_mail(wave))
        logging.getLogger(__name__).warning(said if fault is None else f"{said}; no alert was mailed: {fault}")


def _name_mail(wave: Wave) -> str:
    """What stands in the mail's Message-ID, where an international or a long domain has no place."""
    seen = f"{wave.domain} {wave.weight} {wave.first_at.isoformat()}".encode()
    return f"wave-{hashlib.blake2b(seen, digest_size=16).hexdigest()}"


def mail_operator(app: "App", rendition: Rendition, *, key: str, to: Sequence[str] | None = None) -> str | None:
    """To [alerts] to, or some of them, by transports of its own: those of the app may be at work elsewhere.

    Returns what went wrong.
    """
    config = app.config
    if not config.alerts.to:
        return "[alerts] to is empty"
    newsletter = config.newsletter
    letterhead = Letterhead(
        sender=newsletter.sender,
        reply_to=newsletter.reply_to,
        list_id=newsletter.slug,
        list_name=newsletter.name,
        dated_at=app.clock(),
        is_bulk=False,
    )
    try:
        with open_transports(config.transports, config.secrets) as transports:
            return aside.hand_over(transports, letterhead, rendition, to or alert_addresses(config), key=key)
    except DigestError as error:
        return str(error)
