"""The pictures of these pages, taken of the program itself: `python docs/screenshots.py FOLDER` (Chromium, Playwright).

A newsletter of the invented outlets is made in a temporary folder, sent to a hundred invented readers, and served.
"""

import base64
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

PICTURES = ("mail-light", "mail-dark", "preview", "subscribe", "archive", "approval", "status", "status-phone")
_READERS = 100
# A PNG of one transparent pixel: where no picture was taken yet, the pages can be built all the same.
_BLANK = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


def hold_places(folder: Path) -> None:
    """A blank one for each that is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PICTURES:
        if not (folder / f"{name}.png").exists():
            (folder / f"{name}.png").write_bytes(_BLANK)


def _digest(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "digest", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):
        raise SystemExit(f"{' '.join(arguments)}: {done.stderr}")
    return done.stdout


@contextlib.contextmanager
def _running(folder: Path, *arguments: str) -> Iterator[str]:
    """A command that serves; gives its address."""
    command = [sys.executable, "-m", "digest", *arguments, "--port", "0"]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr
        for line in process.stderr:
            if found := re.search(r"http://[\d.]+:\d+", line):
                yield found[0]
                return
        raise SystemExit(f"{' '.join(arguments)} does not serve")
    finally:
        process.terminate()
        process.wait(30)


def _make_newsletter(folder: Path) -> str:
    """One that was sent; the token for its status page."""
    from digest.app import App
    from digest.config import load_config

    _digest(folder, "init", "news")
    news = folder / "news"
    table = "email,name,consent_at\n" + "".join(
        f"reader{number}@example.com,Reader {number},2026-01-05T08:00:00Z\n" for number in range(_READERS)
    )
    (news / "readers.csv").write_text(table)
    _digest(news, "subscribers", "import", "readers.csv", "--consent", "I want the Morning Brief.")
    with App(load_config(news / "config.toml")) as app:
        today = datetime.now(UTC).date()
        for back in range(1, 90):
            app.store.census.keep("morning", today - timedelta(days=back), {"active": _READERS - back})
    _send_editions(news)
    return _digest(news, "tokens", "create", "pictures", "--scope", "status:read").strip()


def _send_editions(news: Path) -> None:
    """One of today by all outlets; before it one by each of two, for the archive: what was told is not told again."""
    config = news / "config.toml"
    whole = config.read_text()
    head, *sources = re.split(
        r"^(?=\[\[sources\]\])", whole.replace("memory_days = 7", "memory_days = 0"), flags=re.MULTILINE
    )
    rest = sources[-1][sources[-1].index("[summarizer]") :]
    for back, source in ((2, sources[0]), (1, sources[1])):
        config.write_text(head + source.replace('id = "', 'id = "earlier-') + rest)
        _digest(news, "run", "--on", f"{datetime.now(UTC).date() - timedelta(days=back)}")
    config.write_text(whole.replace("memory_days = 7", "memory_days = 0"))
    _digest(news, "run")


def take(out: Path) -> None:
    """All of them."""
    from playwright.sync_api import sync_playwright

    chromium = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)
    if chromium is None:
        raise SystemExit("Chromium is not installed: apt install chromium")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = Path(place)
        os.environ["HOME"] = str(folder)
        token, news = _make_newsletter(folder), folder / "news"
        _digest(news, "preview", "--out", "mail.html")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])

        def shoot(name: str, url: str, *, width: int = 1100, scheme: str = "light", height: int = 900) -> None:
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=scheme,  # type: ignore[arg-type]
                http_credentials={"username": "operator", "password": token},
            )
            page = context.new_page()
            page.goto(url)
            page.screenshot(path=str(out / f"{name}.png"), full_page=height == 900)
            context.close()

        shoot("mail-light", (news / "mail.html").as_uri(), width=720, height=1200)
        shoot("mail-dark", (news / "mail.html").as_uri(), width=720, height=1200, scheme="dark")
        with _running(news, "preview", "--no-open") as url:
            shoot("preview", url, height=901)
        with _running(news, "serve") as url:
            shoot("subscribe", f"{url}/morning/subscribe", width=720)
            shoot("archive", f"{url}/morning/", width=720)
            shoot("status", f"{url}/status")
            shoot("status-phone", f"{url}/status", width=390, scheme="dark")
            shoot("approval", _find_approval(news, url), width=860, height=1200)
        browser.close()


def _find_approval(news: Path, url: str) -> str:
    """The operator's own link to decide on the newest edition."""
    from digest.app import App
    from digest.config import load_config

    with App(load_config(news / "config.toml")) as app:
        (stored,) = app.store.editions.newest("morning", 1)
        link = app.approval_url(stored.id, "editor@example.com")
    return url + link.removeprefix("https://news.example.com")


if __name__ == "__main__":
    take(Path(sys.argv[1]))
