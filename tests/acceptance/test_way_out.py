"""The readers' way out is tried over HTTPS before anything is sent unattended."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from digest.app import App
from digest.config import load_config
from digest.web.public import create_public
from tests.acceptance.conftest import Desk
from tests.acceptance.serving import wait_for
from tests.doubles.certificates import make_certificate

_PROBE = """
import sys
from pathlib import Path
from digest.app import App
from digest.config import load_config
with App(load_config(Path(sys.argv[1]), {})) as app:
    print(app.network.probe_unsubscribe(app.links.unsubscribe_url("0" * 32)))
"""


@contextmanager
def https(app: FastAPI, certificate: Path, key: Path) -> Iterator[str]:
    """The app over TLS, at an address of its own."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, ssl_certfile=certificate, ssl_keyfile=key, log_level="error", lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started, 20, "the server")
        yield f"https://localhost:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (create_public, "None"),
        (lambda _: _parked(), "it takes altered links: it is not this newsletter"),
        (lambda _: FastAPI(), "404"),
    ],
    ids=["the newsletter itself", "a parked site", "another program"],
)
def test_only_the_newsletter_itself_is_taken_for_it(
    desk: Desk, tmp_path: Path, make: Callable[[App], FastAPI], said: str
) -> None:
    assert desk.digest("init").code == 0
    path = desk.folder / "config.toml"
    certificate, key = make_certificate(tmp_path)
    with App(load_config(path, {})) as app, https(make(app), certificate, key) as url:
        path.write_text(path.read_text().replace('"https://news.example.com"', f'"{url}"'))
        environment = os.environ | {"SSL_CERT_FILE": str(certificate)}
        command = [sys.executable, "-c", _PROBE, str(path)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert said in done.stdout


def _parked() -> FastAPI:
    """A site that answers to everything."""
    parked = FastAPI()
    parked.get("/{path:path}")(lambda path: HTMLResponse(f"<h1>{len(path)}</h1>"))
    return parked
