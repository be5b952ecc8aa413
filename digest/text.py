"""What a text is made of: lines that are prose, sentences, words, direction.

Shared by `extract`, `cluster`, the summarizers and `preflight`, so that all of them mean the same by a sentence. Every
function speaks of spans into the text as it was given, so that what is quoted from it can be traced to it; nothing here
changes a text, and `visible_text` alone makes one. Sentences are split by sentencex, which knows the abbreviations of
some 240 languages.
"""

import html
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from sentencex import get_sentence_boundaries

from digest.models import Direction

# ISO 639-1 codes of languages written from right to left.
_RTL = frozenset({"ar", "arc", "ckb", "dv", "fa", "he", "iw", "ks", "ku", "ps", "sd", "syr", "ug", "ur", "yi"})

_LONGEST_HEADLINE = 30  # words
_LONGEST_END = 60  # characters: a sentence's last marks, and the white space behind them
_LONGEST_CALL = 1000
# Characters that are split into sentences at a time: for some texts sentencex takes time in the square of the length.
_AT_A_TIME = 20_000

_ANY_WORD = re.compile(r"\w+")
# Letters and digits, and the signs that belong to letters: vowels of Indic scripts and of Thai, points, accents.
_LETTER = (
    r"(?:[^\W_]|[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff\u0e31-\u0e4e])"
)
_WORD = re.compile(rf"{_LETTER}+(?:['’\-.]{_LETTER}+)*")
_SENTENCE_END = re.compile(r"[.!?…。！？؟۔।]+[\"'”’»›)\]」』]*\s*$")
_INITIAL = re.compile(r"\W*[^\W\d_]{1,2}\.")
_EMAIL_LINE = re.compile(r"^\W*(?:e-?mail|mail|contact|tel|phone|fax)\b\s*[:：]|\S+@\S+\.\S+\s*$", re.IGNORECASE)
_SOURCE_LINE = re.compile(r"^[^.!?]{1,80}\s[|｜]\s[^.!?]{1,80}$")
_PROMOTION = re.compile(
    r"""^(?: read\ (?:more|also|next) | also\ read | related\ (?:posts?|articles?|stories|topics|news|content)
    | see\ also | more\ (?:on|from|in)\  | click\ here | continue\ reading | subscribe\b | sign\ up\b | follow\ us\b
    | share\ this\b | advertisement\b | watch: | listen: | photos?: | image: | credit: | © | \(c\) | copyright\b
    | the\ post\ .{1,250}\ (?:appeared\ first|first\ appeared)\ on\b
    | all\ rights\ reserved | tags?: | filed\ under | this\ article\ (?:was\ )?(?:first|originally)\  )""",
    re.IGNORECASE | re.VERBOSE,
)
_TAIL = re.compile(
    r"^(?:related (?:posts?|articles?|stories|news|content)|you may also like|recommended for you|more stories)\W*$",
    re.IGNORECASE,
)
# How lines begin, in the languages that most news is written in, that point elsewhere, call for something, give credit,
# or give an address. Sentences may begin alike, so these count in short lines only.
_POINTERS = re.compile(
    r"^(?:[▶►»→*•|\[(–-]+\s*)?(?:read (?:more|also|next|on)|also read|read the full|see also|also on \S+\.\w{2,}|"
    r"more (?:on|from|about)\b|related(?: (?:stories|story|articles?|content|links?|coverage|news))?\s*[:|]|"
    r"you (?:may|might) (?:also )?(?:like|enjoy)|recommended\b|don't miss\s*:|watch(?: (?:also|more|below|"
    r"live|now))?\s*:|"
    r"lesen sie|lies auch|auch interessant|mehr (?:zum thema|dazu|lesen|infos?)|weiterlesen|siehe auch|"
    r"lire (?:aussi|plus|également|la suite)|à lire|voir aussi|lea (?:también|más)|leer (?:más|también)|ver también|"
    r"leggi anche|leia (?:também|mais)|veja (?:também|mais)|saiba mais|confira também|czytaj (?:też|także|więcej)|"
    r"zobacz (?:też|także)|lees ook|läs (?:också|mer)|les også|اقرأ|شاهد أيض|читайте также|смотрите также)(?!\w)",
    re.IGNORECASE,
)
_CALLS = re.compile(
    r"^(?:like this (?:story|article)|(?:did you )?(?:like|enjoy)\b.{0,40}\?|(?:please )?(?:sign up|subscribe|"
    r"register)\b|"
    r"(?:get|receive|join)\b.{0,60}\b(?:newsletter|inbox|e-?mails?)\b|follow (?:us|@|"
    r"\w+(?: \w+){0,3} on (?:twitter|facebook|"
    r"instagram|x|google)\b)|follow @?\w+ on|(?:find|like|join|visit) us on|share (?:this|on|with|via)\b|"
    r"click here|tell us what|"
    r"(?:have|got) (?:a|any) (?:tip|story|news)|download (?:the|our) app|if you buy (?:something|a product)\b|"
    r"(?:we|this (?:post|article|site)) (?:may|might) (?:earn|receive|contain)|gefällt (?:dir|ihnen)|folgen sie|"
    r"(?:jetzt |hier )?(?:abonnieren|anmelden)|suivez|abonnez|inscrivez|partage[rz]|s[ií]guen?os|suscr[ií]b|comparte|"
    r"assine|inscreva|compartilhe|seguici|iscriviti|condividi|تابعنا|اشترك|подпиш|nous utilisons des cookies|"
    r"we use cookies|this (?:site|website) uses cookies|wir verwenden cookies|diese (?:seite|"
    r"website) verwendet cookies|"
    r"utilizamos cookies|anzeige,|werbung\b|advertisement\b|publicidad\b|publicité\b|"
    r"sie sind (?:aktuell )?nicht eingeloggt)",
    re.IGNORECASE,
)
_CREDITS = re.compile(
    r"^\(?(?:(?:photos?|images?|pictures?|photo(?:graph)?|foto|bild|video)?\s*(?:credits?|by|source|courtesy|"
    r"von|par|por)|"
    r"photos?|images?|pictures?|fotos?|bild(?:er)?|sources?|quelle|fuente|fonte|crédits?)\s*[:/©].{0,80}\)?$",
    re.IGNORECASE,
)
_CONTACT = re.compile(
    r"^(?:e-?mail\s*:?\s*)?(?:\S+@\S+\.\w+|(?:https?://)?(?:www\.)?(?:twitter|facebook|x|instagram)\.com/\S+)$",
    re.IGNORECASE,
)

# Sanitised HTML: `<` and `>` stand for themselves only in quoted attributes.
_MARKUP_TAG = re.compile(r"""<(?:[^<>"]|"[^"]*")*>""")
_MARKUP_BLOCK = re.compile(
    r"""</?(?:address|article|aside|blockquote|br|center|dd|details|div|dl|dt|figure|footer|h[1-6]|header|hr|li|main|nav|ol
    |p|pre|section|summary|table|tbody|td|tfoot|th|thead|tr|ul|img|video|audio)(?:\s(?:[^<>"]|"[^"]*")*)?/?>""",
    re.IGNORECASE | re.VERBOSE,
)
_MARKUP_CAPTION = re.compile(r"<figcaption\b.*?</figcaption>", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a text: code points from `start` to `end`, end exclusive."""

    start: int
    end: int

    def of(self, text: str) -> str:
        """The words themselves."""
        return text[self.start : self.end]


def words(text: str) -> list[str]:
    """The words of a text, as written. In scripts without spaces, a run of letters counts as one."""
    return _WORD.findall(text)


def word_spans(text: str) -> list[Span]:
    """Where the words stand."""
    return [Span(*found.span()) for found in _WORD.finditer(text)]


def count_words(text: str) -> int:
    """How long a reader takes it to be: words, or for scripts without spaces two characters a word."""
    if text.isascii():
        return len(text.split())
    count = 0
    for word in text.split():
        dense = sum(1 for character in word if is_dense(character))
        count += max(1, dense // 2) if dense else 1
    return count


def direction_of(language: str | None) -> Direction:
    """The direction in which a language is written."""
    return "rtl" if (language or "").split("-")[0].lower() in _RTL else "ltr"


def widen_tag(language: str) -> Iterator[str]:
    """A BCP 47 tag and what it is a part of, in small letters: pt-BR → pt-br, pt. Other signs are left out."""
    parts = ["".join(filter(str.isalnum, part)) for part in language.lower().replace("_", "-").split("-")]
    for length in range(len(parts), 0, -1):
        yield "-".join(parts[:length])


def direction_of_text(text: str) -> Direction:
    """The direction of most of the letters of a text."""
    balance = 0
    for character in text[:2000]:
        kind = unicodedata.bidirectional(character)
        balance += (kind == "L") - (kind in {"R", "AL"})
    return "rtl" if balance < 0 else "ltr"


def lines(text: str) -> Iterator[Span]:
    """The lines that hold anything, without the white space around them."""
    start = 0
    for line in text.splitlines(keepends=True):
        stripped = line.strip()
        if stripped:
            left = start + line.index(stripped)
            yield Span(left, left + len(stripped))
        start += len(line)


def prose(text: str) -> list[Span]:
    """The lines that are running text: no headline, source or e-mail line, sub-heading, promotion or link list.

    A text that is nothing but such lines has no prose. A trailing "Related Posts" ends the article.
    """
    kept: list[Span] = []
    for span in lines(text):
        line = span.of(text)
        if _TAIL.match(line):
            if kept:
                break
            continue
        if not is_furniture(line):
            kept.append(span)
    return kept


def is_furniture(line: str) -> bool:
    """Whether a line stands around an article and does not belong to its sentences."""
    if _SOURCE_LINE.match(line) or _PROMOTION.match(line) or is_call(line):
        return True
    if _is_email_line(line) and count_words(line) <= 12:
        return True
    return not _SENTENCE_END.search(line[-_LONGEST_END:]) and count_words(line) <= 25


def _is_email_line(line: str) -> bool:
    """Whether it ends in an address, or begins like one. The search of a long line would take for ever."""
    return len(line) <= _LONGEST_CALL and _EMAIL_LINE.search(line) is not None


def is_call(line: str) -> bool:
    """Whether a line points elsewhere, calls for something, or gives a credit or an address, on a page as in a text."""
    if len(line) > _LONGEST_CALL:
        return False
    plain = line.replace("’", "'")
    length = len(_ANY_WORD.findall(plain))
    return (
        (length <= 25 and _POINTERS.match(plain) is not None)
        or (length <= 40 and _CALLS.match(plain) is not None)
        or (length <= 12 and (_CREDITS.match(plain) is not None or _CONTACT.match(plain) is not None))
    )


def visible_text(markup: str | None) -> str:
    """What a reader sees of sanitised HTML, captions left out: one block a line, and no empty lines."""
    if not markup:
        return ""
    text = _MARKUP_CAPTION.sub("\n", " ".join(markup.split()))
    text = html.unescape(_MARKUP_TAG.sub("", _MARKUP_BLOCK.sub("\n", text)))
    return "\n".join(line for part in text.split("\n") if (line := " ".join(part.split())))


def is_headline(line: str) -> bool:
    """Whether the first line of a text reads like its headline: short, and no sentence, source or e-mail line."""
    if _SOURCE_LINE.match(line) or _is_email_line(line) or _PROMOTION.match(line):
        return False
    ends = _SENTENCE_END.search(line[-_LONGEST_END:])
    is_statement = ends is not None and not set(ends.group()) & set("?!؟？！")
    return not is_statement and count_words(line) <= _LONGEST_HEADLINE and any(map(str.isalpha, line))


def sentences(text: str, span: Span | None = None, language: str | None = None) -> list[Span]:
    """The sentences of a text, or of one span of it, without the white space around them."""
    base = span.start if span else 0
    part = span.of(text) if span else text
    found: list[Span] = []
    for start, end in _boundaries((language or "en").split("-")[0].lower(), part):
        sentence = part[start:end]
        stripped = sentence.strip()
        if stripped:
            left = base + start + sentence.index(stripped)
            right = left + len(stripped)
            if found and _INITIAL.fullmatch(found[-1].of(text)):  # "M. Roux", where nobody lists the abbreviation
                left = found.pop().start
            found.append(Span(left, right))
    return found


def _boundaries(language: str, part: str) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(part):
        end = part.rfind(" ", start + _AT_A_TIME // 2, start + _AT_A_TIME) if len(part) - start > _AT_A_TIME else -1
        piece = part[start : end if end > 0 else start + _AT_A_TIME]
        for found in get_sentence_boundaries(language, piece):
            yield start + found["start_index"], start + found["end_index"]
        start += len(piece)


def is_dense(character: str) -> bool:
    """Whether the script of a letter is written without spaces between words."""
    return "\u3040" <= character <= "\u30ff" or "\u3400" <= character <= "\u9fff" or "\u0e00" <= character <= "\u0eff"
