"""A person's word on an edition: what is changed before it is sent, corrected and withdrawn afterwards."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from digest.compose import Subject
from digest.errors import ConfigError
from digest.mailing import write_subject
from digest.models import Canary, Correction, Edition, EditionState, StoredEdition
from digest.reporting import Held

if TYPE_CHECKING:
    from digest.app import App

_BEFORE = (EditionState.HELD, EditionState.READY)
_AFTER = (EditionState.SENDING, EditionState.STOPPED, EditionState.SENT)


def revise_edition(app: "App", stored: StoredEdition, change: Callable[[Edition, Subject], Edition]) -> Edition:
    """Change an edition that is not sent yet, render it again, and keep both. Raises DigestError.

    A ready edition that preflight now fails is held. One that was held stays so, and no run composes it anew.
    """
    if stored.edition is None or stored.state not in _BEFORE:
        raise ConfigError(
            f"edition {stored.reference}", f"it is {stored.state}; only before it is sent can it be changed"
        )
    revised = change(stored.edition, partial(write_subject, app.config.newsletter, stored.cadence, stored.edition.date))
    if not app.revise(stored.id, revised, only_from=_BEFORE):
        raise ConfigError(f"edition {stored.reference}", "it is being sent by now; nothing was changed")
    return revised


def approve_edition(
    app: "App", stored: StoredEdition, *, by: str | None = None, through: str = "", force: bool = False
) -> None:
    """Let a held edition go as it was when it was looked up; `force` also against what a machine holds it for.

    Under a person's name (`by`), what a model wrote needs no label. `through` says by which way they spoke, and is kept
    with the reason. Raises ConfigError.
    """
    subject, is_held = f"edition {stored.reference}", stored.state is EditionState.HELD
    if not is_held and not (by and stored.state is EditionState.READY):
        raise ConfigError(subject, f"it is {stored.state}, not held")
    by_force = is_held and Held.of(stored.reason).is_by_machine
    # Who lets it go against what a canary found needs no other; a name alone changes nothing that one would tell.
    canary: Canary | None = "waived" if is_held and Held.of(stored.reason) is Held.CANARY else stored.canary
    if by_force and not force:
        raise ConfigError(subject, f"it is held: {stored.reason}", remedy="--force lets it go all the same")
    if not app.store.editions.renditions(stored.id):
        raise ConfigError(subject, "it has no story, so there is nothing to send")
    note = "approved" + (f" by {by}" if by else "") + through
    note += f" although held by {stored.reason}" if by_force else ""
    if by and stored.edition:
        approved = replace(stored.edition, approved_by=by)
        moved = app.revise(
            stored.id,
            approved,
            only_from=_BEFORE,
            state=EditionState.READY,
            reason=note,
            as_of=stored.changed_at,
            canary=canary,
        )
    else:
        moved = app.store.editions.set_state(
            stored.id,
            EditionState.READY,
            note,
            now=app.clock(),
            only_from=[EditionState.HELD],
            as_of=stored.changed_at,
            canary=canary,
        )
    if not moved:
        raise ConfigError(subject, "it was changed, or is being sent, by now; nothing was done")


def hold_edition(app: "App", stored: StoredEdition, reason: str) -> None:
    """Keep an edition from being sent; a name that stood for it does so no longer. Raises ConfigError."""
    if stored.edition and stored.edition.approved_by:
        nameless = replace(stored.edition, approved_by=None)
        moved = app.revise(
            stored.id, nameless, only_from=_BEFORE, state=EditionState.HELD, reason=reason, canary=stored.canary
        )
    else:
        moved = app.store.editions.set_state(stored.id, EditionState.HELD, reason, now=app.clock(), only_from=_BEFORE)
    if not moved:
        raise ConfigError(f"edition {stored.reference}", f"it is {stored.state}; only a ready one can be held")


def stop_edition(app: "App", stored: StoredEdition, reason: str) -> None:
    """Send no further batch of an edition that is being sent. Raises ConfigError."""
    now = app.clock()
    if not app.store.editions.set_state(
        stored.id, EditionState.STOPPED, reason, now=now, only_from=[EditionState.SENDING]
    ):
        raise ConfigError(
            f"edition {stored.reference}", f"it is {stored.state}; only one that is being sent can be stopped"
        )


def resume_edition(app: "App", stored: StoredEdition, reason: str) -> None:
    """Go on sending where it was stopped; nobody gets it twice. Raises ConfigError."""
    now = app.clock()
    if not app.store.editions.set_state(
        stored.id, EditionState.SENDING, reason, now=now, only_from=[EditionState.STOPPED]
    ):
        raise ConfigError(f"edition {stored.reference}", f"it is {stored.state}; only one that was stopped can go on")


def correct_edition(app: "App", stored: StoredEdition, text: str) -> Correction:
    """Say what was wrong: on the web view from now on, and in the next edition. Raises ConfigError."""
    words = " ".join(text.split())
    if not words:
        raise ConfigError("correction", "it says nothing")
    if stored.edition is None or stored.state not in _AFTER:
        raise ConfigError(
            f"edition {stored.reference}",
            f"it is {stored.state}; only one that went out is corrected",
            remedy="`digest editions edit` changes one that did not",
        )
    correction = Correction(edition=stored.date, made_at=app.clock(), text=words)
    app.store.editions.amend(
        stored.id, replace(stored.edition, corrected=(*stored.edition.corrected, correction)), now=app.clock()
    )
    return correction


def withdraw_edition(app: "App", stored: StoredEdition, note: str) -> None:
    """Take the web view down; what lies in mailboxes stays there. Raises ConfigError."""
    only_from = [EditionState.STOPPED, EditionState.SENT]
    moved = app.store.editions.set_state(stored.id, EditionState.WITHDRAWN, note, now=app.clock(), only_from=only_from)
    if not moved:
        raise ConfigError(
            f"edition {stored.reference}", f"it is {stored.state}; only one that was sent, or stopped, can be withdrawn"
        )
