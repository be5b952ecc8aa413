"""What stands in a mail instead of words: a template's tokens, and texts that were meant to be replaced."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from digest.models import UNSUBSCRIBE_TOKEN, Finding, Severity

# Jinja, Handlebars and Liquid; Mailchimp; Salesforce and others; ERB and its like; JavaScript's; Mailgun's and Brevo's;
# and what remains of some of them in an address. A name is asked for where the signs have other uses as well: a price
# is no token, nor is a share, a set or a heading of Markdown.
_TOKEN: Final = re.compile(
    r"\{\{.{0,80}?\}\}|\{%.{0,80}?%\}|\*\|[^|\n]{1,60}\|\*|%%[^%\s][^%\n]{0,60}%%"
    r"|(?:<|&lt;)%.{0,80}?%(?:>|&gt;)"
    r"|\$\{[A-Za-z_][^{}\n]{0,60}\}"
    r"|\[\[\s?[A-Za-z_][\w.|:-]{0,60}\s?\]\]"
    r"|(?<!#)##[A-Za-z_][\w.-]{0,40}##(?!#)"
    # "%C3.a%" is a part of an encoded address.
    r"|%(?![0-9A-Fa-f]{2})[A-Za-z_]\w{0,40}(?:\.\w{1,40})+%"
    r"|%(?:recipient\w{0,30}|(?:\w{1,30}_)?unsubscribe_(?:url|email)|[A-Z_]{0,20}(?:NAME|EMAIL))%"
    # "[NAME]" alone is what editors make of a name that is left out.
    r"|\[(?:[FLM]|FIRST|LAST|FULL|USER|COMPANY|SUBSCRIBER|RECIPIENT|CUSTOMER|CONTACT)[_ -]?(?:NAME|EMAIL)\]"
    r"|\[EMAIL[_ -]ADDRESS\]|\[UNSUBSCRIBE(?:[_ -](?:URL|LINK))?\]"
    r"|(?i:%7B%7B.{0,80}?%7D%7D|%24%7B[^\s\"'<>]{1,80}?%7D|%2A%7C[^\s\"'<>]{1,80}?%7C%2A)"
    r"|" + UNSUBSCRIBE_TOKEN,
    re.DOTALL,
)
# Those that nobody's words can hold: what strangers write is parted within such signs before it is printed. The others
# are warned of, or one headline about a shell's variables would hold the edition.
_CERTAIN: Final = re.compile(r"\{[{%]|\*\||%%|" + UNSUBSCRIBE_TOKEN)
# Single braces and brackets around what templates speak of; articles on code have such too.
_DOUBTFUL: Final = re.compile(
    r"(?<![\\${#%{])\{\s?(?:[a-z]{0,20}[ _.-]?(?:name|email|e-mail|url|link|address|company|unsubscribe)|city|country"
    r"|date|user|customer|subscriber|recipient|headline|title|[a-z]{1,20}(?:[_.][a-z]{1,20}){1,4})\s?\}(?!\})"
    r"|(?-i:\[(?:NAME|EMAIL|URL|LINK)\])(?!\()",
    re.IGNORECASE,
)
# What a template's author meant to replace. Whole phrases only: articles have such words too.
_PLACEHOLDER: Final = re.compile(
    r"lorem ipsum|\b(?:your|insert|add|enter) (?:text|copy|content|title|headline|name|logo|link|image|address) here\b"
    r"|\[(?:insert|your|add) [^\]\n]{1,40}\]|(?-i:\bFIXME\b|\bTODO:|\bX{5,}\b)",
    re.IGNORECASE,
)
_HEADING: Final = re.compile(r"<h[1-6]\b", re.IGNORECASE)
_NOT_SHOWN: Final = re.compile(r"<!--.*?-->|<(style|script)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)


def find_tokens(words: str, part: str) -> Iterator[Finding]:
    """Each token that stands in a part, once; what may be one by chance is a warning, and has to be seen."""
    seen: set[str] = set()
    for found in _TOKEN.finditer(words):
        token = " ".join(found.group().split())
        if token not in seen:
            seen.add(token)
            severity: Severity = "fail" if _CERTAIN.match(token) else "warn"
            message = f"“{token}” was not filled in."
            yield Finding(rule="token-left", severity=severity, message=message, where=place_in(words, found, part))
    shown = show(words) if part == "HTML" else words
    for found in _DOUBTFUL.finditer(shown):
        if found[0] not in seen:
            seen.add(found[0])
            message = f"“{found[0]}” may not have been filled in."
            yield Finding(rule="token-left", severity="warn", message=message, where=place_in(shown, found, part))


def find_placeholders(parts: Mapping[str, str]) -> Iterator[Finding]:
    """Each text that stands for another, in parts by their names: once for each story of the HTML that shows it.

    A story is told in several places (its picture's words, its headline, the text part, the subject), and what is wrong
    with it is said where it is shown first.
    """
    told: set[str] = set()
    for part, words in parts.items():
        found = list(_find_in_stories(words)) if part == "HTML" else []
        told.update(one[0].casefold() for one in found)
        for one in _PLACEHOLDER.finditer(words):
            if one[0].casefold() not in told:
                told.add(one[0].casefold())
                found.append(one)
        for one in found:
            message = f"“{one[0]}” stands where words should be."
            yield Finding(rule="placeholder-text", severity="warn", message=message, where=place_in(words, one, part))


def show(html: str) -> str:
    """What is shown of an HTML, at the same places: the rest is blank."""
    return _NOT_SHOWN.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), html)


def _find_in_stories(html: str) -> Iterator[re.Match[str]]:
    """What is shown, once for each heading and what stands under it."""
    shown = show(html)
    starts = [found.start() for found in _HEADING.finditer(html)]
    for start, end in zip([0, *starts], [*starts, len(html)], strict=True):
        seen: set[str] = set()
        for found in _PLACEHOLDER.finditer(shown, start, end):
            if found[0].casefold() not in seen:
                seen.add(found[0].casefold())
                yield found


def place_in(words: str, found: re.Match[str], part: str) -> str:
    """Where in a part something was found."""
    return f"{part}, line {words.count(chr(10), 0, found.start()) + 1}"
