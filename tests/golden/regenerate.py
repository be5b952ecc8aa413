"""Write the golden renditions anew: `python -m tests.golden.regenerate`. What changed is then read as a diff.

Each theme's HTML of each edition, and each edition's text, which is the same in every theme.
"""

from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from digest.models import Rendition
from digest.render import Brand, Renderer
from tests.golden.editions import EDITIONS

FOLDER = Path(__file__).parent
TEMPLATES = FOLDER.parents[1] / "templates"
THEMES = ("plain", "magazine", "compact")


def make_renderer(*own: Path, brand: Brand | None = None) -> Renderer:
    """The shipped templates, below those of an operator's own."""
    return Renderer(
        folders=[*own, TEMPLATES],
        base_url="https://news.example.com",
        postal_address="1 Example Street, Manama",
        reply_to="The editor <editor@example.com>",
        timezone=ZoneInfo("Asia/Bahrain"),
        brand=brand,
    )


@cache
def render_all(theme: str = "plain") -> dict[str, Rendition]:
    """The golden editions in a theme, by name."""
    renderer = make_renderer(brand=Brand(theme=theme))
    return {name: renderer.render(edition, "all") for name, edition in EDITIONS.items()}


def main() -> None:
    """Write each rendition beside this file."""
    for theme in THEMES:
        for name, rendition in render_all(theme).items():
            (FOLDER / f"{name}.{theme}.html").write_text(rendition.html, encoding="utf-8")
            (FOLDER / f"{name}.txt").write_text(rendition.text, encoding="utf-8")


if __name__ == "__main__":
    main()
