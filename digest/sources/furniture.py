"""What stands on a web page around its contents: menus, side columns, banners, advertisements, hidden things."""

import re
from typing import Final

from digest.sources.webpages import read_words
from digest.sources.xmltree import Element

HEADINGS: Final = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})

_TAGS: Final = frozenset({"nav", "aside", "template", "dialog", "menu", "select", "button"})
_ROLES: Final = frozenset(
    "navigation banner contentinfo search complementary menu menubar toolbar dialog alertdialog tablist form".split()
)
_KEPT: Final = frozenset({"html", "body", "main"})
_CARD_PARENTS: Final = frozenset({"article", "li", "main", "section"})
_STATES = (
    "has-",
    "with-",
    "without-",
    "no-",
    "is-",
    "js-",
    "not-",
    "hide-",
    "show-",
    "tag-",
    "category-",
    "post-",
    "type-",
    "format-",
)
# Names of things that are furniture wherever one of these words stands in the name.
_WORDS: Final = frozenset(
    """nav navbar navigation navi menu menus submenu megamenu breadcrumb breadcrumbs pagination pager paging
    paginator sidebar sidebars tagcloud taglist share sharing social socials cookie cookies consent gdpr
    newsletter subscribe subscription paywall login signup popup modal overlay-menu toolbar skip skiplink
    sponsored sponsor sponsors advert adverts advertisement advertising advertorial ads ad dfp adsense promoted
    popular trending mostread mostviewed related recommended recommendations outbrain taboola byline bylines
    comments respond langs languages language footer colophon masthead partners partner banner widget widgets""".split()
)
_PHRASES = re.compile(
    r"^(?:(?:site|page|global|main|top|app)[-_]?(?:header|footer|head)|top-?bar|tags|tag-?(?:cloud|list|links)|cat(?:egory|egories)?-?(?:links|list|cloud)"
    r"|(?:post|entry|article|card|story)[-_]+(?:meta|tags|author|byline|categories|footer)|most-?(?:read|viewed|popular|shared|commented)|author(?:-?(?:box|bio|name))?"
    r"|lang(?:uage)?-?(?:switcher|selector)|(?:right|left|side)-?rail|see-?also|recent-?comments|kicker|eyebrow|rubric|wp-block-tag-cloud)$"
)
_HIDDEN_CLASSES: Final = frozenset(
    {"hidden", "is-hidden", "visually-hidden", "sr-only", "screen-reader-text", "d-none"}
)
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_ASIDE_TITLE = re.compile(
    r"""(?: (?:the\ )?most\ (?:read|popular|viewed|shared|commented|discussed)(?:\ .{0,20})?
    | popular(?:\ (?:now|posts|stories|articles|today))? | trending(?:\ .{0,20})? | related(?:\ .{0,20})?
    | recommended(?:\ .{0,20})? | (?:you\ )?(?:may|might)\ also\ like | sponsored(?:\ .{0,20})?
    | advertisements? | from\ our\ partners | around\ the\ web | paid\ (?:content|post)s? | partner\ content
    | promoted(?:\ .{0,20})? | recent\ comments | latest\ comments | tags | topics | categories | archives?
    | follow\ us | newsletters? | meistgelesen.{0,20} | meist\ gelesen | les\ plus\ lus.{0,15}
    | articles\ les\ plus\ lus | lo\ más\ (?:leído|visto) | más\ leídas | (?:i\ )?più\ letti | mais\ lidas
    | meest\ gelezen | mest\ lästa? | mest\ lest | najczęściej\ czytane | en\ çok\ okunanlar
    | самое\ (?:читаемое|популярное) | популярное | (?:ال)?أكثر\ (?:قراءة|مشاهدة) | الأكثر\ (?:قراءة|مشاهدة)
    | 人気記事 | アクセスランキング | 热门(?:文章|新闻)? | 阅读排行 | 많이\ 본\ (?:뉴스|기사) )""",
    re.IGNORECASE | re.VERBOSE,
)
_LABEL = re.compile(
    r"(?:sponsored(?: (?:content|by.{0,40}|post))?|advertisement|advertorial|ad|promoted"
    r"|paid (?:content|post|partnership)|partner content"
    r"|anzeige|publicité|sponsorisé|publicidad|patrocinado|pubblicità|реклама"
    r"|إعلان|広告|广告|광고)",
    re.IGNORECASE,
)
_SMALL: Final = frozenset({"span", "small", "p", "div", "strong", "em", "b", "i", "label", "mark", "sup"})


class Furniture:
    """Tells what of one page is furniture; each element is looked at once."""

    def __init__(self, root: Element) -> None:
        self._known: dict[Element, bool] = {}
        self._marked = set(_find_titled(root)) | set(_find_labelled(root))

    def holds(self, element: Element) -> bool:
        """Whether the element is furniture, or stands within some."""
        path: list[Element] = []
        node: Element | None = element
        while node is not None and node not in self._known:
            path.append(node)
            node = node.getparent()
        is_within = self._known[node] if node is not None else False
        for each in reversed(path):
            is_within = is_within or each in self._marked or _is_furniture(each)
            self._known[each] = is_within
        return is_within


def _is_furniture(element: Element) -> bool:
    tag = element.tag
    if tag in _KEPT:
        return False
    if tag in _TAGS or (element.get("role") or "").lower() in _ROLES or _is_hidden(element):
        return True
    if tag == "footer":
        return True
    if tag == "form" and next(element.iter("h1", "h2", "article", "main"), None) is None:
        return True  # some frameworks wrap the whole page in a form
    if tag == "header" or "header" in (element.get("class") or "").lower().split():
        return not any(parent.tag in _CARD_PARENTS for parent in element.iterancestors())
    return _is_called_furniture(element) and element.find(".//main") is None and element.find(".//h1") is None


def _is_hidden(element: Element) -> bool:
    classes = (element.get("class") or "").lower().split()
    is_responsive = any(":" in name or name.startswith(("d-md", "d-lg", "d-sm", "d-xl")) for name in classes)
    return (
        element.get("hidden") is not None
        or (element.get("aria-hidden") or "").lower() == "true"
        or _HIDDEN_STYLE.search(element.get("style") or "") is not None
        or (not is_responsive and bool(_HIDDEN_CLASSES & set(classes)))
    )


def _is_called_furniture(element: Element) -> bool:
    for name in f"{element.get('class') or ''} {element.get('id') or ''}".split():
        lower = name.lower()
        if _PHRASES.match(lower):
            return element.tag not in HEADINGS
        if lower.startswith(_STATES):
            continue
        words = {word.lower() for word in _WORD.findall(name)}
        if words & _WORDS and not words & {"content", "layout", "wrapper", "container", "page", "grid"}:
            return True
    return False


def _find_titled(root: Element) -> list[Element]:
    """What stands beneath a heading such as "Most read": its section, or else all up to the next heading."""
    found: list[Element] = []
    for heading in root.iter(*HEADINGS):
        words = read_words(heading).strip(" :…»›")
        if len(words) > 60 or not _ASIDE_TITLE.fullmatch(words):
            continue
        top = heading
        parent = top.getparent()
        while parent is not None and parent.tag in {"header", "div"} and len(parent) == 1:
            top, parent = parent, parent.getparent()
        if parent is not None and parent.tag not in _KEPT and not _has_other_heading(parent, heading):
            found.append(parent)
            continue
        for sibling in top.itersiblings():
            if sibling.tag in HEADINGS and sibling.tag <= heading.tag:
                break
            if next(sibling.iter(*(tag for tag in HEADINGS if tag <= heading.tag)), None) is not None:
                break
            found.append(sibling)
    return found


def _has_other_heading(parent: Element, heading: Element) -> bool:
    return any(other is not heading for other in parent.iter(*(tag for tag in HEADINGS if tag <= heading.tag)))


def _find_labelled(root: Element) -> list[Element]:
    """The cards on which a label says that they were paid for."""
    found: list[Element] = []
    for element in root.iter(*_SMALL):
        if len(element) or len(element.text or "") > 60 or not _LABEL.fullmatch((element.text or "").strip(" :·•")):
            continue
        card = next((parent for parent in element.iterancestors() if parent.tag in {"article", "li", "tr"}), None)
        parent = element.getparent()
        if card is not None:
            found.append(card)
        elif parent is not None and parent.tag not in _KEPT and sum(1 for _ in parent.iter("a")) <= 3:
            found.append(parent)
    return found
