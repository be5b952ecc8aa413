"""What the house promises of itself: threats have tests, rules are on, pages are reached, the map is a map of it."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, object]:
    """pyproject.toml."""
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_threat_names_a_test_that_there_is(repository: Path) -> None:
    page = (repository / "docs/threats.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith(("| threat", "| ---"))]
    named = [re.findall(r"`((?:unit|contract|acceptance|faults)/[\w.]+(?:::\w+)?)`", row) for row in rows]
    assert len(rows) > 50
    for row, tests in zip(rows, named, strict=True):
        assert len(tests) == 1, row
        file, _, name = tests[0].partition("::")
        path = repository / "tests" / file
        assert path.is_file(), row
        assert not name or re.search(rf"^def {name}\(", path.read_text(encoding="utf-8"), re.MULTILINE), row


def test_the_threats_cover_all_that_strangers_and_operators_hand_in(repository: Path) -> None:
    page = (repository / "docs/threats.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", page, re.MULTILINE)[:7] == [
        "Feeds and articles",
        "Prompt injection",
        "Templates",
        "Readers, and who pretends to be one",
        "Webhooks, mail that comes in, and the API",
        "Operators, and their machine",
        "Dependencies",
    ]


def test_the_security_rules_are_on(project: dict[str, dict[str, dict[str, dict[str, list[str]]]]]) -> None:
    lint = project["tool"]["ruff"]["lint"]
    assert "S" in lint["select"]
    assert not [rule for rule in lint["ignore"] if rule.startswith(("S1", "S3", "S6"))]


def test_the_rules_of_imports_are_kept(repository: Path) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=repository, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_the_audit_looks_at_every_locked_package(repository: Path) -> None:
    script = (repository / ".ci/audit.py").read_text(encoding="utf-8")
    locks = re.findall(r'"([\w/-]+\.txt)"', script)

    def packages(name: str) -> set[str]:
        return set(re.findall(r"^([a-z0-9][\w.-]*)==", (repository / name).read_text(encoding="utf-8"), re.MULTILINE))

    looked_at = set().union(*(packages(name) for name in locks))
    everything = [
        str(path.relative_to(repository))
        for path in repository.glob("**/requirements*.txt")
        if path.relative_to(repository).parts[0] not in {".venv", "dist"}
    ]
    assert len(everything) >= 4
    for name in everything:
        assert packages(name) <= looked_at, name
    assert "audit" in (repository / "Makefile").read_text(encoding="utf-8").split("check:")[1].split("\n\n")[0]


def test_make_help_lists_every_target(repository: Path) -> None:
    done = subprocess.run(["make", "help"], cwd=repository, capture_output=True, text=True, check=True)
    phony = re.search(r"^\.PHONY: (.*)$", (repository / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert phony
    for target in phony[1].split():
        assert re.search(rf"^  make {target} +\w", done.stdout, re.MULTILINE), target


def test_the_map_of_the_house_is_that_of_the_house(repository: Path) -> None:
    page = (repository / "CONTRIBUTING.md").read_text(encoding="utf-8")
    drawn = page.split("## The map")[1].split("```")[1]
    for name in set(re.findall(r"\b([a-z_]+)/", drawn)) - {"digest"}:
        assert (
            (repository / "digest" / name).is_dir()
            or (repository / name).is_dir()
            or (repository / "tests" / name).is_dir()
        ), name
    for folder in (path for path in (repository / "digest").iterdir() if path.is_dir() and path.name[0] != "_"):
        assert folder.name in drawn, folder.name


def test_hooks_before_a_commit_call_what_is_installed(repository: Path) -> None:
    hooks = yaml.safe_load((repository / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    lock = (repository / "requirements-dev.txt").read_text(encoding="utf-8")
    for hook in hooks:
        program = Path(hook["entry"].split()[0]).name
        assert re.search(rf"^{program.replace('lint-imports', 'import-linter')}==", lock, re.MULTILINE), program


def test_no_word_is_left_that_says_something_is_to_be_done(repository: Path) -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    for path in [*(repository / "digest").rglob("*.py"), *(repository / "docs").glob("*.md"), repository / "README.md"]:
        assert not marks.search(path.read_text(encoding="utf-8")), path


def test_every_page_is_in_the_index(repository: Path) -> None:
    docs = repository / "docs"
    index = (docs / "index.md").read_text(encoding="utf-8")
    for page in docs.glob("*.md"):
        assert page.stem == "index" or f"]({page.name})" in index, page.name
