"""The pictures of these pages, taken of the program itself: `python docs/screenshots.py FOLDER [--if-possible]`.

By Chromium and Playwright. A newsletter of the invented outlets is made in a temporary folder, sent to a hundred
invented readers, and served.
"""

import base64
import contextlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from digest.operate.pictures import find_chromium

PICTURES = ("mail-light", "mail-dark", "preview", "subscribe", "archive", "approval", "status", "status-phone")
_READERS = 100
_EARLIER = 3  # stories of an edition before today's
_EDITOR = "editor@example.com"
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
    """Three: some stories of two outlets on the days before, for the archive, and all the others today.

    Today's is held for approval first, and its page shown, before it goes out.
    """
    config = news / "config.toml"
    whole = config.read_text()
    head, *sources = re.split(r"^(?=\[\[sources\]\])", whole, flags=re.MULTILINE)
    rest = sources[-1][sources[-1].index("[summarizer]") :]
    today, later = datetime.now(UTC).date(), {}
    for back, source, name in ((2, sources[0], "harbour-herald.xml"), (1, sources[1], "selwick-radio.xml")):
        feed = news / "samples" / name
        parts = re.split(r"(?=<item>|<entry[ >])|(?<=</item>)|(?<=</entry>)", feed.read_text())
        stories = [part for part in parts if part.startswith(("<item>", "<entry"))]
        first, last = stories[:-_EARLIER], stories[-_EARLIER:]
        later[feed] = "".join(part for part in parts if part not in last)
        feed.write_text("".join(part for part in parts if part not in first))
        config.write_text(head + source + rest)
        _digest(news, "run", "--on", f"{today - timedelta(days=back)}")
    for feed, text in later.items():
        feed.write_text(text)
    asking = whole.replace('approval = "none"', 'approval = "required"')
    config.write_text(asking.replace("to = []", f'to = ["{_EDITOR}"]'))
    _digest(news, "run")


def take(out: Path, chromium: str) -> None:
    """All of them."""
    from playwright.sync_api import sync_playwright

    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = Path(place)
        os.environ["HOME"] = str(folder)
        token, news = _make_newsletter(folder), folder / "news"
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])

        def shoot(
            name: str, url: str, *, width: int = 1100, scheme: Literal["light", "dark"] = "light", height: int = 900
        ) -> None:
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=scheme,
                http_credentials={"username": "operator", "password": token},
            )
            page = context.new_page()
            page.goto(url)
            page.screenshot(path=str(out / f"{name}.png"), full_page=height == 900)
            context.close()

        with _running(news, "serve") as url:
            shoot("approval", _find_approval(news, url), width=860, height=1200)
        _digest(news, "editions", "approve", "latest", "--by", "Editor")
        _digest(news, "run")
        _digest(news, "preview", "--out", "mail.html")
        shoot("mail-light", (news / "mail.html").as_uri(), width=720, height=1200)
        shoot("mail-dark", (news / "mail.html").as_uri(), width=720, height=1200, scheme="dark")
        with _running(news, "preview", "--no-open") as url:
            shoot("preview", url, height=901)
        with _running(news, "serve") as url:
            shoot("subscribe", f"{url}/morning/subscribe", width=720)
            shoot("archive", f"{url}/morning/", width=720)
            shoot("status", f"{url}/status")
            shoot("status-phone", f"{url}/status", width=390, scheme="dark")
        browser.close()


def _find_approval(news: Path, url: str) -> str:
    """The operator's own link to decide on the newest edition."""
    from digest.app import App
    from digest.config import load_config

    with App(load_config(news / "config.toml")) as app:
        (stored,) = app.store.editions.newest("morning", 1)
        link = app.approval_url(stored.id, _EDITOR)
    return url + link.removeprefix("https://news.example.com")


def main(out: Path, *, must: bool) -> None:
    """Where there is no Chromium and they need not be, blank ones hold their places."""
    if chromium := find_chromium():
        take(out, chromium)
    elif must:
        raise SystemExit("Chromium is not installed: apt install chromium")
    else:
        hold_places(out)
        sys.stderr.write("Chromium is not installed: the pages are built without their pictures\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), must="--if-possible" not in sys.argv)
