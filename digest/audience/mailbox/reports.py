"""What machines say in a form of their own: delivery status (RFC 3464, RFC 6533) and complaints (RFC 5965)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from digest.audience.mailbox.reading import Mail, read_blocks
from digest.models import EventKind, RejectReason

STATUS: Final = ("message/delivery-status", "message/global-delivery-status")
FEEDBACK: Final = "message/feedback-report"
RECEIPT: Final = ("message/disposition-notification", "message/global-disposition-notification")
# Where the mail that it is about, or its headers, comes back.
RETURNED: Final = (
    "message/rfc822",
    "message/global",
    "text/rfc822-headers",
    "text/rfc822-header",
    "message/rfc822-headers",
    "message/global-headers",
)
_ACTIONS: Final = {
    "failed": EventKind.BOUNCED,
    "failure": EventKind.BOUNCED,
    "delayed": EventKind.DEFERRED,
    "delivered": EventKind.DELIVERED,
    "relayed": EventKind.DELIVERED,
    "expanded": EventKind.DELIVERED,
}
_CLASSES: Final = {"2": EventKind.DELIVERED, "4": EventKind.DEFERRED, "5": EventKind.BOUNCED}
_BEST: Final = (EventKind.DELIVERED, EventKind.DEFERRED, EventKind.BOUNCED)
_FEEDBACK: Final = {
    "abuse": EventKind.COMPLAINED,
    "fraud": EventKind.COMPLAINED,
    "opt-out": EventKind.UNSUBSCRIBED,
    "opt-out-list": EventKind.UNSUBSCRIBED,
    "not-spam": None,
}
_CODE: Final = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")  # RFC 3463, and no network address
_NO_MAILBOX: Final = {"5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"}
_LONGEST_ANSWER: Final = 500
_LONGEST_RAW: Final = 8000
_JUNK: Final = re.compile(r"^x-hmxmroriginalrecipient:", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a mail, by a machine's word."""

    kind: EventKind
    status: str | None = None
    answer: str | None = None
    reason: RejectReason | None = None
    raw: str = ""


def read_status(mail: Mail) -> Verdict | None:
    """What a delivery status says; None where it is none.

    A message of ours has one recipient. Several in a report are what an alias became: what the luckiest of them got
    counts, for the address itself is there. Of failures the one that is least for ever comes first.
    """
    text = mail.part(*STATUS)
    if text is None:
        return None
    verdicts = [verdict for block in read_blocks(text) if (verdict := _judge(block, text))]
    return min(verdicts, key=lambda one: (_BEST.index(one.kind), (one.status or "4") >= "5"), default=None)


def read_feedback(mail: Mail) -> tuple[bool, Verdict | None]:
    """Whether a mail is a complaint's form, and what it complains of; None: nothing that anybody is to suffer for."""
    text = mail.part(FEEDBACK)
    if text is not None:
        fields = {name: value for block in reversed(read_blocks(text)) for name, value in block.items()}
        kind = _FEEDBACK.get(fields.get("feedback-type", "").strip().lower())
        return True, Verdict(kind=kind, raw=text[:_LONGEST_RAW]) if kind else None
    # Microsoft's junk mail reports are no RFC 5965: the mail itself is attached, and has one header more.
    attached = mail.part("message/rfc822") or ""
    if _JUNK.search(attached.partition("\n\n")[0]):
        return True, Verdict(kind=EventKind.COMPLAINED, raw=attached.partition("\n\n")[0][:_LONGEST_RAW])
    return False, None


def find_returned(mail: Mail) -> str:
    """The mail that came back, or what is left of it, and what a report says of it."""
    return "\n".join(part.text for part in mail.parts if part.kind in RETURNED or part.kind == FEEDBACK)


def find_status(text: str, *, like: str = "") -> str | None:
    """The first enhanced status code in a text, of the class of another if one is given."""
    for found in _CODE.finditer(text):
        if not like or found[1] == like[0]:
            return f"{found[1]}.{int(found[2])}.{int(found[3])}"
    return None


def reason_for(kind: EventKind, status: str | None) -> RejectReason | None:
    """django-anymail's word for why it was not delivered."""
    if kind is not EventKind.BOUNCED:
        return None
    if status in _NO_MAILBOX:
        return RejectReason.INVALID
    if status and status.startswith("5.7."):
        return RejectReason.BLOCKED
    return RejectReason.TIMED_OUT if status in {"4.4.7", "5.4.7"} else RejectReason.BOUNCED


def show_words(text: str) -> str:
    """On one line, without what could move the cursor of a terminal on which it is shown."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _judge(block: Mapping[str, str], text: str) -> Verdict | None:
    """What is said of one recipient; None for the fields about the whole mail."""
    if not {"action", "status", "final-recipient", "original-recipient"} & block.keys():
        return None
    answer = re.sub(r"^\s*(?:smtp|x-[\w-]+)\s*;\s*", "", block.get("diagnostic-code", ""), flags=re.IGNORECASE)
    status = find_status(block.get("status", ""))
    if status is None or status.endswith(".0.0"):  # Exim says no more; the server's own words often do
        status = find_status(answer, like=status or "") or status
    action = block.get("action", "").split(" ")[0].split(";")[0].lower()
    kind = _ACTIONS.get(action) or _CLASSES.get((status or " ")[0])
    if kind is None:
        return None
    shown = show_words(answer or block.get("status", ""))[:_LONGEST_ANSWER] or None
    return Verdict(kind=kind, status=status, answer=shown, reason=reason_for(kind, status), raw=text[:_LONGEST_RAW])


def join_texts(mail: Mail, kinds: Sequence[str] = ("text/plain", "text/html")) -> str:
    """The words of a mail."""
    return "\n".join(part.text for part in mail.parts if part.kind in kinds)
