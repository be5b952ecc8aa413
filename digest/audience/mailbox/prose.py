"""Bounces that are written in prose, as servers did before RFC 3464, and some still do.

The only module that knows flufl.bounce. It takes a full mailbox (4.2.2) and a refused policy (5.7.1) for permanent and
names no status, so all that is taken from it is that this is a bounce at all: what kind, the codes in the text say.
"""

import logging
import re
from email.message import Message
from typing import Final

from flufl.bounce import all_failures

from digest.audience.mailbox.reading import Mail
from digest.audience.mailbox.reports import Verdict, find_status, join_texts, reason_for, show_words
from digest.models import EventKind

_DAEMON: Final = re.compile(r"mailer-?daemon|postmaster|mail ?delivery|mailadmin|microsoftexchange", re.IGNORECASE)
_REPLY: Final = re.compile(r"(?<![\d.])([245]\d\d)[ -](?=\D)")
_RETURNED: Final = re.compile(
    r"\n---[^\n]{0,60}(?:original|copy|below|returned)|\n(?:Received|Return-Path):", re.IGNORECASE
)
_PASSING: Final = re.compile(r"warning|delayed|could not be delivered for|will (?:be )?retr(?:y|ied)", re.IGNORECASE)
_LONGEST: Final = 60_000
_LONGEST_HEADER: Final = 1000
_SHOWN: Final = 500

logging.getLogger("flufl.bounce").disabled = True  # it logs what it stumbles over, addresses and all


def read_prose(mail: Mail) -> Verdict | None:
    """What a server says in words; None where no server speaks, or not of a mail that failed."""
    if not (_DAEMON.search(mail.header("From")) or mail.message.get("X-Failed-Recipients")):
        return None
    text = join_texts(mail)[:_LONGEST]
    # The mail that came back is often below: what it says is no code of a server.
    words = _RETURNED.split(text, maxsplit=1)[0]
    status = find_status(words)
    reply = _REPLY.search(words)
    said = status[0] if status else reply[1][0] if reply else None
    passing, lasting = _ask_library(mail.message, text)
    if said is None and not passing and not lasting and not mail.message.get("X-Failed-Recipients"):
        return None
    is_passing = (said == "4" and bool(_PASSING.search(mail.header("Subject")))) or (
        said is None and passing and not lasting
    )
    kind = EventKind.DEFERRED if is_passing else EventKind.BOUNCED
    return Verdict(
        kind=kind,
        status=status,
        answer=_find_line(words, status, reply),
        reason=reason_for(kind, status),
        raw=words[: _LONGEST // 8],
    )


def _find_line(words: str, status: str | None, reply: re.Match[str] | None) -> str | None:
    mark = status or (reply[1] if reply else None)
    line = next((line for line in words.splitlines() if mark and mark in line), "")
    return show_words(line)[:_SHOWN] or None


def _ask_library(message: Message, text: str) -> tuple[bool, bool]:
    """Whether flufl.bounce finds that it failed for now, or for good."""
    plain = Message()  # what is attached would cost its detectors seconds
    for name in ("From", "Subject", "X-Failed-Recipients"):
        if name in message:
            plain[name] = " ".join(str(message[name])[:_LONGEST_HEADER].split())
    plain.set_payload(text.encode("ascii", "replace").decode("ascii"))
    try:
        passing, lasting = all_failures(plain)
    except Exception:  # noqa: BLE001 - its detectors run over strangers' bytes, and raise whatever they raise
        return False, False
    return bool(passing), bool(lasting)
