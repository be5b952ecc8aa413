"""Digest: from the day's articles to one email that people are glad to open."""

__version__ = "0.1.0"
