"""Style sheets → style attributes, by premailer, with the settings under which it is right.

Its own defaults strip `!important` inside @media (so mobile and dark rules lose to the inlined ones),
fetch style sheets, rewrite links and overwrite width and height attributes. Rules that must stay rules
belong in `<style data-premailer="ignore">`, which is passed on as it is, without the attribute.
"""

import logging
import os
from functools import lru_cache
from threading import Lock

from digest.errors import RenderError

# Read when premailer is imported: one cache holds sheets, selectors and declarations; 128 entries thrash.
os.environ.setdefault("PREMAILER_CACHE_MAXSIZE", "4096")

from premailer import Premailer

_KEPT = 64  # documents; one is some 35 kB
_lock = Lock()  # cssutils' serializer is global: outputs differ when two threads inline at once


def inline_css(html: str, *, subject: str) -> str:
    """The document with its rules inlined: the same for the same input, and done once. RenderErrors name `subject`."""
    try:
        with _lock:
            return _inline(html)
    except Exception as error:  # premailer, cssutils and lxml raise what they like
        remedy = 'move rules it does not understand into <style data-premailer="ignore">'
        raise RenderError(subject, "its style sheets could not be inlined", remedy=remedy) from error


# A revised edition, a test message and each look of a preview render variants that were rendered before.
@lru_cache(maxsize=_KEPT)
def _inline(html: str) -> str:
    inlined: str = Premailer(
        allow_network=False,
        strip_important=False,
        disable_link_rewrites=True,
        align_floating_images=False,
        disable_validation=True,
        cssutils_logging_level=logging.CRITICAL,
        disable_basic_attributes=["width", "height", "align", "valign", "bgcolor"],
    ).transform(html, pretty_print=False)
    return inlined.rstrip() + "\n"
