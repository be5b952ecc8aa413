"""What an address and the words of a link say by themselves about whether it leads to an article."""

import re
from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from digest.sources.dates import parse_date
from digest.text import count_words

NEVER: Final = -100

_PLACES: Final = frozenset(
    """about about-us account accounts advertise advertising ads app apps archive archives author authors autor
    autoren auteur auteurs author-profile basket by byline calendar careers cart categories category categoria
    categorie cdn-cgi checkout comment comments contact contact-us contributor contributors cookie-policy cookies
    datenschutz donate download email events faq faqs feed feeds help hashtag home impressum imprint jobs
    journalist journalists kontakt label labels legal login logout members my-account newsletter newsletters
    notifications page pages people person podcasts policies preferences press-office print privacy privacy-policy
    profile profiles register registration reporter reporters rss search section sections settings shop sign-in
    sign-up signin signout signup sitemap staff store subscribe subscription subscriptions support suche tag tags
    tagged team terms terms-of-service terms-of-use thema themen themes topic topics trending user users
    video-archive wp-admin wp-content wp-json wp-login.php writer writers schlagwort etiqueta etiquetas tema temas
    """.split()
)
_ACTIONS: Final = frozenset("amp comments edit email feed print reply respond rss share trackback".split())
_COLLECTIONS: Final = frozenset(
    """a article articles artikel articulo articulos article-detail blog beitrag content detail entry entries item n
    news nachrichten noticia noticias nouvelles p post posts read s show story stories view""".split()
)
_SERVICE_WORDS: Final = frozenset(
    "about advertise careers contact cookie cookies donate download feedback help jobs join legal login newsletter our "
    "privacy register subscribe support terms write".split()
)
_FILES = re.compile(
    r"\.(?!html?$|shtml$|xhtml$|php\d?$|aspx?$|jsp$|cfm$|do$|ece$|story$)[a-z][a-z0-9]{1,4}$", re.IGNORECASE
)
_PAGE_ENDING = re.compile(r"\.(?:s?html?|xhtml|php\d?|aspx?|jsp|cfm|do|ece|story)$", re.IGNORECASE)
_MONTH: Final = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_DATED = re.compile(
    rf"(?:^|/)(?:19|20)\d\d[/-]?(?:0?[1-9]|1[0-2]|{_MONTH})(?:[/-]?[0-3]?\d)?(?=[/-])",
    re.IGNORECASE,
)
_DATE_ALONE = re.compile(rf"(?:^|.*/)(?:19|20)\d\d(?:[/-](?:\d\d?|{_MONTH})){{0,2}}(?:/page/\d+)?")
_FULL_DATE = re.compile(r"(?:^|[/-])((?:19|20)\d\d)[/-]?(0[1-9]|1[0-2])[/-]?(0[1-9]|[12]\d|3[01])(?=[/-]|$)")
_ID_QUERY: Final = frozenset(
    """p id aid nid sid artid article articleid article_id newsid story storyid post postid item itemid""".split()
)
_ACTION_QUERY: Final = frozenset(
    """share replytocom print s q query search lang sort filter tag cat category author page paged""".split()
)
_LANGUAGE = re.compile(r"[a-z]{2}(?:[-_][a-z]{2})?")
_WORD_BREAK = re.compile(r"[-_+\s]+")
_OPAQUE = re.compile(r"(?=.*\d)(?=.*[a-z])[0-9a-z]{6,}|[0-9a-f]{8}-[0-9a-f-]{20,}", re.IGNORECASE)

_WEAK_WORDS = re.compile(
    r"""
    (?: (?:read|see|view|show|load|browse|learn|find\ out|get|watch|listen)\ (?:more|all|on|now|full|the|it)\b.{0,40}
    | continue(?:\ reading)?\b.{0,80} | more(?:\ (?:from|in|stories|news|articles|posts)\b.{0,30})?
    | all\ (?:news|stories|articles|posts) | full\ (?:story|article) | keep\ reading | next(?:\ page)?
    | prev(?:ious)?(?:\ page)? | (?:older|newer)\ (?:posts|articles|entries|stories) | permalink | link
    | (?:leave|add|post)\ a\ (?:comment|reply) | comments? | share.{0,30} | reply | print | e-?mail | tweet
    | bookmark | save | lire\ (?:la\ suite|plus|l['’]article).{0,40} | en\ savoir\ plus | weiter(?:lesen)?
    | mehr(?:\ lesen|\ dazu|\ erfahren)? | zum\ artikel | (?:leer|ver|saber)\ (?:más|mas|todo|noticia)
    | seguir\ leyendo | leggi(?:\ tutto|\ di\ più|\ l['’]articolo)? | continua(?:\ a\ leggere)?
    | (?:ler|leia|saiba|ver|veja)\ (?:mais|tudo) | lees\ (?:meer|verder) | läs\ (?:mer|hela).{0,20} | les\ mer
    | læs\ mere | lue\ lisää | czytaj\ (?:więcej|dalej) | více | číst\ dále | tovább | devamı(?:nı\ oku)?
    | читать\ (?:далее|дальше|полностью).{0,20} | подробнее | (?:اقرأ|قراءة)\ (?:المزيد|أيضا) | المزيد
    | التفاصيل | ادامه(?:\ مطلب)? | और\ पढ़ें | 続きを読む | もっと見る | 詳細 | 阅读(?:更多|全文) | 更多 | 全文
    | 查看更多 | 더\ ?보기
    | 자세히(?:\ 보기)? | \d[\d.,\s]*\s*\w* | \w+\ \(\d+\) | no\ comments )""",
    re.IGNORECASE | re.VERBOSE,
)


def rate_address(link: str) -> int:
    """How much an address looks like an article's, from 4 (surely) to -1 (hardly); `NEVER` when it is none."""
    parts = urlsplit(link)
    path = unquote(parts.path).strip("/")
    query = {name.lower(): value for name, value in parse_qsl(parts.query)}
    if _ACTION_QUERY & query.keys() and not any(query.get(name, "").isdigit() for name in _ID_QUERY):
        return NEVER
    if any(
        name in query and value.isalnum() and any(map(str.isdigit, value))
        for name, value in query.items()
        if name in _ID_QUERY
    ):
        return 3
    segments = [segment for segment in path.lower().split("/") if segment]
    # "/en/" and "/en-gb/" before everything else say in which language, not what.
    if len(segments) > 1 and segments[0] not in _PLACES and _LANGUAGE.fullmatch(segments[0]):
        segments = segments[1:]
    if not segments or segments[-1] in {"index.html", "index.php", "index.htm", "default.aspx", "home"}:
        return NEVER
    if _is_place(segments) or _FILES.search(segments[-1]) or _DATE_ALONE.fullmatch(path.lower()):
        return NEVER
    return _rate_slug(path, segments)


def _is_place(segments: list[str]) -> bool:
    """Whether the address is that of a section's, author's, reader's or the publisher's own page."""
    names = [_PAGE_ENDING.sub("", segment) for segment in segments]
    if names[0].startswith("@") and len(names) == 1:
        return True
    is_place = [name in _PLACES for name in names]
    if is_place[-1] or names[-1] in _ACTIONS:
        return True
    # "/topics/2025/11/24/slug" is an article, "/tag/a-long-subject" none; "/world/tag/x" none either.
    dated = _DATED.search("/".join(names)) is not None
    if any(is_place[:-1]) and not dated and not (names[-1].isdigit() and len(names[-1]) > 4):
        return names[:1] != ["support"] and not re.search(r"-\d{5,}$", names[-1])
    words = _WORD_BREAK.split(names[-1])
    return len(names) == 1 and words[0] in _SERVICE_WORDS and len(words) <= 5


def _rate_slug(path: str, segments: list[str]) -> int:
    name = _PAGE_ENDING.sub("", segments[-1])
    has_ending = name != segments[-1]
    words = [word for word in _WORD_BREAK.split(name) if word]
    rate = -1
    if _DATED.search(path) and not name.isdigit():
        rate = 4
    elif _DATED.search(path) or re.search(r"(?:^|\D)\d{5,}(?:$|\D)", name) or len(words) >= 4:
        rate = 3
    elif (
        len(words) == 3
        or any(ord(character) > 0x2000 for character in name)
        or (has_ending and len(words) == 2)
        or name.isdigit()
        or re.fullmatch(r"\D{0,3}\d+", name)
        or (len(segments) > 1 and _OPAQUE.fullmatch(name))
    ):
        rate = 2
    elif len(words) == 2:
        rate = 1
    elif has_ending:
        rate = 0
    if len(segments) > 1 and segments[-2] in _COLLECTIONS:
        rate = max(rate, min(rate + 1, 3), 1)
    return rate


def date_in_address(link: str) -> datetime | None:
    """The day that stands in the address, as in /2025/11/24/."""
    found = _FULL_DATE.search(urlsplit(link).path)
    return parse_date("-".join(found.groups())) if found else None


def is_weak(words: str) -> bool:
    """Whether a link's words name no article: none at all, "Read more", "3 comments", "Next"."""
    words = words.strip(" \t\n…>»›→←«‹<+.:|·•-–—[]()").strip()
    return not any(map(str.isalpha, words)) or _WEAK_WORDS.fullmatch(words) is not None


def rate_words(words: str) -> int:
    """How much a link's words look like a headline: 2, 1 or 0."""
    length = count_words(words)
    letters = sum(1 for character in words if character.isalpha())
    if length >= 4 or letters >= 28:
        return 2
    return 1 if length == 3 or letters >= 16 else 0
