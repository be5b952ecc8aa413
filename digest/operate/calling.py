"""The operator's own addresses, called over HTTP: a webhook that hears of incidents, and a heartbeat.

They may be on this machine or in a private network, and need no guard: nobody but the operator names them. An address
may be its own key, so no error repeats more of it than its host.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Final
from urllib.parse import urlsplit

from digest import __version__

_SECONDS: Final = 10.0
_TRIES: Final = 3
_PAUSE: Final = 2.0  # seconds before the second try; twice as long before the third


# Without those of files, FTP and redirects, which build_opener adds: where an answer leads elsewhere, the address is
# wrong, and a POST would become a GET that nobody reads.
_OPENER: Final = urllib.request.OpenerDirector()
for _handler in (
    urllib.request.ProxyHandler(),
    urllib.request.HTTPHandler(),
    urllib.request.HTTPSHandler(),
    urllib.request.HTTPDefaultErrorHandler(),
    urllib.request.HTTPErrorProcessor(),
):
    _OPENER.add_handler(_handler)


def call(url: str, told: Mapping[str, object] | None = None, *, wait: Callable[[float], None]) -> str | None:
    """POST `told` as JSON, or GET; a few times. What went wrong, in words that name the host alone; None: nothing."""
    fault = ""
    for attempt in range(_TRIES):
        if attempt:
            wait(_PAUSE * 2 ** (attempt - 1))
        fault = _try(url, told)
        if not fault:
            return None
    return f"{urlsplit(url).hostname}: {fault}"


def _try(url: str, told: Mapping[str, object] | None) -> str:
    headers = {"User-Agent": f"Digest/{__version__}"}
    body = None
    if told is not None:
        body = json.dumps(told, ensure_ascii=False).encode()
        headers["Content-Type"] = "application/json"
    try:
        request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 - the configuration asks for HTTP
        with _OPENER.open(request, timeout=_SECONDS):
            return ""
    except urllib.error.HTTPError as error:
        error.close()
        return f"it answers {error.code}"
    except urllib.error.URLError as error:
        return _describe(error.reason)
    except (OSError, HTTPException, ValueError) as error:
        return _describe(error)


def _describe(reason: object) -> str:
    if isinstance(reason, TimeoutError):
        return f"no answer within {_SECONDS:.0f} s"
    return getattr(reason, "strerror", None) or type(reason).__name__
