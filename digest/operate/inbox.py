"""The inbox, read: bounces and complaints become events, who asks to leave by the reader's own link leaves.

    mailbox ──batches──> sort_mail ──> take events ──> let leave ──> move

Only when a batch is written down are its mails moved, so that after a crash at any point the next reader finds them
again, and what was written down already is known: an event by its name, and leaving twice is leaving once.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from email.utils import parseaddr
from itertools import islice
from typing import TYPE_CHECKING

from digest.audience.mailbox import MailKind, Sorted, Terms, sort_mail
from digest.errors import ConfigError, MailboxError
from digest.models import Event, EventKind, Heard, Incoming, SubscriberState
from digest.operate.events import take_events
from digest.protocols import Mailbox

if TYPE_CHECKING:
    from digest.app import App

_FOLDERS = {
    MailKind.BOUNCE: "bounces",
    MailKind.COMPLAINT: "complaints",
    MailKind.LEAVE: "left",
    MailKind.AUTO: "auto",
}
_MOST_BATCHES = 400  # at one reading; the rest has its turn at the next

Take = Callable[["App", Sequence[Event]], Heard]


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxRead:
    """What was found in the inbox, and what became of it."""

    bounces: int = 0  # what servers said, deliveries included
    complaints: int = 0
    left: int = 0  # asked to by their own link
    automatic: int = 0  # replies that nobody wrote
    persons: int = 0  # left for people
    ask_to_leave: int = 0  # of these, those that ask to leave in words
    unreadable: int = 0  # of these, those that could not be taken apart
    unmatched: int = 0  # of these, bounces and complaints that carry nothing of ours
    ended: int = 0  # readers who are mailed no more since, those who left aside
    quarantined: int = 0  # set aside: too many at once from one domain

    def __add__(self, other: "InboxRead") -> "InboxRead":
        """Both together."""
        return InboxRead(**{name: getattr(self, name) + getattr(other, name) for name in self.__slots__})


def open_mailbox(app: "App") -> Mailbox:
    """The mailbox that [inbox] names. Raises ConfigError where there is none."""
    table, reader = app.config.inbox, app.config.newsletter.slug
    if table.kind == "maildir":
        from digest.audience.maildir import MaildirMailbox

        return MaildirMailbox(table.path, reader=reader)
    if table.kind == "imap":
        from digest.audience.imap import ImapMailbox

        password = app.config.secrets.imap_password
        if not password:
            remedy = "set DIGEST_IMAP_PASSWORD in the environment"
            raise ConfigError("inbox", "it has a username and no password", remedy=remedy)
        return ImapMailbox(
            host=table.host,
            port=table.port,
            tls=table.tls,
            username=table.username or "",
            password=password.get_secret_value(),
            folder=table.folder,
            reader=reader,
        )
    raise ConfigError("inbox", "none is configured", remedy='set [inbox] kind to "maildir" or "imap"')


def read_inbox(app: "App", mailbox: Mailbox | None = None, *, take: Take = take_events, dry: bool = False) -> InboxRead:
    """Read what nobody has looked at yet; `dry` only counts. Raises ConfigError, MailboxError and StoreError."""
    if mailbox is None:
        with closing(open_mailbox(app)) as opened:
            return read_inbox(app, opened, take=take, dry=dry)
    terms = Terms(
        inbox=app.config.inbox.mailbox or "",
        sender_domain=_domain_of(app.config.newsletter.sender),
        verify=app.links.verify,
    )
    read = InboxRead()
    for batch in islice(mailbox.batches(), _MOST_BATCHES):
        found = [(mail, sort_mail(mail.content, terms, received_at=mail.received_at)) for mail in batch]
        read += _count([one for _, one in found])
        if not dry:
            read += _act(app, mailbox, found, take)
    return read


def check_inbox(app: "App") -> str:
    """Open the mailbox and look; returns what was found. Raises ConfigError and MailboxError."""
    with closing(open_mailbox(app)) as mailbox:
        return mailbox.check()


def say_read(read: InboxRead) -> str | None:
    """What an operator wants to know of a reading; None when nothing came that needs a word."""
    counts = {
        "bounces": read.bounces,
        "complaints": read.complaints,
        "left by mail": read.left,
        "automatic replies": read.automatic,
        "for you to read": read.persons,
    }
    told = [f"{number} {what}" for what, number in counts.items() if number]
    if not told:
        return None
    line = f"inbox: {', '.join(told)}"
    if read.ask_to_leave:
        line += f"; {read.ask_to_leave} of them ask to leave without their own link: `digest subscribers remove EMAIL`"
    if read.quarantined:
        line += f"; {read.quarantined} bounces were set aside, too many came from one domain"
    return line


def _count(found: Sequence[Sorted]) -> InboxRead:
    kinds = Counter(one.kind for one in found)
    return InboxRead(
        bounces=kinds[MailKind.BOUNCE],
        complaints=kinds[MailKind.COMPLAINT],
        left=kinds[MailKind.LEAVE],
        automatic=kinds[MailKind.AUTO],
        persons=kinds[MailKind.PERSON],
        ask_to_leave=sum(one.asks_to_leave for one in found),
        unreadable=sum(one.is_unreadable for one in found),
        unmatched=sum(one.is_unmatched for one in found),
    )


def _act(app: "App", mailbox: Mailbox, found: Sequence[tuple[Incoming, Sorted]], take: Take) -> InboxRead:
    """Write down what a batch says, then put it away."""
    events = [event for _, one in found if (event := _name(app, one))]
    heard = take(app, events) if events else Heard(new=0)
    for _, one in found:
        wants_out = one.kind is MailKind.LEAVE or (one.event and one.event.kind is EventKind.UNSUBSCRIBED)
        if one.reader and wants_out:
            app.store.subscribers.leave(app.config.newsletter.slug, one.reader, now=app.clock())
    for kind, folder in _FOLDERS.items():
        if places := [mail.place for mail, one in found if one.kind is kind]:
            mailbox.move(places, folder)
    mailbox.pass_over([mail.place for mail, one in found if one.kind is MailKind.PERSON])
    return InboxRead(ended=heard.ended, quarantined=heard.quarantined)


def _name(app: "App", one: Sorted) -> Event | None:
    """The event of a mail with whom it is about; None when that is nobody, or is done by leaving."""
    if one.event is None or one.event.send_key:
        return one.event
    reader = app.store.subscribers.by_key(app.config.newsletter.slug, one.reader or "")
    if reader is None or reader.state is SubscriberState.ERASED or one.event.kind is EventKind.UNSUBSCRIBED:
        return None
    return replace(one.event, email=reader.email)


def _domain_of(sender: str) -> str:
    """What our Message-IDs end in."""
    try:
        return parseaddr(sender)[1].rpartition("@")[2].encode("idna").decode("ascii")
    except UnicodeError:
        raise MailboxError(
            "inbox", "the sender's domain has no ASCII form", remedy="check [newsletter] sender"
        ) from None
