"""What an operator decides on the approval page, and by which link: recorded with the edition, and no address in it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from digest.audience import approval
from digest.decisions import alert_addresses
from digest.errors import ConfigError
from digest.models import EditionState, Finding, StoredEdition
from digest.operate.revising import approve_edition, hold_edition, resume_edition, stop_edition
from digest.reporting import Held

if TYPE_CHECKING:
    from digest.app import App

Act = Literal["approve", "hold", "stop", "resume"]
_LONGEST_NAME: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One operator's link, opened: the edition as it is now, and which of the addresses the link was mailed to."""

    stored: StoredEdition
    place: int

    @property
    def fingerprint(self) -> str:
        """Another text whenever anything of the edition was changed: its stories, its words, its state."""
        seen = f"{self.stored.id} {self.stored.changed_at}"
        return hashlib.sha256(seen.encode()).hexdigest()[:32]


class Expired(ConfigError):
    """The link has run out, or was mailed to somebody who is told no more."""


def open_desk(app: "App", token: str) -> Desk:
    """What a link leads to. Raises BadToken for one that is not ours, and Expired."""
    link = approval.read_value(app.links.verify(token, "approval"))
    place = approval.place_among(link.number, alert_addresses(app.config))
    stored = app.store.editions.get(link.edition)
    if app.clock() >= link.until or place is None or stored is None:
        raise Expired("link", "it has run out")
    return Desk(stored=stored, place=place)


def needs_force(stored: StoredEdition, findings: Sequence[Finding]) -> bool:
    """Whether it takes a second word to let it go: a machine holds it, or preflight fails it as it is now. Pure."""
    if stored.state is EditionState.HELD and Held.of(stored.reason).is_by_machine:
        return True
    return any(finding.severity == "fail" for finding in findings)


def decide(app: "App", desk: Desk, act: Act, *, name: str, shown: str, force: bool) -> None:
    """Do what was decided. Raises ConfigError, and then nothing was done.

    `shown` is the fingerprint of what they had before their eyes. Who stops a sending need not have seen the newest.
    """
    by = " ".join(name.split())
    if not by or len(by) > _LONGEST_NAME or not by.isprintable():
        raise ConfigError("your name", f"it has to have 1 to {_LONGEST_NAME} characters")
    stored = desk.stored
    through = f", from the link mailed to alert address {desk.place}"
    if act == "stop":
        stop_edition(app, stored, f"stopped by {by}{through}")
        return
    if shown != desk.fingerprint:
        raise ConfigError(f"edition {stored.reference}", "it was changed while you looked at it; this is how it is now")
    if act == "resume":
        resume_edition(app, stored, f"resumed by {by}{through}")
    elif act == "hold":
        hold_edition(app, stored, f"{Held.OPERATOR}: held by {by}{through}")
    else:
        if stored.state is EditionState.HELD and needs_force(stored, app.inspect(stored)) and not force:
            raise ConfigError(
                f"edition {stored.reference}", "preflight or a rule holds it; tick that it goes all the same"
            )
        approve_edition(app, stored, by=by, through=through, force=force)
