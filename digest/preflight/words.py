"""The rules on the text part, and on words in any part."""

import re
from collections.abc import Iterator, Sequence

from digest.models import UNSUBSCRIBE_TOKEN, Finding

# Jinja, Handlebars and Liquid; Mailchimp; Salesforce and others; ours.
_TOKEN = re.compile(
    r"\{\{.{0,80}?\}\}|\{%.{0,80}?%\}|\*\|[^|\n]{1,60}\|\*|%%[^%\s][^%\n]{0,60}%%|" + UNSUBSCRIBE_TOKEN,
    re.DOTALL,
)
# What a template's author meant to replace. Whole phrases only: articles have such words too.
_PLACEHOLDER = re.compile(
    r"lorem ipsum|\b(?:your|insert|add|enter) (?:text|copy|content|title|headline|name|logo|link|image|address) here\b"
    r"|\[(?:insert|your|add) [^\]\n]{1,40}\]|(?-i:\bFIXME\b|\bTODO:|\bX{5,}\b)",
    re.IGNORECASE,
)
_UNSUBSCRIBE = re.compile(
    r"unsubscri|opt[-_ ]?out|désabonn|désinscri|cancelar la suscripción|darse de baja|abbestell|abmelden"
    r"|إلغاء الاشتراك",
    re.IGNORECASE,
)
_UNSEEN = re.compile(
    r"<!--.*?-->|<(style|script|title)\b.*?</\1\s*>|<div[^>]*display:\s*none.*?</div>|<[^>]*>",
    re.DOTALL | re.IGNORECASE,
)


def find_tokens(words: str, part: str) -> Iterator[Finding]:
    """Each placeholder that stands in a part, once."""
    seen: set[str] = set()
    for found in _TOKEN.finditer(words):
        token = " ".join(found.group().split())
        if token not in seen:
            seen.add(token)
            where = f"{part}, line {words.count(chr(10), 0, found.start()) + 1}"
            message = f"“{token}” was not filled in."
            yield Finding(rule="token-left", severity="fail", message=message, where=where)


def find_placeholders(words: str, part: str) -> Iterator[Finding]:
    """Each text that stands for another, once."""
    seen: set[str] = set()
    for found in _PLACEHOLDER.finditer(words):
        if found[0].casefold() not in seen:
            seen.add(found[0].casefold())
            where = f"{part}, line {words.count(chr(10), 0, found.start()) + 1}"
            message = f"“{found[0]}” stands where words should be."
            yield Finding(rule="placeholder-text", severity="warn", message=message, where=where)


def inspect_text(text: str, html: str, ways_out: Sequence[str]) -> Iterator[Finding]:
    """The findings on a text part beside its HTML. `ways_out`: the links by which its reader leaves."""
    if not text.strip():
        yield Finding(rule="text-part", severity="fail", message="The mail has no text part.", where="text")
        return
    if count_letters(text) < count_letters(_UNSEEN.sub(" ", html)) // 2:
        message = "The text part says much less than the HTML."
        yield Finding(rule="text-part", severity="warn", message=message, where="text")
    if not says_unsubscribe(text) and not any(link in text for link in ways_out):
        message = "The text part has no link to unsubscribe."
        yield Finding(rule="unsubscribe-link", severity="fail", message=message, where="text")


def says_unsubscribe(words: str) -> bool:
    """Whether words or a link speak of leaving, in one of the languages that Digest has phrases for."""
    return bool(_UNSUBSCRIBE.search(words))


def count_letters(words: str) -> int:
    """The letters and digits of a text."""
    return sum(character.isalnum() for character in words)
