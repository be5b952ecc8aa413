"""Which delivery, or which reader, a mail is about: by what we made ourselves, and by nothing else."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from digest.errors import BadToken

_KEY: Final = "([0-9a-f]{32})"
_SIGNED: Final = r"([0-9a-f]{32}\.[A-Za-z0-9_-]{43})(?![A-Za-z0-9_.-])"
_LINK: Final = re.compile(rf"unsubscribe(?:/|%20|\s|\+)+{_SIGNED}", re.IGNORECASE)
_ASKING: Final = re.compile(rf"unsubscribe(?:%20|[\s+:=_-])*{_SIGNED}", re.IGNORECASE)
_MOST: Final = 50  # tokens of a text that are tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How we name ourselves: what a newsletter's mails carry, and may come back with."""

    inbox: str  # local@domain, its domain in ASCII
    sender_domain: str  # what Message-IDs end in
    verify: Callable[[str], str]  # a token of a way out → the subscriber's key; raises BadToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Who it is about."""

    send_key: str | None = None
    reader: str | None = None  # the key of a subscriber


def find_named(terms: Terms, head: str, returned: str = "") -> Named | None:
    """By the envelope address (VERP), else by the Message-ID of what came back, else by the reader's own link in it."""
    for text in (head, returned):
        if found := re.search(_tagged(terms, _KEY), text, re.IGNORECASE):
            return Named(send_key=found[1].lower())
        if found := re.search(rf"<{_KEY}@{re.escape(terms.sender_domain)}>", text, re.IGNORECASE):
            return Named(send_key=found[1].lower())
    reader = _find_reader(terms, _LINK, returned.replace("=\n", ""))
    return Named(reader=reader) if reader else None


def find_leaving(terms: Terms, subject: str) -> str | None:
    """The reader whose own mailto link wrote this subject."""
    return _find_reader(terms, _ASKING, subject)


def is_tagged(terms: Terms, head: str, tag: str) -> bool:
    """Whether a mail went to the inbox under this name."""
    return bool(re.search(_tagged(terms, re.escape(tag)), head, re.IGNORECASE))


def _tagged(terms: Terms, tag: str) -> str:
    local, _, domain = terms.inbox.rpartition("@")
    return rf"(?<![\w.-]){re.escape(local)}\+{tag}@{re.escape(domain)}"


def _find_reader(terms: Terms, pattern: re.Pattern[str], text: str) -> str | None:
    for number, found in enumerate(pattern.finditer(text)):
        if number == _MOST:
            break
        try:
            return terms.verify(found[1])
        except BadToken:
            continue
    return None
