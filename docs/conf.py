"""Sphinx's settings for these pages; `make check` builds them strictly."""

import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from generate import PAGES, write_pages
from screenshots import hold_places

write_pages(Path(__file__).parent / "reference")
hold_places(Path(__file__).parent / "screenshots")

project = "Digest"
author = "The Digest authors"
copyright = "2026, The Digest authors"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 3
nitpicky = True
smartquotes = False  # what stands in quotes is copied into config.toml
html_theme = "alabaster"
html_static_path = ["static"]
html_theme_options = {
    "description": "The day's articles in one email",
    "page_width": "1080px",
    "sidebar_width": "240px",
}
html_copy_source = False
html_show_sourcelink = False


def add_contents(_: Any, name: str, source: list[str]) -> None:
    """Give index.md the trees of contents that its links are: a site that shows the file would show them as code."""
    if name != "index":
        return
    for section in re.split(r"^## ", source[0], flags=re.MULTILINE)[1:]:
        caption, _, text = section.partition("\n")
        pages = re.findall(r"\]\(([a-z-]+)\.md\)", text)
        if caption == "Look up":
            pages += [f"reference/{page}" for page in PAGES]
        listed = "\n".join(pages)
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n:maxdepth: 1\n\n{listed}\n```\n"


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", add_contents)
