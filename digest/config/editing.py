"""Changes to config.toml that keep its comments and order (tomlkit)."""

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT

from digest.config.reading import load_config
from digest.config.schema import Config
from digest.errors import ConfigError


def add_source_table(config: Config, address: str, *, name: str | None, topics: Sequence[str]) -> str:
    """Append a [[sources]] table; returns its id. Raises ConfigError and writes nothing when it would be faulty."""
    is_feed = bool(re.match(r"https?://[^\s/]+", address))
    if not is_feed and not (address and (config.path.parent / address).exists()):
        remedy = "give an address that starts with http:// or https://, or a path that exists"
        raise ConfigError(f'source "{address}"', "it is neither a feed's address nor a file", remedy=remedy)
    for other in config.sources:
        if address in (getattr(other, "url", None), str(getattr(other, "path", ""))):
            raise ConfigError(f'source "{address}"', f'it is configured already, as "{other.id}"')
    chosen = name or _make_id(address, {table.id for table in config.sources})
    table = tomlkit.table()
    table["id"] = chosen
    table["kind"] = "feed" if is_feed else "file"
    table["url" if is_feed else "path"] = address
    if topics:
        table["topics"] = list(topics)
    document = _read(config.path)
    sources = document.get("sources")
    if not isinstance(sources, AoT):
        sources = tomlkit.aot()
        document["sources"] = sources
    if len(sources) and not sources[-1].as_string().endswith("\n\n"):
        sources[-1].add(tomlkit.nl())
    table.add(tomlkit.nl())
    sources.append(table)
    _write(config.path, tomlkit.dumps(document))
    return chosen


def remove_source_table(path: Path, name: str) -> None:
    """Take the [[sources]] table with that id out."""
    document = _read(path)
    sources = document["sources"]
    index = next(i for i, table in enumerate(sources) if table.get("id") == name)
    del sources[index]
    _write(path, tomlkit.dumps(document))


def _make_id(address: str, taken: set[str]) -> str:
    host = urlsplit(address).hostname or Path(address).stem
    stem = re.sub(r"[^a-z0-9]+", "-", host.lower().removeprefix("www.")).strip("-")[:50] or "source"
    return next(name for n in range(1, len(taken) + 2) if (name := stem if n == 1 else f"{stem}-{n}") not in taken)


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
