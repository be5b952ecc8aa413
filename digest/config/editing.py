"""Changes to config.toml that keep its comments and order (tomlkit)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Table

from digest.config.reading import load_config
from digest.config.schema import Config
from digest.errors import ConfigError
from digest.models import Rights


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSource:
    """A source to be written into the configuration."""

    address: str
    kind: str | None = None  # None: a feed, or a file when the address is one
    id: str | None = None  # None: made from the title, else from the address
    title: str | None = None
    topics: tuple[str, ...] = ()
    rights: Rights | None = None


def add_source_tables(config: Config, sources: Sequence[NewSource]) -> list[str]:
    """Append [[sources]] tables; returns their ids. Raises ConfigError and writes nothing when one would be faulty."""
    document = _read(config.path)
    there = document.get("sources")
    tables = there if isinstance(there, AoT) else tomlkit.aot()
    taken = {table.id for table in config.sources}
    known = {_address_of(table): table.id for table in config.sources}
    added = []
    for source in sources:
        if source.address in known:
            raise ConfigError(f'source "{source.address}"', f'it is configured already, as "{known[source.address]}"')
        chosen = source.id or _make_id(source, taken)
        if len(tables) and not tables[-1].as_string().endswith("\n\n"):
            tables[-1].add(tomlkit.nl())
        tables.append(_make_table(config, source, chosen))
        known[source.address] = chosen
        taken.add(chosen)
        added.append(chosen)
    if tables is not there:
        document["sources"] = tables
    _write(config.path, tomlkit.dumps(document))
    return added


def _address_of(table: Any) -> str:
    return str(getattr(table, "url", None) or getattr(table, "path", ""))


def _make_table(config: Config, source: NewSource, chosen: str) -> Table:
    is_url = bool(re.match(r"https?://[^\s/]+", source.address))
    if not is_url and not (source.address and (config.path.parent / source.address).exists()):
        remedy = "give an address that starts with http:// or https://, or a path that exists"
        raise ConfigError(f'source "{source.address}"', "it is neither a feed's address nor a file", remedy=remedy)
    table = tomlkit.table()
    table["id"] = chosen
    table["kind"] = source.kind or ("feed" if is_url else "file")
    table["url" if is_url else "path"] = source.address
    if source.title:
        table["title"] = source.title
    if source.topics:
        table["topics"] = list(source.topics)
    if source.rights:
        table["rights"] = source.rights
    table.add(tomlkit.nl())
    return table


def remove_source_table(path: Path, name: str) -> None:
    """Take the [[sources]] table with that id out; the next one comes to the end of the file when it was the last."""
    document = _read(path)
    sources = document["sources"]
    index = next(i for i, table in enumerate(sources) if table.get("id") == name)
    del sources[index]
    if not sources:
        del document["sources"]
    _write(path, tomlkit.dumps(document))


def write_tables(path: Path, tables: Mapping[str, Any]) -> None:
    """Write a whole configuration of TOML's own values; it is not read back. Raises ConfigError."""
    try:
        path.write_text(tomlkit.dumps(tables), encoding="utf-8")
    except OSError as error:
        raise ConfigError(str(path), "it cannot be written") from error


def _make_id(source: NewSource, taken: set[str]) -> str:
    host = urlsplit(source.address).hostname or Path(source.address).stem
    named = _fold(source.title or "")
    stem = named if len(named) > 2 else _fold(host.lower().removeprefix("www.")) or "source"
    return next(name for n in range(1, len(taken) + 2) if (name := stem if n == 1 else f"{stem}-{n}") not in taken)


def _fold(text: str) -> str:
    """Letters and digits of ASCII with hyphens between, as an id may be."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:50].strip("-")


def _read(path: Path) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(path.read_text(encoding="utf-8-sig"))
    except (OSError, TOMLKitError) as error:
        raise ConfigError(str(path), "it cannot be read") from error


def _try_draft(draft: Path, path: Path) -> None:
    try:
        load_config(draft)
    except ConfigError as error:
        faults = [fault.replace(str(draft), str(path)) for fault in error.faults] or [str(error)]
        raise ConfigError(str(path), faults=[f"{fault}; nothing was written" for fault in faults]) from None


def _write(path: Path, text: str) -> None:
    """Replace the file in one step, and only with what can be read again."""
    draft = path.with_name(f".{path.name}.new")
    try:
        draft.write_text(text, encoding="utf-8")
        _try_draft(draft, path)
        draft.replace(path)
    except OSError as error:
        raise ConfigError(str(path), "it cannot be written") from error
    finally:
        draft.unlink(missing_ok=True)
