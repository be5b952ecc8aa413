"""The wheel carries all that `digest init` needs, and works where there is no checkout."""

import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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


def test_what_older_installers_miss_of_our_libraries_own_needs_is_asked_for_by_ourselves() -> None:
    """They compare the names of extras letter by letter: `html_clean` is not found where it is called `html-clean`."""
    needs = [need for extra in ("", "llm", "postgresql") for need in _needs("digest", extra)]
    ours = {canonicalize_name(need.name) for need in needs}
    missed: set[str] = set()
    waiting, seen = sorted(ours), set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for need in _needs(name):
            waiting.append(canonicalize_name(need.name))
            provided = distribution(need.name).metadata.get_all("Provides-Extra") or []
            for extra in need.extras - set(provided):
                missed |= {canonicalize_name(one.name) for one in _needs(need.name, canonicalize_name(extra))}
    assert "trafilatura" in seen
    assert missed == {"lxml-html-clean"}, "it is no longer missed: pyproject.toml need not name it"
    assert missed <= ours


def _needs(name: str, extra: str = "") -> list[Requirement]:
    """What an installed distribution asks for here, or what an extra of it adds; of one that is not here, nothing."""
    try:
        needs = [Requirement(text) for text in distribution(name).requires or []]
    except PackageNotFoundError:
        return []
    return [need for need in needs if _is_asked(need, extra) and not (extra and _is_asked(need, ""))]


def _is_asked(need: Requirement, extra: str) -> bool:
    return need.marker is None or need.marker.evaluate({"extra": extra})
