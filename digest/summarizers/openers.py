"""How sentences begin that cannot stand without the one before them: pronouns, demonstratives, connectives.

And how those begin that somebody says of himself: between quotation marks they have a speaker, elsewhere they have lost
theirs. Of the languages that most news is written in.
"""

import re
from typing import Final

from digest.text import words

_SHORTENED: Final = re.compile("['’]")  # "we've", "j'ai"

_LEANING: Final = {
    "en": """he she it they his her hers its their theirs him them this that these those such both and but or so yet
        however moreover furthermore meanwhile therefore thus hence nevertheless nonetheless instead also additionally
        besides still then afterwards later earlier otherwise similarly likewise consequently accordingly indeed another
        others one some neither either here there i we you my our your""",
    "es": """él ella ello ellos ellas esto esta este estos estas eso esa ese esos esas aquello aquella aquel su sus pero
        y además también sino entonces así aunque luego después mientras asimismo igualmente allí ahí ambos otro otra yo
        nosotros""",
    "fr": """il elle ils elles ce cet cette ces cela ça celui celle ceux celles c'est son sa ses leur leurs mais et donc
        ainsi toutefois cependant pourtant puis ensuite aussi enfin par ailleurs or là je j nous vous tous un autre""",
    "de": """er sie es ihr ihre ihm ihnen sein seine dies diese dieser dieses dieser jene jener und aber doch jedoch
        dennoch deshalb daher deswegen damit dann dabei dazu dafür dagegen darauf darin außerdem auch zudem so danach
        dort beide ich wir""",
    "pt": """ele ela eles elas isso isto esta este estes estas essa esse esses essas aquilo seu sua seus suas mas e
        porém entretanto então também além assim depois ali ambos outro outra eu nós""",
    "it": """egli lui lei essi loro ciò questo questa questi queste quello quella quelli suo sua ma e però tuttavia
        quindi inoltre anche così poi infine entrambi altro altra io noi""",
    "ru": """он она оно они его её их это этот эта эти тот та те такой но и а однако также тоже поэтому тогда затем
        потом кроме при там здесь оба я мы""",
    "ar": """هو هي هم هما هذا هذه ذلك تلك هؤلاء لكن ولكن لكنه ولكنه كما وأضاف وأضافت وأوضح وتابع وأكد وقال وقالت
        وأشار ثم أيضا وهو وهي وهذا وهذه وذلك بينما فيما لذلك أنا نحن""",
    "hi": "वह वे यह ये इस इन उस उन उसने उन्होंने इसके उसके उनके लेकिन और मगर तो फिर साथ हालांकि इसलिए मैं हम",
}  # fmt: skip
_LEANING_WORDS: Final = {language: frozenset(listed.split()) for language, listed in _LEANING.items()}
_LEANING_STARTS: Final = {  # of scripts without spaces
    "zh": ("他", "她", "它", "这", "這", "那", "该", "但", "而", "此", "同时", "因此", "不过", "然而", "另外", "我"),
    "ja": (
        "彼",
        "これ",
        "それ",
        "この",
        "その",
        "あの",
        "しかし",
        "また",
        "そして",
        "だが",
        "一方",
        "さらに",
        "私",
        "同",
    ),
}
_OF_ONESELF: Final = {
    "en": "i we my our", "es": "yo nosotros", "fr": "je j nous", "de": "ich wir", "pt": "eu nós", "it": "io noi",
    "ru": "я мы", "ar": "أنا نحن", "hi": "मैं हम",
}  # fmt: skip
_OF_ONESELF_WORDS: Final = {language: frozenset(listed.split()) for language, listed in _OF_ONESELF.items()}


def leans(sentence: str, language: str) -> bool:
    """Whether a sentence needs the one before it."""
    starts = _LEANING_STARTS.get(language)
    if starts:
        return sentence.lstrip('「『“"（( ').startswith(starts)
    return _first_word(sentence) in _LEANING_WORDS.get(language, _LEANING_WORDS["en"])


def speaks_of_itself(sentence: str, language: str) -> bool:
    """Whether whoever wrote the sentence speaks of himself."""
    return _first_word(sentence) in _OF_ONESELF_WORDS.get(language, frozenset())


def _first_word(sentence: str) -> str:
    found = words(sentence[:80])
    return _SHORTENED.split(found[0].lower())[0] if found else ""
