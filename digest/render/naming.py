"""What languages and time zones are called, by the CLDR that Babel brings."""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.core import get_global

# The parts of the world by which zones are named, as the CLDR numbers them; oceans have no number.
_REGIONS: Final[Mapping[str, str]] = {
    "Africa": "002",
    "America": "019",
    "Antarctica": "AQ",
    "Asia": "142",
    "Australia": "AU",
    "Europe": "150",
    "Pacific": "009",
    "Arctic": "region_arctic",
    "Atlantic": "region_atlantic",
    "Indian": "region_indian",
}

Zones = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]  # region: zone, its city


def name_language(tag: str) -> str:
    """A language in its own words; the tag where it has none."""
    try:
        name = Locale.parse(tag, sep="-").get_display_name()
    except (UnknownLocaleError, ValueError):
        return tag
    return name[:1].upper() + name[1:] if name else tag


def name_zones(language: str, phrases: Mapping[str, str], known: Collection[str]) -> Zones:
    """Every time zone of `known` that is named for a city, by region and city, as a language writes them."""
    return _name_zones(language, tuple(phrases.get(f"region_{ocean}", ocean) for ocean in _OCEANS), frozenset(known))


_OCEANS: Final = ("arctic", "atlantic", "indian")


@lru_cache(maxsize=16)
def _name_zones(language: str, oceans: tuple[str, ...], known: frozenset[str]) -> Zones:
    locale = _find_locale(language)
    names = {f"region_{ocean}": name for ocean, name in zip(_OCEANS, oceans, strict=True)}
    regions: dict[str, list[tuple[str, str]]] = {}
    for zone in get_global("zone_territories"):
        region, _, city = zone.partition("/")
        if not city or zone not in known or region not in _REGIONS:
            continue
        code = _REGIONS[region]
        title = names.get(code) or locale.territories.get(code) or region
        regions.setdefault(title, []).append((zone, _name_city(zone, locale)))
    return tuple(
        (title, tuple(sorted(cities, key=lambda city: city[1].casefold()))) for title, cities in sorted(regions.items())
    )


def _name_city(zone: str, locale: Locale) -> str:
    """The CLDR knows some cities by names that IANA has given up: Kolkata as Calcutta."""
    for name in (zone, *_older_names().get(zone, ())):
        if city := locale.time_zones.get(name, {}).get("city"):
            return str(city)
    return zone.rpartition("/")[2].replace("_", " ")


@lru_cache(maxsize=1)
def _older_names() -> Mapping[str, Sequence[str]]:
    names: dict[str, list[str]] = {}
    for old, new in get_global("zone_aliases").items():
        names.setdefault(new, []).append(old)
    return names


def _find_locale(language: str) -> Locale:
    for tag in (language, language.partition("-")[0]):
        try:
            return Locale.parse(tag, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return Locale.parse("en")
