"""The documentation speaks of the program that there is."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import generate
import pytest
import screenshots
import tomlkit
from pydantic import BaseModel

from digest.config import load_config
from digest.config.delivering import OutboxTable, SendGridTable, SmtpTable
from digest.config.schema import Config, FeedSourceTable, FileSourceTable
from tests.acceptance.conftest import Desk

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]


def _list_uses(page: str) -> Iterator[tuple[str, str, list[str]]]:
    """Every command that stands in code: its name, the word behind it, and its options."""
    blocks = re.findall(r"^```(?!toml|toctree|json)[a-z]*\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL))
    for code in [*spans, *re.findall(r"^    .*$", page, re.MULTILINE), *"\n".join(blocks).splitlines()]:
        for match in re.finditer(r"(?:^|[\s/(])digest ([a-z][a-z-]*)(?: ([a-z]+))?(.*?)(?=$| digest |\s#|&&)", code):
            yield match[1], match[2] or "", re.findall(r"(?<![\w-])--[a-z][a-z-]+", match[3])


@pytest.fixture(scope="module")
def groups() -> dict[str, set[str]]:
    """Every command, and the subcommands of those that have some."""
    from typer.main import get_command

    from digest.cli import commands

    root = get_command(commands)
    return {name: set(getattr(command, "commands", {})) for name, command in root.commands.items()}  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", PAGES)
def test_every_command_and_option_in_the_docs_exists(repository: Path, name: str) -> None:
    from typer.main import get_command

    from digest.cli import commands

    root: Any = get_command(commands)
    for word, sub, options in _list_uses((repository / name).read_text(encoding="utf-8")):
        assert word in root.commands, f"{name}: digest {word}"
        command = root.commands[word]
        if subcommands := getattr(command, "commands", {}):
            assert not sub or sub in subcommands, f"{name}: digest {word} {sub}"
            command = subcommands.get(sub, command)
        known = {one for command in (command, root) for param in command.params for one in _spell(param)}
        assert set(options) <= known | {"--help"}, f"{name}: digest {word} {sub}"


def _spell(param: Any) -> list[str]:
    return [*param.opts, *param.secondary_opts]


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


def _list_tables_in_docs() -> Iterator[tuple[str, str]]:
    for name in PAGES:
        page = (ROOT / name).read_text(encoding="utf-8")
        yield from ((name, block) for block in re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL))


def _merge(into: dict[str, Any], tables: dict[str, Any]) -> None:
    """As who pastes it: a table of another kind replaces the one that is there; further list tables follow."""
    for key, value in tables.items():
        old = into.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and value.get("kind", old.get("kind")) == old.get("kind"):
            _merge(old, value)
        elif isinstance(old, list) and isinstance(value, list) and value and isinstance(value[0], dict):
            ids = {one.get("id") for one in value}
            into[key] = [one for one in old if one.get("id") not in ids] + value
        else:
            into[key] = value


@pytest.mark.parametrize(("name", "block"), list(_list_tables_in_docs()))
def test_every_table_in_the_docs_loads_beside_the_shipped_ones(name: str, block: str, tmp_path: Path) -> None:
    tables = tomllib.loads(block)
    whole = tomllib.loads((ROOT / "config.toml").read_text(encoding="utf-8"))
    if tables.get("transport", {}).keys() == {"dkim"}:  # of a transport that is shown above it
        whole["transport"] = {"kind": "smtp", "host": "mail.example.com"}
    _merge(whole, tables)
    path = tmp_path / "config.toml"
    path.write_text(tomlkit.dumps(whole))
    environment = dict.fromkeys(re.findall(r"\$\{(\w+)\}", block), "https://hooks.example/x")
    if "procrastinate" in block:
        environment["DIGEST_STORE_URL"] = "postgresql+psycopg://digest@db.example/digest"
    assert load_config(path, environment).newsletter.slug == whole["newsletter"]["slug"]


def test_every_page_is_linked_from_another_in_words(repository: Path) -> None:
    docs = repository / "docs"
    linked: dict[Path, set[str]] = {}
    for page in [*docs.glob("*.md"), repository / "README.md"]:
        for link in _list_links(page):
            target = (page.parent / link.partition("#")[0]).resolve()
            linked.setdefault(target, set()).add(page.name)
    for page in docs.glob("*.md"):
        if page.name != "index.md":
            assert linked.get(page, set()) - {page.name}, page.name


def test_every_link_in_the_docs_leads_somewhere(repository: Path) -> None:
    docs = repository / "docs"
    made = {docs / "reference" / f"{name}.md" for name in generate.PAGES}
    made |= {docs / "screenshots" / f"{name}.png" for name in screenshots.PICTURES}
    for name in [*PAGES, "SECURITY.md", "CHANGELOG.md"]:
        page = repository / name
        for link in _list_links(page):
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target in made or target.exists(), (name, link)
            if anchor and target not in made:
                assert anchor in _list_anchors(target), (name, link)


def _list_links(page: Path) -> list[str]:
    """Those within these pages; what stands in code is none."""
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"\]\(((?!https?:|mailto:)[^)\s]+)\)", text)


def _list_anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


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
