"""The wheel carries all that `digest init` needs, and works where there is no checkout."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.acceptance.conftest import Desk


@pytest.fixture(scope="module")
def installed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package as the wheel brings it."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=repository,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_an_installed_package_makes_a_newsletter_that_sends_itself(desk: Desk, installed: Path) -> None:
    desk.environment["PYTHONPATH"] = str(installed)
    where = subprocess.run(
        [sys.executable, "-c", "import digest; print(digest.__file__)"],
        cwd=desk.folder,
        env=desk.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.startswith(str(installed))
    assert desk.digest("init").code == 0
    for name in ("config.toml", "templates/email/edition.html", "samples/harbour-herald.xml", ".env.example"):
        assert (desk.folder / name).is_file(), name
    assert desk.digest("subscribers", "add", "reader@rehearsal.test").code == 0
    (report,) = desk.digest("run", "--json").rows
    assert (report["status"], report["verdict"]) == ("done", "ok")
    assert len(desk.mails()) == 1


def test_the_wheel_carries_types_migrations_and_nothing_of_the_tests(installed: Path) -> None:
    for name in (
        "py.typed",
        "stores/migrations/env.py",
        "stores/migrations/versions/0001_first.py",
        "share/config.toml",
    ):
        assert (installed / "digest" / name).is_file(), name
    assert not (installed / "tests").exists()
