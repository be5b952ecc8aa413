"""How an edition looks: a theme's table, under what the operator's brand says otherwise.

templates/email/themes/NAME.toml  <  the same in the operator's own folder  <  [theme] in config.toml  ──>  Theme
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from digest.errors import RenderError

_COLOURS: Final = ("desk", "paper", "ink", "soft", "line", "accent", "on_accent")
_KEYS: Final = ("width", "gutter", "text_font", "heading_font", "arabic_font")


@dataclass(frozen=True, slots=True, kw_only=True)
class Logo:
    """A picture in the masthead, with the size that it is shown in, in px."""

    url: str
    alt: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Brand:
    """What the operator says of the look; what is absent is the theme's own."""

    theme: str = "plain"
    light: Mapping[str, str] = field(default_factory=dict)  # colours by name, as in a theme's table
    dark: Mapping[str, str] = field(default_factory=dict)
    heading_font: str | None = None
    text_font: str | None = None
    arabic_font: str | None = None
    logo: Logo | None = None
    images: bool = True  # pictures of sources whose rights allow it, where the theme has room for them
    names_failed: bool = True  # whether the footer names the sources that could not be reached


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """What the templates see as `theme`."""

    name: str
    width: int
    gutter: int
    text_font: str
    heading_font: str
    arabic_font: str
    light: Mapping[str, str]
    dark: Mapping[str, str]
    coloured_masthead: bool = False
    logo: Logo | None = None
    images: bool = True
    names_failed: bool = True


def load_theme(folders: Sequence[Path], brand: Brand) -> Theme:
    """The theme that a brand names. `folders` are template roots, the first one's words winning. Raises RenderError."""
    tables = [table for folder in folders if (table := _read(folder / "email" / "themes" / f"{brand.theme}.toml"))]
    if not tables:
        remedy = f"one of {', '.join(list_themes(folders))}"
        raise RenderError(f'theme "{brand.theme}"', "there is none of that name", remedy=remedy)
    merged: dict[str, Any] = {}
    for table in reversed(tables):
        merged |= {key: value for key, value in table.items() if not isinstance(value, dict)}
    colours = {
        scheme: {name: value for table in reversed(tables) for name, value in table.get(scheme, {}).items()} | own
        for scheme, own in (("light", dict(brand.light)), ("dark", dict(brand.dark)))
    }
    missing = [key for key in _KEYS if key not in merged]
    missing += [f"{scheme}.{name}" for scheme in colours for name in _COLOURS if name not in colours[scheme]]
    if missing:
        raise RenderError(f'theme "{brand.theme}"', f"its table has no {missing[0]}", remedy="see themes/plain.toml")
    return Theme(
        name=brand.theme,
        width=merged["width"],
        gutter=merged["gutter"],
        text_font=brand.text_font or merged["text_font"],
        heading_font=brand.heading_font or merged["heading_font"],
        arabic_font=brand.arabic_font or merged["arabic_font"],
        light=colours["light"],
        dark=colours["dark"],
        coloured_masthead=bool(merged.get("coloured_masthead")),
        logo=_fit(brand.logo, merged["width"] - 2 * merged["gutter"]),
        images=brand.images,
        names_failed=brand.names_failed,
    )


def _fit(logo: Logo | None, width: int) -> Logo | None:
    """A logo that is no wider than the column: Outlook would stretch the column."""
    if logo is None or logo.width <= width:
        return logo
    return replace(logo, width=width, height=max(1, round(logo.height * width / logo.width)))


def list_themes(folders: Sequence[Path]) -> list[str]:
    """The names of all themes that have a table."""
    return sorted({path.stem for folder in folders for path in (folder / "email" / "themes").glob("*.toml")})


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RenderError(str(path), "the theme's table cannot be read", remedy="correct the file") from error
