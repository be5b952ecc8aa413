"""Write the golden renditions anew: `python -m tests.golden.regenerate`. What changed is then read as a diff."""

from pathlib import Path
from zoneinfo import ZoneInfo

from digest.models import Rendition
from digest.render import Renderer
from tests.golden.editions import EDITIONS

FOLDER = Path(__file__).parent
TEMPLATES = FOLDER.parents[1] / "templates"


def make_renderer(*own: Path) -> Renderer:
    """The shipped templates, below those of an operator's own."""
    return Renderer(
        folders=[*own, TEMPLATES],
        base_url="https://news.example.com",
        postal_address="1 Example Street, Manama",
        reply_to="The editor <editor@example.com>",
        timezone=ZoneInfo("Asia/Bahrain"),
    )


def render_all() -> dict[str, Rendition]:
    """The golden editions, rendered, by name."""
    renderer = make_renderer()
    return {name: renderer.render(edition, "all") for name, edition in EDITIONS.items()}


def main() -> None:
    """Write each rendition as .html and .txt beside this file."""
    for name, rendition in render_all().items():
        (FOLDER / f"{name}.html").write_text(rendition.html, encoding="utf-8")
        (FOLDER / f"{name}.txt").write_text(rendition.text, encoding="utf-8")


if __name__ == "__main__":
    main()
