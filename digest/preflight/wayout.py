"""The way out: which words and addresses lead to it, and which only speak of it.

Two questions with two answers. What *speaks* of leaving is never tried, as that may have its effect; what *calls* to
leave is a way out. An article named “How to unsubscribe from spam” does the one and not the other.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import unquote

TO_PREFERENCES: Final = "/preferences"  # behind a way out: where its reader chooses
_UNSUBSCRIBE: Final = re.compile(
    r"unsubscri|opt[-_ ]?out|désabonn|désinscri|cancelar la suscripción|darse de baja|abbestell|abmelden"
    r"|إلغاء الاشتراك",
    re.IGNORECASE,
)
# How articles on leaving begin, and what else they speak of.
_REPORT: Final = re.compile(
    r"^\W*(?:how|why|what|when|where|who|which|should|\d+\s|two|three|four|five|six|seven|eight|nine|ten"
    r"|wie|warum|wieso|weshalb|comment|pourquoi|cómo|como|por qué|كيف|لماذا)\b|\bspam",
    re.IGNORECASE,
)
_LONGEST_CALL: Final = 8  # words of a link, or before it, that may still be a call and no headline
_LONGEST_SLUG: Final = 3  # words of a part of an address
_ADDRESS: Final = re.compile(r"(https?://\S+|mailto:\S+|[^\s@<>]{1,64}@[^\s@<>]{1,250}\.\w+)")
_SENTENCE_END: Final = re.compile(r"[.!?]\s+|\n[ \t]*\n")


def says_unsubscribe(words: str) -> bool:
    """Whether words or a link speak of leaving, in one of the languages that Digest has phrases for."""
    return bool(_UNSUBSCRIBE.search(words))


def calls_to_leave(words: str) -> bool:
    """Whether a link's words ask its reader to leave, rather than to read about it."""
    return says_unsubscribe(words) and len(words.split()) <= _LONGEST_CALL and not _REPORT.search(words)


def leads_out(url: str) -> bool:
    """Whether a part of an address names leaving; the address of an article has its whole title there."""
    parts = re.split(r"[/?&=;#]+", unquote(url))
    return any(
        says_unsubscribe(part) and len(re.split(r"[-_+ ]", part)) <= _LONGEST_SLUG and not _REPORT.search(part)
        for part in parts
    )


def shows_way_out(text: str, ways_out: Sequence[str]) -> bool:
    """Whether a text has a link by which its reader leaves: one of `ways_out`, or one with such words beside it."""
    if any(link in text.replace(f"{link}{TO_PREFERENCES}", "") for link in ways_out):
        return True
    pieces = _ADDRESS.split(text)
    # Words and addresses take turns.
    return any(
        leads_out(address) or _calls_before(before) or calls_to_leave(" ".join(after.partition("\n")[0].split()[:4]))
        for before, address, after in zip(pieces[::2], pieces[1::2], pieces[2::2], strict=False)
    )


def is_related(host: str, homes: Iterable[str]) -> bool:
    """Whether a host belongs to a site that one of the others belongs to as well."""
    return _site_of(host) in {_site_of(home) for home in homes}


def _calls_before(words: str) -> bool:
    """Whether the sentence or line that leads to a link calls to leave by it."""
    sentence = _SENTENCE_END.split(words.rstrip())[-1]
    return not _REPORT.search(sentence) and calls_to_leave(" ".join(sentence.split()[-_LONGEST_CALL:]))


def _site_of(host: str) -> str:
    """What is registered of a host, near enough: two of its names, or three where a country has a "co" or "org"."""
    labels = host.lower().rstrip(".").split(".")
    is_nested = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3
    return ".".join(labels[-3 if is_nested else -2 :])
