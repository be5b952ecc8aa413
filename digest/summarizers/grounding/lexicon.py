"""The words of a language by what they do to a sentence, from `lexicons/`: a file a language, by its ISO 639-1 code.

A language without a file has no such words, and what needs them is not checked there. To add one, copy another's file.
"""

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from digest.summarizers.grounding.forms import fold, keys_of

_FOLDER: Final = Path(__file__).parent / "lexicons"

Sides = tuple[frozenset[str], frozenset[str]]  # the keys of words of one sense, and of the contrary one


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """The words of one language, folded; what each list is for stands in `lexicons/en.toml`."""

    negations: frozenset[str]
    turning: frozenset[str]
    denials: frozenset[str]
    limits: frozenset[str]
    refusals: frozenset[str]
    refusals_to: frozenset[str]
    hedges: frozenset[str]
    binding: frozenset[str]
    attributions: frozenset[str]
    doubts_to: frozenset[str]
    doubts_that: frozenset[str]
    doubts_of_deeds: frozenset[str]
    clauses: frozenset[str]
    claims: frozenset[str]
    modals: frozenset[str]
    open: frozenset[str]
    light: frozenset[str]
    deeds: frozenset[str]
    pasts: frozenset[str]
    charges: frozenset[str]
    relative: frozenset[str]
    numbers: tuple[str, ...]
    contraries: tuple[Sides, ...]
    moves: tuple[Sides, ...]
    aliases: tuple[tuple[str, ...], ...]
    surnames: frozenset[str]  # of these three each character is one
    transliterating: frozenset[str]
    places: frozenset[str]
    capitals: dict[str, tuple[str, ...]]


@lru_cache(maxsize=64)
def lexicon_of(language: str) -> Lexicon:
    """The words of a language; a lexicon of empty lists where there is no file."""
    path = _FOLDER / f"{language}.toml"
    # What feeds say of their language may be anything.
    is_code = language.isascii() and language.isalpha() and len(language) <= 3
    table = tomllib.loads(path.read_text(encoding="utf-8")) if is_code and path.is_file() else {}

    def words(name: str) -> frozenset[str]:
        return frozenset(map(fold, table.get(name, "").split()))

    def sides(name: str) -> tuple[Sides, ...]:
        pairs = [line.partition("|")[::2] for line in table.get(name, [])]
        keys = [[frozenset(k for w in side.split() for k in keys_of(w, language)) for side in pair] for pair in pairs]
        return tuple((one, other) for first, second in keys for one, other in ((first, second), (second, first)))

    return Lexicon(
        negations=words("negations"),
        turning=words("turning") | words("negations"),
        denials=words("denials"),
        limits=words("limits"),
        refusals=words("refusals"),
        refusals_to=words("refusals_to"),
        hedges=words("hedges") | words("binding"),
        binding=words("binding"),
        attributions=words("attributions"),
        doubts_to=words("doubts_to"),
        doubts_that=words("doubts_that"),
        doubts_of_deeds=words("doubts_of_deeds"),
        clauses=words("clauses"),
        claims=words("claims"),
        modals=words("modals"),
        open=words("open"),
        light=words("light"),
        deeds=words("deeds"),
        pasts=words("pasts"),
        charges=words("charges"),
        relative=words("relative"),
        numbers=tuple(map(fold, table.get("numbers", "").split())),
        contraries=sides("contraries"),
        moves=sides("moves"),
        surnames=frozenset("".join(words("surnames"))),
        transliterating=frozenset("".join(words("transliterating"))),
        places=frozenset("".join(words("places"))),
        capitals={
            fold(line.split("|")[0]): tuple(map(fold, line.split("|")[1:])) for line in table.get("capitals", [])
        },
        aliases=tuple(tuple(map(fold, line.split("|"))) for line in table.get("aliases", [])),
    )


@lru_cache(maxsize=1)
def multipliers() -> dict[str, int]:
    """In all languages: a word, folded, and by how many noughts it makes a number larger."""
    return {fold(word): int(power) for power, words in _measures()["multipliers"].items() for word in words.split()}


@lru_cache(maxsize=1)
def units() -> dict[str, str]:
    """In all languages: a name or sign, folded, and the unit that it is one of."""
    return {fold(name): unit for unit, names in _measures()["units"].items() for name in names.split()}


def _measures() -> dict[str, dict[str, str]]:
    return tomllib.loads((_FOLDER / "measures.toml").read_text(encoding="utf-8"))
