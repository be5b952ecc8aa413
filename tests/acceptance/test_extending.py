"""The source that docs/extending.md shows runs as it stands there."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.acceptance.conftest import Answer, Desk, Ran

MEETINGS = {"meetings": [{"title": "The bridge is closed", "link": "https://council.test/1"}]}


def put_in_place(desk: Desk, repository: Path, url: str) -> None:
    page = (repository / "docs/extending.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (table,) = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    name = re.search(r"`(\w+\.py)`; it reads", page)
    assert name
    (desk.folder / name[1]).write_text(code)
    desk.configure(
        re.sub(r"https://council[^\"]*", f"{url}/minutes.json", table), '[fetch]\nallow_private = ["127.0.0.0/8"]\n'
    )


def check(desk: Desk, *options: str) -> Ran:
    """In a Python of its own, which finds the file by PYTHONPATH alone."""
    done = subprocess.run(
        [sys.executable, "-m", "digest", "sources", "check", "minutes", *options],
        cwd=desk.folder,
        env={**desk.environment, "PYTHONPATH": str(desk.folder), "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def test_the_example_collects_what_a_place_gives(
    desk: Desk, repository: Path, serve_web: Callable[[Callable[[str], Answer]], str]
) -> None:
    put_in_place(desk, repository, serve_web(lambda path: (200, {}, json.dumps(MEETINGS).encode())))
    done = check(desk, "--json")
    assert done.code == 0, done.err
    (row,) = done.rows
    assert (row["id"], row["entries"], row["ok"]) == ("minutes", 1, True)


def test_the_example_says_what_it_cannot_read(
    desk: Desk, repository: Path, serve_web: Callable[[Callable[[str], Answer]], str]
) -> None:
    put_in_place(desk, repository, serve_web(lambda path: (200, {}, b"<html>")))
    done = check(desk)
    assert "it is no list of meetings" in done.out
    assert done.code == 3
