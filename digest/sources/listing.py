"""The links to articles on an index page: those that the operator's selector names, or those that look like it.

Without a selector each link is weighed by its address (a date, a long slug, a number), its words (a headline has
several, and often stands in a heading) and its place (a card among cards, and no menu, footer or side column). Links
that stand in the same kind of place as good ones are good too.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, cast
from urllib.parse import parse_qsl, unquote, urldefrag, urlsplit

from cssselect import HTMLTranslator, SelectorError
from lxml import etree

from digest.errors import SourceError
from digest.sources.dates import parse_date
from digest.sources.hypertext import Element, base_of, links_of, parse_html, visible_words
from digest.sources.markup import absolute, plain_name

_GOOD: Final = 3.0
_GOOD_AMONG_GOOD: Final = 1.5
_MOST_LINKS: Final = 20_000  # looked at on one page

_HEADINGS: Final = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_CARDS: Final = frozenset({"article", "li", "tr", "section", "dd"})
_ASIDE: Final = frozenset({"nav", "footer", "aside", "form", "header", "dialog", "noscript", "template", "svg"})
_ASIDE_ROLES: Final = frozenset(
    {"navigation", "banner", "contentinfo", "complementary", "search", "menu", "menubar", "dialog", "toolbar"}
)
_ASIDE_NAMES: Final = re.compile(
    r"^(?:(?:site|page|main|top|global|primary|secondary|sub|mega|mobile)[-_]?)?(?:nav|navbar|navigation|menu|"
    r"breadcrumbs?|pagination|pager|footer|sidebar|masthead|topbar|toolbar|share|sharing|social|cookies?|consent|gdpr|"
    r"advert\w*|ads?|adbox|sponsor\w*|promo\w*|comments?|tags?|tagcloud|login|signup|newsletter|search|subscribe|"
    r"most[-_]?(?:read|popular|viewed)|trending|popular|partners?|legal)"
    r"(?:[-_]?(?:list|links?|bar|box|wrap(?:per)?|container|area|menu|items?|cloud|widget|buttons?|block|panel|nav))?$",
    re.IGNORECASE,
)
_CARD_NAMES: Final = re.compile(r"card|post|story|teaser|entry|article|news|headline|item", re.IGNORECASE)
_NO_ARTICLE: Final = re.compile(
    r"^(?:tags?|topics?|categor(?:y|ies)|authors?|users?|profiles?|people|log-?in|log-?out|sign-?(?:in|up|out)|register|"
    r"subscribe|subscriptions?|account|search|privacy|terms|about|contact|cookies?|policy|policies|legal|feeds?|rss|"
    r"page|wp-(?:login|admin|json).*|cart|checkout|shop|share|newsletters?|sections?|archives?|comments?|help|faq|jobs|"
    r"careers|advertis\w*|imprint|impressum|datenschutz|kontakt|agb|mentions-legales|sitemap|print|donate|support|home|"
    r"(?:about|contact)-us|privacy-(?:policy|notice)|cookie-policy|terms-(?:of|and)-\w+(?:-\w+)?|our-\w+|"
    r"redirect|out|goto|ads?)(?:\.\w{2,5})?$",
    re.IGNORECASE,
)
_NO_PAGE: Final = re.compile(
    r"\.(?:jpe?g|png|gif|webp|svg|avif|pdf|mp[34]|m4a|wav|zip|gz|css|js|xml|rss|atom|json|ico|exe|apk|docx?|xlsx?)$",
    re.IGNORECASE,
)
_DATED_PATH: Final = re.compile(
    r"/(?:19|20)\d\d(?:[/-]?(?:0?[1-9]|1[0-2]|[a-z]{3})(?:[/-]?\d{1,2})?)?(?=[/_.-]|$)", re.IGNORECASE
)
_NUMBER: Final = re.compile(r"\d{4,}|(?<=[-_/])\d{3,}(?=$|\.|/)|^\d+$|[a-f0-9]{8,}")
_NAMED_NUMBER: Final = frozenset(
    {"id", "p", "article", "articleid", "story", "storyid", "news", "newsid", "aid", "post", "nid"}
)
_PARTS: Final = re.compile(r"[-_+ ]+")
_LETTERS: Final = re.compile(r"\w")
_NO_SPACES: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
_MORE: Final = re.compile(
    r"^(?:read|continue|learn|see|view|show|more|full|weiter|mehr|lire|leer|leggi|comments?|\d+\s+\w+|اقرأ|المزيد)\b.{0,25}$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleLink:
    """A link to an article, with what the index page says of it."""

    link: str
    title: str | None = None
    date: datetime | None = None


@dataclass(slots=True)
class _Candidate:
    """All links of a page that lead to one address."""

    link: str
    elements: list[Element] = field(default_factory=list)
    score: float = 0.0
    place: str = ""


def find_article_links(
    body: bytes, *, url: str, selector: str | None = None, content_type: str | None = None
) -> tuple[ArticleLink, ...]:
    """The article links of a page, absolute and without fragment, in its order, each once.

    `selector` is CSS for the links or for what they stand in. Raises SourceError when the document is no page, or the
    selector is none.
    """
    root = parse_html(body, content_type=content_type)
    base = base_of(root, url)
    if selector is not None:
        chosen = _select(root, base, selector)
    else:
        chosen = _choose(list(_candidates(root, base, url).values()))
    return tuple(
        ArticleLink(link=candidate.link, title=_title(candidate), date=_date(candidate)) for candidate in chosen
    )


def _select(root: Element, base: str, selector: str) -> list[_Candidate]:
    try:
        matched = cast("list[Element]", root.xpath(HTMLTranslator().css_to_xpath(selector)))
    except (SelectorError, etree.XPathError, ValueError) as error:
        remedy = 'write CSS, as in selector = "main h2 a"'
        raise SourceError(f'selector "{selector}"', "it is not CSS that can be used", remedy=remedy) from error
    found: dict[str, _Candidate] = {}
    for element in matched:
        anchor = element if element.tag == "a" else _best_anchor(element)
        link = absolute(anchor.get("href"), base) if anchor is not None else None
        if link and anchor is not None:
            link = urldefrag(link).url
            found.setdefault(link, _Candidate(link)).elements.append(anchor)
    return list(found.values())


def _best_anchor(element: Element) -> Element | None:
    """The link of a card: in a heading, else the one with the most words, else the one around it."""
    anchors = [anchor for anchor in element.iter("a") if anchor.get("href")]
    if not anchors:
        return next((parent for parent in element.iterancestors("a")), None)
    return max(anchors, key=lambda anchor: (_heading_of(anchor) is not None, len(visible_words(anchor))))


def _candidates(root: Element, base: str, url: str) -> dict[str, _Candidate]:
    """The links that may lead to articles of this site, by address."""
    found: dict[str, _Candidate] = {}
    here = urldefrag(url).url
    set_aside: dict[Element, bool] = {}
    for number, (anchor, link) in enumerate(links_of(root, "a", base)):
        if number >= _MOST_LINKS:
            break
        address = urldefrag(link).url
        if address.rstrip("/") in {here.rstrip("/"), base.rstrip("/")} or not _is_same_site(address, url):
            continue
        if "sponsored" in (anchor.get("rel") or "").lower() or _is_set_aside(anchor, set_aside):
            continue
        if _may_be_article(address):
            found.setdefault(address, _Candidate(address)).elements.append(anchor)
    return found


def _choose(candidates: list[_Candidate]) -> list[_Candidate]:
    """Those that are good by themselves, and those that stand where most are good."""
    places: dict[str, list[float]] = defaultdict(list)
    for candidate in candidates:
        candidate.score = _weigh(candidate)
        candidate.place = _place(candidate.elements[0])
        places[candidate.place].append(candidate.score)
    good = {place for place, scores in places.items() if sum(score >= _GOOD for score in scores) * 2 >= len(scores) > 1}
    return [c for c in candidates if c.score >= (_GOOD_AMONG_GOOD if c.place in good else _GOOD)]


def _weigh(candidate: _Candidate) -> float:
    score = _weigh_address(candidate.link)
    words = _count_words(_title(candidate) or "")
    score += 2 if words >= 4 else 1 if words == 3 else 0 if words == 2 else -0.5
    if any(_heading_of(anchor) is not None for anchor in candidate.elements):
        score += 2
    card = next((card for anchor in candidate.elements if (card := _card_of(anchor)) is not None), None)
    if card is not None:
        score += 0.5
        if next(card.iter("time"), None) is not None:
            score += 1
    return score


def _weigh_address(link: str) -> float:
    parts = urlsplit(link)
    segments = [unquote(segment) for segment in parts.path.split("/") if segment]
    last = segments[-1] if segments else ""
    stem = last.rpartition(".")[0] if re.search(r"\.\w{2,5}$", last) else last
    words = [word for word in _PARTS.split(stem) if _LETTERS.search(word)]
    score = 0.0
    if _DATED_PATH.search(parts.path):
        score += 2
    if len(words) >= 3 or len(_NO_SPACES.findall(stem)) >= 6:
        score += 2
    elif len(words) == 2 and len(stem) >= 12:
        score += 0.5
    if any(_NUMBER.search(segment) for segment in segments):
        score += 1
    if any(name.lower() in _NAMED_NUMBER and value for name, value in parse_qsl(parts.query)):
        score += 1.5
    if stem != last:
        score += 0.5
    if len(segments) == 1 and len(words) <= 1 and not parts.query and not _NUMBER.search(stem):
        score -= 2.5  # /world: a section
    return score


def _may_be_article(link: str) -> bool:
    parts = urlsplit(link)
    segments = [unquote(segment).lower() for segment in parts.path.split("/") if segment]
    if not segments and not parts.query:
        return False
    if _NO_PAGE.search(parts.path):
        return False
    query = {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if not segments and not query & _NAMED_NUMBER:
        return False
    if query & {"page", "paged", "replytocom", "share", "s", "q", "tag", "author", "cat"} and not query & _NAMED_NUMBER:
        return False
    return not any(_NO_ARTICLE.match(segment) for segment in segments)


def _is_same_site(link: str, url: str) -> bool:
    return _site(urlsplit(link).hostname or "") == _site(urlsplit(url).hostname or "")


def _site(host: str) -> str:
    """The part of a host that its owner registered: the last two labels, three where a country has its own commons."""
    labels = host.lower().split(".")
    commons = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in {"co", "com", "org", "net", "gov", "ac", "edu"}
    return ".".join(labels[-3 if commons else -2 :])


def _is_set_aside(anchor: Element, known: dict[Element, bool]) -> bool:
    """Whether a link stands in a menu, a footer, a side column or the like, or is hidden."""
    path = []
    answer = False
    for element in (anchor, *anchor.iterancestors()):
        if element in known:
            answer = known[element]
            break
        path.append(element)
    for element in reversed(path):
        answer = answer or _sets_aside(element)
        known[element] = answer
    return answer


def _sets_aside(element: Element) -> bool:
    if element.tag in {"html", "body", "main", "a"}:
        return element.tag == "a" and _is_hidden(element)
    if (element.get("role") or "").strip().lower() in _ASIDE_ROLES or _is_hidden(element):
        return True
    if element.tag in _ASIDE:
        # A card has a header and a footer of its own.
        return element.tag not in {"header", "footer"} or next(element.iterancestors("article", "li"), None) is None
    if element.tag in {"article", "h1", "h2", "h3"}:  # blogs put their tags' names into the classes of an article
        return False
    names = [*(element.get("class") or "").split(), element.get("id") or ""]
    return any(_ASIDE_NAMES.match(name) for name in names)


def _is_hidden(element: Element) -> bool:
    style = (element.get("style") or "").replace(" ", "").lower()
    return element.get("hidden") is not None or "display:none" in style or "visibility:hidden" in style


def _heading_of(anchor: Element) -> Element | None:
    """The heading in which a link stands, or which stands in it."""
    around = next((parent for parent in anchor.iterancestors() if parent.tag in _HEADINGS), None)
    return around if around is not None else next((e for e in anchor.iter(*_HEADINGS)), None)


def _card_of(anchor: Element) -> Element | None:
    """The smallest block of a list that a link stands in."""
    for parent in anchor.iterancestors():
        if parent.tag in {"body", "main", "html"}:
            return None
        if parent.tag in _CARDS or (parent.tag == "div" and _CARD_NAMES.search(parent.get("class") or "")):
            return parent
    return None


def _place(anchor: Element) -> str:
    """What kind of place a link stands in: the elements around it, with their first class."""
    return "/".join(_steps(anchor))


def _steps(anchor: Element) -> Iterator[str]:
    yield str(anchor.get("class") or "").partition(" ")[0]
    for number, parent in enumerate(anchor.iterancestors()):
        if number == 4:
            return
        yield f"{parent.tag}.{(parent.get('class') or '').partition(' ')[0]}"


def _title(candidate: _Candidate) -> str | None:
    """The words of the heading, else the longest of the links' own that are not "Read more"."""
    for anchor in candidate.elements:
        heading = _heading_of(anchor)
        if heading is not None and (words := visible_words(heading)):
            return plain_name(words)
    texts = [
        visible_words(anchor) or anchor.get("title") or anchor.get("aria-label") or "" for anchor in candidate.elements
    ]
    telling = [text for text in texts if text and not _MORE.match(text)]
    if telling:
        return plain_name(max(telling, key=len))
    card = _card_of(candidate.elements[0])
    heading = next(card.iter(*_HEADINGS), None) if card is not None else None
    return plain_name(visible_words(heading)) if heading is not None else None


def _count_words(title: str) -> int:
    """Words; in scripts without spaces about three letters make one."""
    return len(title.split()) + len(_NO_SPACES.findall(title)) // 3


def _date(candidate: _Candidate) -> datetime | None:
    """The date in a link's card, when there is one and no other."""
    card = _card_of(candidate.elements[0])
    times = [] if card is None else list(card.iter("time"))
    if len(times) != 1:
        return None
    return parse_date(times[0].get("datetime") or visible_words(times[0]))
