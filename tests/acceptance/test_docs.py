"""The documentation speaks of the program that there is."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from digest.config.delivering import OutboxTable, SendGridTable, SmtpTable
from digest.config.schema import Config, FeedSourceTable, FileSourceTable
from tests.acceptance.conftest import Desk

PAGES = [
    "README.md",
    "docs/tutorial.md",
    "docs/commands.md",
    "docs/models.md",
    "docs/drill.md",
    "docs/deploying.md",
    "docs/scale.md",
]


def _commands(page: str) -> set[str]:
    return set(re.findall(r"\bdigest ((?:[a-z][a-z-]*)(?: [a-z]+)?)", page))


@pytest.fixture(scope="module")
def groups() -> dict[str, set[str]]:
    """Every command, and the subcommands of those that have some."""
    from typer.main import get_command

    from digest.cli import commands

    root = get_command(commands)
    return {name: set(getattr(command, "commands", {})) for name, command in root.commands.items()}  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", PAGES)
def test_every_command_in_the_docs_exists(repository: Path, groups: dict[str, set[str]], name: str) -> None:
    page = (repository / name).read_text(encoding="utf-8")
    for block in re.findall(r"`([^`\n]*digest [^`\n]*)`|^(digest .*)$", page, re.MULTILINE):
        for found in _commands(" ".join(block)):
            command, _, sub = found.partition(" ")
            assert command in groups, f"{name}: digest {found}"
            if groups[command] and sub:
                assert sub in groups[command], f"{name}: digest {found}"


def test_no_word_of_the_help_is_taken_for_markup() -> None:
    from rich.text import Text
    from typer.main import get_command

    from digest.cli import commands

    def list_helps(command: Any) -> Iterator[str]:
        yield from (text for text in (command.help, *(getattr(one, "help", "") for one in command.params)) if text)
        for sub in getattr(command, "commands", {}).values():
            yield from list_helps(sub)

    helps = list(list_helps(get_command(commands)))
    assert len(helps) > 100
    assert [text for text in helps if Text.from_markup(text).plain != text.replace("\\[", "[")] == []


def test_every_command_is_in_the_docs(repository: Path, groups: dict[str, set[str]]) -> None:
    page = (repository / "docs/commands.md").read_text(encoding="utf-8")
    for command, subcommands in groups.items():
        assert f"digest {command}" in page
        line = next(line for line in page.splitlines() if line.startswith(f"| `digest {command}"))
        for sub in subcommands:
            assert re.search(rf"\b{sub}\b", line), f"digest {command} {sub}"


def _tables() -> Iterator[type[BaseModel]]:
    for name, field in Config.model_fields.items():
        if name not in {"path", "secrets"} and isinstance(field.annotation, type):
            yield field.annotation
    yield from (FeedSourceTable, FileSourceTable, OutboxTable, SmtpTable, SendGridTable)


def test_every_configuration_key_is_documented(repository: Path) -> None:
    page = (repository / "docs/configuration.md").read_text(encoding="utf-8")
    for table in _tables():
        if issubclass(table, BaseModel):
            for key in table.model_fields:
                assert f"`{key}`" in page, f"{table.__name__}.{key}"


def test_the_glossary_has_the_words_of_the_code(repository: Path) -> None:
    page = (repository / "docs/glossary.md").read_text(encoding="utf-8")
    for word in ("entry", "article", "story", "edition", "rendition", "variant", "delivery", "batch", "transport"):
        assert f"| {word} |" in page


def test_the_readmes_own_commands_run(desk: Desk, repository: Path) -> None:
    page = (repository / "README.md").read_text(encoding="utf-8")
    block = page.split("## Use it")[1].split("```sh\n")[1].split("```")[0]
    for line in block.splitlines():
        command = line.partition("#")[0].strip()
        if command.startswith("digest init"):
            assert desk.digest("init").code == 0
        elif command == "digest preview":
            assert desk.digest("preview", "--out", "shown.html").code == 0
        elif command.startswith("digest ") and command != "digest serve":
            done = desk.digest(*shlex.split(command)[1:])
            # The example's own feed cannot be reached from a test: the run says so, and sends all the same.
            assert done.code in {0, 3}, (command, done.err)
    assert len(desk.mails()) == 1
