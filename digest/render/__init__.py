"""An edition → its rendition: HTML that mail clients understand, and text that reads well on its own.

    Edition ── Jinja (sandboxed) ──> HTML ── premailer, once ──> Rendition.html
            └─ Jinja (sandboxed) ──> text ────────────────────> Rendition.text

Once for each variant, never for each reader: the reader's own link is `UNSUBSCRIBE_TOKEN` until the
message is built. The same input gives the same bytes. The public pages come from the same folders
(`render_page`) and speak the same phrases. It does not choose or order stories, and it fetches nothing.
"""

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, timedelta, tzinfo
from email.utils import parseaddr
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote, urlsplit

from digest.errors import RenderError
from digest.models import UNSUBSCRIBE_TOKEN, Cadence, Direction, Edition, Item, News, Rendition
from digest.render.inlining import inline_css
from digest.render.sandbox import Sandbox, on_one_line
from digest.render.theming import Brand, Logo, Theme, load_theme
from digest.render.wording import Wording, find_languages, format_day, load_phrases
from digest.text import count_words, direction_of, direction_of_text

__all__ = ["Brand", "Logo", "Renderer", "read_address", "render_subject", "web_view_url"]

_SUBJECT_LENGTH = 120  # characters; phones show some 40, desktops some 70
_READING_SPEED = 220  # words a minute
_TEXT_WIDTH = 72
_MOST_NUMBERS = 4

_WEB_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_LONGEST_ADDRESS = 2000  # characters; what is longer is no address that browsers take, and Gmail shows 102 kB in all
# Pictures that some clients do not show, by how their addresses end.
_UNSHOWN = re.compile(r"\.(?:svgz?|avif|heic|heif|jxl|tiff?|bmp|ico|pdf)(?:$|[?#])", re.IGNORECASE)
_HOST = re.compile(r"(?:[\w-]+\.)*[\w-]+\.?")
# What has no place in a URL unescaped (RFC 3986 §2), and what mail services take for a merge field.
_UNSAFE_IN_URL = re.compile(r"[\x00-\x20\"'<>\\^`{|}]|%(?![0-9A-Fa-f]{2})")


class Renderer:
    """Fills in the templates of one newsletter."""

    def __init__(
        self,
        *,
        folders: Sequence[Path],
        base_url: str,
        postal_address: str,
        reply_to: str | None = None,
        timezone: tzinfo = UTC,
        brand: Brand | None = None,
    ) -> None:
        """`folders` are template roots, searched in order: the operator's own, then the shipped ones.

        `timezone` is the one in which times of day are printed; in UTC they are marked as such.
        """
        self._folders = tuple(folders)
        self._base_url = base_url.rstrip("/")
        self._postal_address = postal_address
        self._reply_to = parseaddr(reply_to)[1] if reply_to else ""
        self._timezone = timezone
        self._sandbox = Sandbox(self._folders, _FILTERS)
        self._brand = brand or Brand()

    @cached_property
    def theme(self) -> Theme:
        """The theme of this newsletter. Raises RenderError."""
        return load_theme(self._folders, self._brand)

    def phrases(self, language: str) -> Mapping[str, str]:
        """The phrases of a language by key; English where it has none. Raises RenderError."""
        return load_phrases(self._folders, language)

    def languages(self) -> frozenset[str]:
        """Those that there are phrases of, as tags in small letters."""
        return find_languages(self._folders)

    def render(self, edition: Edition, variant: str) -> Rendition:
        """The rendition of an edition, already narrowed to `variant` (its key). Raises RenderError.

        Both bodies hold `UNSUBSCRIBE_TOKEN` at least once.
        """
        # No feed can know this word, so none can smuggle a reader's own link into a headline.
        way_out = f"DIGEST{sha256(repr(edition).encode(errors='replace')).hexdigest()[:24]}"
        context = self._context(edition, variant) | {"unsubscribe_url": way_out}
        filled = self._sandbox.render("email/edition.html", context)
        if not filled.strip():
            raise RenderError("email/edition.html", "it and its theme print nothing", remedy="correct the templates")
        html = inline_css(filled, subject="email/edition.html")
        text = _tidy(self._sandbox.render("email/edition.txt", context))
        bodies = []
        for name, body in (("email/edition.html", html), ("email/edition.txt", text)):
            if way_out not in body:
                remedy = "print {{ unsubscribe_url }} in it"
                raise RenderError(name, "the template has no way out", remedy=remedy)
            bodies.append(body.replace(UNSUBSCRIBE_TOKEN, "").replace(way_out, UNSUBSCRIBE_TOKEN))
        return Rendition(variant=variant, subject=edition.subject, html=bodies[0], text=bodies[1])

    def check(self) -> str:
        """Whether every template is sound; says how many there are, and the theme. Raises RenderError."""
        for language in self.languages():
            self.phrases(language)
        return f"{self._sandbox.compile_all()} templates, theme {self.theme.name}"

    def read_file(self, name: str) -> str:
        """A file beside the templates, as it is. Raises RenderError."""
        for folder in self._folders:
            path = folder / name
            if path.is_file():
                return path.read_text(encoding="utf-8")
        raise RenderError(name, "the file is missing")

    def render_page(self, name: str, *, language: str, **context: object) -> str:
        """A page, such as "web/message.html"; the top of its file says what it needs. Raises RenderError."""
        wording = Wording(self._folders, language)
        given = {
            "language": language,
            "direction": direction_of(language),
            "say": wording.say,
            "count": wording.count,
            "made": lambda item, approved_by: _describe_maker(item, approved_by, wording),
            "theme": self.theme,
        }
        return self._sandbox.render(name, given | context)

    def render_notice(
        self, kind: str, *, language: str, name: str, url: str, topics: Sequence[str], lasts: timedelta
    ) -> Rendition:
        """The mail to one person who asked on a page: to confirm, `known` or `preferences`. Raises RenderError.

        `url` is its one link, `lasts` how long that works, `topics` the titles of those that were chosen.
        """
        wording = Wording(self._folders, language)
        subject = _shorten(wording.say(f"notice_{kind}_subject", name=name), _SUBJECT_LENGTH)
        context = {
            "kind": kind,
            "subject": subject,
            "name": name,
            "url": url,
            "topics": topics,
            "lasts": wording.duration("lasts", lasts),
            "language": language,
            "direction": direction_of(language),
            "say": wording.say,
            "theme": self.theme,
            "postal_address": self._postal_address,
        }
        html = inline_css(self._sandbox.render("email/notice.html", context), subject="email/notice.html")
        text = _tidy(self._sandbox.render("email/notice.txt", context))
        return Rendition(variant="notice", subject=subject, html=html, text=text)

    def wording(self, language: str) -> Wording:
        """How a language is spoken on pages. Raises RenderError."""
        return Wording(self._folders, language)

    def _context(self, edition: Edition, variant: str) -> dict[str, object]:
        wording = Wording(self._folders, edition.language)

        def published(item: Item) -> str:
            return wording.moment(item.published_at, self._timezone, edition.date)

        return {
            "edition": edition,
            "variant": variant,
            "theme": self.theme,
            "lead": edition.lead,
            "outlets": _count_outlets(edition.items),
            "minutes": _reading_minutes(edition.items),
            "base_url": self._base_url,
            "web_view_url": web_view_url(self._base_url, edition, variant),
            "postal_address": self._postal_address,
            "reply_to": self._reply_to,
            "say": partial(wording.say_of, edition.cadence),
            "count": wording.count,
            "day": _describe_day(edition, wording),
            "published": published,
            "day_of": wording.day,
            "news": lambda news: _describe_news(news, wording),
            "made": lambda item: _describe_maker(item, edition.approved_by, wording),
        }


def _describe_day(edition: Edition, wording: Wording) -> str:
    """The date in full; before it, of what other edition than the day's it is."""
    day = format_day(edition.date, edition.language)
    return day if edition.cadence == "daily" else f"{wording.say(f'edition_{edition.cadence}')} · {day}"


def _describe_news(news: News, wording: Wording) -> str:
    """What is new in a story that was told before, in the edition's language."""
    parts = []
    if news.numbers:
        parts.append(wording.say("update_numbers", numbers=wording.join(news.numbers[:_MOST_NUMBERS])))
    if len(news.outlets) > 1:
        parts.append(wording.say("update_outlets", outlets=wording.join(news.outlets)))
    elif news.has_new_lead:
        parts.append(wording.say("update_lead", outlet=wording.join(news.outlets)))
    parts.append(wording.say("update_before", day=wording.day(news.told_on)))
    return " · ".join(parts)


def _describe_maker(item: Item, approved_by: str | None, wording: Wording) -> str:
    """Who wrote what is printed, where it is not the outlet; "" where it is, or a named person stands for it."""
    said = []
    if item.edited:
        said.append(wording.say("edited"))
    if item.summary and item.summary.kind == "llm" and not approved_by:
        said.append(wording.say("by_model"))
    return " ".join(said)


def web_view_url(base_url: str, edition: Edition, variant: str) -> str:
    """Where a rendition can be read in a browser."""
    url = f"{base_url.rstrip('/')}/{quote(edition.newsletter, safe='')}/{edition.date.isoformat()}"
    if edition.cadence != "daily":
        url += f"/{edition.cadence}"
    return url if variant == "all" else f"{url}?variant={quote(variant, safe='')}"


def render_subject(
    template: str,
    *,
    newsletter: str,
    day: date,
    language: str,
    lead: Item | None,
    count: int,
    cadence: Cadence = "daily",
) -> str:
    """The subject line of an edition, from the operator's template. Raises RenderError.

    The template sees `lead` (an Item), `newsletter` (its name), `cadence`, `date`, `language` and `count`
    (of stories). One line of at most 120 characters, cut at a word. Without a lead, or when nothing is
    printed: the newsletter's name and the date.
    """
    subject = ""
    if lead is not None:
        context = {
            "lead": lead,
            "newsletter": newsletter,
            "cadence": cadence,
            "date": day,
            "language": language,
            "count": count,
        }
        subject = Sandbox().render_source(template, context, subject="[newsletter] subject")
    subject = subject.replace(UNSUBSCRIBE_TOKEN, "")
    return _shorten(subject, _SUBJECT_LENGTH) or f"{newsletter}, {format_day(day, language)}"


def _count_outlets(items: Sequence[Item]) -> int:
    named = {item.outlet for item in items}
    return len(named.union(*({mention.outlet for mention in item.also} for item in items)))


def _reading_minutes(items: Sequence[Item]) -> int:
    told = (f"{item.headline} {item.summary.text if item.summary else ''}" for item in items)
    return max(1, round(sum(map(count_words, told)) / _READING_SPEED))


def _shorten(text: str, limit: int) -> str:
    """The text on one line of at most `limit` characters, cut between words where there are any."""
    line = on_one_line(text)
    if len(line) <= limit:
        return line
    kept = line[: limit - 1]
    at = kept.rfind(" ")
    # A zero-width joiner left at the end would reach for a letter that is gone.
    return kept[: at if at > limit // 2 else None].rstrip(" ,;:.-–—\u200d") + "…"


def read_address(url: str | None) -> str:
    """The URL as it may stand in a mail, or "" where it is not of the web."""
    if not url or not _WEB_ADDRESS.match(url) or len(url) > _LONGEST_ADDRESS or not _names_host(url):
        return ""
    return _UNSAFE_IN_URL.sub(lambda found: quote(found.group(), safe=""), url)


def _names_host(url: str) -> bool:
    """Whether a host could be of that name, and a port of that number."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    return port != 0 and (_HOST.fullmatch(host) is not None or host.startswith("[") or ":" in host)


def _picture(url: str | None) -> str:
    """The URL of a picture, or "" where it cannot be shown: no address ("data:"), a kind that clients lack, a login."""
    address = read_address(url)  # first: of what is no address the parts cannot be told
    return "" if _UNSHOWN.search(address) or "@" in urlsplit(address).netloc else address


def _among(text: str, direction: Direction) -> str:
    """The text between direction marks where it runs against what surrounds it: plain text has no `dir`."""
    mark = "\u200f" if direction == "rtl" else "\u200e"
    return text if direction_of_text(text) == direction else f"{mark}{text}{mark}"


def _wrap(text: str, indent: str = "") -> str:
    """The text in lines of at most 72 columns where its words allow it."""
    return textwrap.fill(
        on_one_line(text),
        width=_TEXT_WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _tidy(text: str) -> str:
    """Without trailing spaces, and never more than one empty line."""
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines).strip("\n") + "\n"


_FILTERS: Mapping[str, Callable[..., object]] = {
    "address": read_address,
    "picture": _picture,
    "among": _among,
    "direction": direction_of_text,
    "line": on_one_line,
    "shorten": _shorten,
    "wrap": _wrap,
}
