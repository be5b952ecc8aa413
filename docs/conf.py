"""Sphinx's settings for these pages; `make check` builds them strictly."""

project = "Digest"
author = "The Digest authors"
copyright = "2026, The Digest authors"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 3
nitpicky = True
html_theme = "alabaster"
