"""Pages that stand before an article, or instead of one: consent, payment, an error, a challenge to prove oneself.

A wall says little beside its own words. So a short text is looked at for these; a long one that merely mentions them is
an article.
"""

import re
from typing import Final

from digest.extract.metadata import Metadata

_SHORT: Final = 1500  # characters in which a wall's words are its subject
_TINY: Final = 400
_STUB: Final = 600  # characters of an article that is to be paid for: no more than its opening

_CHALLENGES: Final = re.compile(
    r"just a moment|checking (?:your browser|if the site connection)|verify(?:ing)? (?:that )?you are (?:a )?human|"
    r"enable javascript(?: and cookies)?|javascript (?:is )?(?:disabled|required)|please turn javascript on|captcha|"
    r"unusual (?:traffic|activity)|access (?:to this page has been )?denied|you have been blocked|are you a robot|"
    r"bitte aktivieren sie javascript|activez javascript|habilit[ae] javascript|يرجى تفعيل",
    re.IGNORECASE,
)
_ERRORS: Final = re.compile(
    r"^(?:error\s*)?(?:404|403|410|500|502|503)\b|page (?:can ?not|could not|can't|was not) (?:be )?found|"
    r"page not found|"
    r"page (?:you (?:requested|are looking for)|doesn't exist|does not exist|no longer exists)|not found$|"
    r"seite (?:wurde )?nicht gefunden|page (?:introuvable|non trouvée)|página no (?:encontrada|existe)|"
    r"pagina non trovata|página não encontrada|الصفحة غير موجودة|404",
    re.IGNORECASE,
)
_CONSENT: Final = re.compile(
    r"\b(?:cookies?|consent|datenschutz|einwilligung|zustimm\w+|partners? (?:store|process)|consentement|"
    r"consentimiento|gdpr|"
    r"dsgvo|privacy (?:settings|choices)|werbung und tracking|ملفات تعريف الارتباط)",
    re.IGNORECASE,
)
_ACCEPT: Final = re.compile(
    r"\b(?:accept|agree|reject|manage|einverstanden|akzeptier\w+|zustimmen|ablehnen|accepte[rz]|refuser|"
    r"aceptar|rechazar|"
    r"accetta|aceitar|قبول|موافق)",
    re.IGNORECASE,
)
_PAYMENT: Final = re.compile(
    r"subscribe (?:now )?to (?:continue|read|keep|unlock)|(?:continue|keep) reading (?:with|for|by)|subscribers? only|"
    r"already a subscriber|log ?in to (?:continue|read)|register to (?:continue|read)|this (?:article|content|"
    r"story) is (?:for|"
    r"reserved|exclusive)|unlock (?:this|the full)|start your (?:free )?trial|nur für abonnenten|weiterlesen mit|"
    r"jetzt (?:abo|testen|freischalten)|bereits abonnent|(?:réservé|réservée) aux abonnés|il vous reste [\d,]+ ?%|"
    r"solo para suscriptores|contenido exclusivo|hazte suscriptor|riservato agli abbonati|للمشتركين",
    re.IGNORECASE,
)


def find_wall(text: str, metadata: Metadata) -> str | None:
    """What a page is instead of an article; None when it is one. `text` is what was taken for the article."""
    said = f"{metadata.title or ''}\n{text}"
    if len(text) < _TINY and _CHALLENGES.search(said):
        return "it is a challenge, not an article"
    if len(text) < _TINY and _ERRORS.search(said):
        return "it is an error page"
    if len(text) < _SHORT and len(_CONSENT.findall(text)) >= 3 and _ACCEPT.search(text):
        return "it asks for consent before the article"
    is_short = len(text) < _STUB
    if is_short and (_PAYMENT.search(text) or not metadata.is_free):
        return "it shows no more than the opening of an article that is to be paid for"
    return None
