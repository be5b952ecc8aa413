"""A picture of a mail, by the Chromium that is installed; Digest brings none."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from digest.errors import ConfigError

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_SECONDS: Final = 60.0
_TALLEST: Final = 16_000  # px; taller pictures are refused by the browser
_MEASURE: Final = "<script>document.title = 'height ' + document.documentElement.scrollHeight</script>"
_HEIGHT: Final = re.compile(r"<title>height (\d+)</title>")


def find_chromium() -> str | None:
    """The one that is installed; None: none is."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


def take_picture(html: str, out: Path, *, width: int = 700) -> None:
    """Write the mail as a PNG, whole. Raises ConfigError when there is no Chromium, or it fails."""
    program = find_chromium()
    if program is None:
        remedy = "install Chromium, or write .html, .txt or .eml"
        raise ConfigError(str(out), "a picture needs Chromium, which is not installed", remedy=remedy)
    with tempfile.TemporaryDirectory(prefix="digest-picture-") as folder:
        page, picture = Path(folder) / "mail.html", Path(folder) / "mail.png"
        page.write_text(html.replace("</body>", f"{_MEASURE}</body>"), encoding="utf-8")
        dumped = _run(program, folder, width, 800, "--dump-dom", page.as_uri(), out=out)
        found = _HEIGHT.search(dumped)
        height = min(int(found[1]) if found else 2000, _TALLEST)
        page.write_text(html, encoding="utf-8")
        _run(program, folder, width, height, f"--screenshot={picture}", page.as_uri(), out=out)
        try:
            out.write_bytes(picture.read_bytes())
        except OSError as error:
            raise ConfigError(str(out), "it cannot be written", remedy="choose another file") from error


def _run(program: str, folder: str, width: int, height: int, *arguments: str, out: Path) -> str:
    command = [
        program,
        "--headless",
        "--disable-gpu",
        "--no-sandbox",  # root has none; the page has no script of a stranger's, and none is loaded
        "--hide-scrollbars",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={folder}/profile",
        f"--window-size={width},{height}",
        "--virtual-time-budget=5000",
        *arguments,
    ]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=True)  # noqa: S603 - no shell
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(str(out), "Chromium could not take the picture", remedy=f"try {program} by itself") from error
    return done.stdout.decode(errors="replace")
