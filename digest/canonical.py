"""When two addresses, or two titles, are the same: shared by the sources, which find links, and the store, which knows
them.
"""

import re
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

_TRACKING: Final = re.compile(
    r"(?:utm_\w+|fbclid|gclid|dclid|msclkid|yclid|igshid|ftag|ncid|cmp|cmpid|icid|ito|ref_src|_hsenc|_hsmi|at_\w+|mc_\w+|ns_\w+)",
    re.IGNORECASE,
)
# Names that track where they hold a word, and may well be an article's number where they hold digits.
_OFTEN_TRACKING: Final = re.compile(r"ref|source", re.IGNORECASE)


def canonical_link(link: str) -> str:
    """A link without scheme, `www.`, fragment, tracking parameters, and the slash at its end; what is no link stays."""
    try:
        parts = urlsplit(link.strip())
    except ValueError:  # "http://[" and the like, which strangers do write
        return link.strip()
    query = urlencode([pair for pair in parse_qsl(parts.query, keep_blank_values=True) if not _tracks(*pair)])
    host = (parts.netloc.rpartition("@")[2]).lower().removeprefix("www.")
    path = parts.path.rstrip("/")
    return f"{host}{path}" + (f"?{query}" if query else "")


def canonical_title(title: str) -> str:
    """A title's words, folded."""
    return " ".join(re.findall(r"\w+", title.casefold()))


def _tracks(name: str, value: str) -> bool:
    is_word = not any(map(str.isdigit, value))
    return _TRACKING.fullmatch(name) is not None or (is_word and _OFTEN_TRACKING.fullmatch(name) is not None)
