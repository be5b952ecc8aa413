"""What a mail in the inbox is. Pure: the same bytes give the same answer."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from digest.audience.mailbox.naming import Named, Terms, find_leaving, find_named, is_tagged
from digest.audience.mailbox.prose import read_prose
from digest.audience.mailbox.reading import Mail, Unreadable, read_mail
from digest.audience.mailbox.replies import asks_to_leave, is_auto_reply, is_by_machine
from digest.audience.mailbox.reports import Verdict, find_returned, join_texts, read_feedback, read_status
from digest.models import Event, EventKind

__all__ = ["MailKind", "Sorted", "Terms", "sort_mail"]

_PROVIDER = "mailbox"
_LONGEST_RAW = 2000


class MailKind(StrEnum):
    """What a mail is, and so where it goes."""

    BOUNCE = "bounce"  # a server's word on a delivery, good or bad
    COMPLAINT = "complaint"
    LEAVE = "leave"  # by the reader's own mailto link
    AUTO = "auto"
    PERSON = "person"  # everything else: it stays where it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """A mail, sorted."""

    kind: MailKind
    event: Event | None = None  # without an address: it is about `reader`, or the delivery that its send_key names
    reader: str | None = None  # the key of the subscriber whom it is about
    asks_to_leave: bool = False  # in words that prove nothing
    is_unmatched: bool = False  # a bounce or complaint that carries nothing of ours
    is_unreadable: bool = False


def sort_mail(raw: bytes, terms: Terms, *, received_at: datetime) -> Sorted:
    """What a mail is. `received_at` is the mailbox's own word: what a mail says of its date is anybody's."""
    try:
        mail = read_mail(raw)
    except Unreadable:
        return Sorted(kind=MailKind.PERSON, is_unreadable=True)
    returned = find_returned(mail)
    named = find_named(terms, mail.head, returned)
    is_complaint, complaint = read_feedback(mail)
    if is_complaint:
        return _report(mail, raw, MailKind.COMPLAINT, complaint, named, received_at)
    if status := read_status(mail):
        return _report(mail, raw, MailKind.BOUNCE, status, named, received_at)
    if leaving := find_leaving(terms, mail.header("Subject")):
        return Sorted(kind=MailKind.LEAVE, reader=leaving)
    if prose := read_prose(mail):
        named = named or find_named(terms, "", join_texts(mail))
        return _report(mail, raw, MailKind.BOUNCE, prose, named, received_at)
    # A person's own mailbox may be the inbox as well: lists and notices that came for the person are no answers to us.
    if is_auto_reply(mail) or (named and is_by_machine(mail)):
        words = "\n".join(
            f"{name}: {value}" for name in ("Subject", "Auto-Submitted", "Precedence") if (value := mail.header(name))
        )
        verdict = Verdict(kind=EventKind.AUTORESPONDED, raw=words[:_LONGEST_RAW])
        return replace(
            _report(mail, raw, MailKind.AUTO, verdict, named, received_at), kind=MailKind.AUTO, is_unmatched=False
        )
    asks = is_tagged(terms, mail.head, "unsubscribe") or asks_to_leave(
        mail.header("Subject"), join_texts(mail, ["text/plain"])
    )
    return Sorted(kind=MailKind.PERSON, asks_to_leave=asks)


def _report(
    mail: Mail, raw: bytes, kind: MailKind, verdict: Verdict | None, named: Named | None, received_at: datetime
) -> Sorted:
    """A report, with its event; a person's to look at when it names nobody."""
    if named is None:
        return Sorted(kind=MailKind.PERSON, is_unmatched=True)
    if verdict is None:
        return Sorted(kind=kind)
    event = Event(
        provider=_PROVIDER,
        event_id=_identify(mail, raw, verdict.kind, named),
        kind=verdict.kind,
        occurred_at=received_at,
        send_key=named.send_key,
        reject_reason=verdict.reason,
        status=verdict.status,
        answer=verdict.answer,
        raw=verdict.raw,
    )
    return Sorted(kind=kind, event=event, reader=named.reader)


def _identify(mail: Mail, raw: bytes, kind: EventKind, named: Named) -> str:
    """The same for the same mail, also when it is read twice or came twice."""
    message_id = mail.header("Message-ID").encode() or raw
    about = f"\n{kind.value}\n{named.send_key or named.reader}".encode()
    return hashlib.sha256(message_id + about).hexdigest()
