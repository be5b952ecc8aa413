"""Sphinx's settings for these pages; `make check` builds them strictly."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from generate import write_pages
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
html_theme = "alabaster"
