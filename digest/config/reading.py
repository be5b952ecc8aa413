"""From a file and the environment to a Config, or to every fault of the file at once."""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, Tag, ValidationError

from digest.config import delivering, schema
from digest.config.schema import Config
from digest.errors import ConfigError

DEFAULT_JOURNAL = "digest.leavers"  # beside the configuration, of a database on a server
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_HEADER = re.compile(r"^\s*(\[\[?)\s*([A-Za-z0-9_.\-]+)\s*\]\]?\s*(?:#.*)?$")
_SHAPES = {
    "url": "write an address that starts with http:// or https://",
    "base_url": "write an address that starts with http:// or https://, an international host as xn--…",
    "host": "write an address that starts with http:// or https://",
    "accent": 'write a colour as "#0b6157"',
    "on_accent": 'write a colour as "#0b6157"',
    "ink": 'write a colour as "#0b6157"',
    "soft": 'write a colour as "#0b6157"',
    "line": 'write a colour as "#0b6157"',
    "paper": 'write a colour as "#0b6157"',
    "desk": 'write a colour as "#0b6157"',
    "heading_font": "write family names parted by commas, without quotes",
    "text_font": "write family names parted by commas, without quotes",
    "logo": "write an address that starts with https://",
    "name": "use small letters, digits, - and _",
    "id": "use small letters, digits, - and _",
    "slug": "use small letters, digits, - and _",
    "language": 'use a BCP 47 tag such as "en" or "pt-BR"',
    "approval": 'write "none", "required" or "first:7"',
}
_SECRET = {"password", "api_key", "key", "token", "secret", "secret_key"}


def find_config(path: Path | None, environment: Mapping[str, str]) -> Path:
    """Which file to read: the argument, DIGEST_CONFIG, ./config.toml. Raises ConfigError when it is not there."""
    chosen = path or Path(environment.get("DIGEST_CONFIG") or "config.toml")
    if not chosen.is_file():
        remedy = "run `digest init` to make one, or name another with --config"
        raise ConfigError(str(chosen), "there is no such configuration file", remedy=remedy)
    return chosen


def load_config(path: Path, environment: Mapping[str, str] | None = None) -> Config:
    """Read and check a configuration. Raises ConfigError with every fault, each with its line.

    Relative paths in it become relative to its folder.
    """
    environment = os.environ if environment is None else environment
    try:
        source = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), "it cannot be read", remedy="check that it is a UTF-8 text file") from error
    try:
        tables = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(path), f"it is not valid TOML: {error}", remedy="mend that line") from None
    faults = _find_missing_variables(tables, environment, path)
    variables = {name: environment[name] for name in _find_variables(tables) if environment.get(name)}
    tables = _fill_variables(tables, environment)
    if url := environment.get("DIGEST_STORE_URL"):
        tables.setdefault("store", {})["url"] = url
    tables["path"] = path.resolve()
    tables["secrets"] = {
        name: environment[f"DIGEST_{name.upper()}"]
        for name in schema.Secrets.model_fields
        if name not in {"canary_passwords", "variables"} and environment.get(f"DIGEST_{name.upper()}")
    } | {
        "canary_passwords": {
            name: secret for name, secret in environment.items() if name.startswith("DIGEST_CANARY_PASSWORD_")
        },
        "variables": variables,
    }
    try:
        config = Config.model_validate(tables)
    except ValidationError as error:
        lines = Lines(source)
        faults += [_describe(fault, lines, path, tables, bool(url)) for fault in error.errors(include_url=False)]
        raise ConfigError(str(path), faults=list(dict.fromkeys(faults))) from None
    if faults:
        raise ConfigError(str(path), faults=faults)
    return _resolve_paths(config)


class Lines:
    """Where each key of a TOML file stands; table headers stand bare on their lines, inline tables on their key's."""

    def __init__(self, source: str) -> None:
        """Index the lines of `source` by table, array index and key."""
        self._at: dict[tuple[str | int, ...], int] = {}
        table: tuple[str | int, ...] = ()
        counts: dict[str, int] = {}
        for number, line in enumerate(source.splitlines(), 1):
            header = _HEADER.match(line)
            if header:
                name = header[2]
                table = tuple(name.split("."))
                if header[1] == "[[":
                    counts[name] = counts.get(name, -1) + 1
                    table = (*table, counts[name])
                self._at.setdefault(table, number)
            elif key := re.match(r"^\s*[\"']?([A-Za-z0-9_\-]+)[\"']?\s*[.=]", line):
                self._at.setdefault((*table, key[1]), number)

    def of(self, location: Sequence[str | int]) -> int | None:
        """The line of a key, or of the nearest table around it."""
        path = tuple(location)
        while path:
            if path in self._at:
                return self._at[path]
            path = path[:-1]
        return None


def _describe(fault: Any, lines: Lines, path: Path, tables: Mapping[str, Any], has_store_url: bool) -> str:
    """One fault as a line: file, line, key, what is wrong, what to do; `has_store_url` of the environment."""
    location = _without_tags(fault["loc"], tables)
    line = lines.of(location)
    where = f"{path}:{line}" if line else str(path)
    if has_store_url and location == ("store", "url"):
        where = "DIGEST_STORE_URL"
    key = ".".join(f"[{part}]" if isinstance(part, int) else part for part in location).replace(".[", "[")
    match fault["type"]:
        case "extra_forbidden":
            if location[-1] in _SECRET:
                return f'{where}: unknown key "{key}" (secrets come from the environment only: see .env.example)'
            if kind := _kind_of_key(location, tables):
                return f'{where}: "{key}" goes with kind = "{kind}", which the table does not say'
            known = _known_keys(location[:-1], tables)
            near = get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
            hint = f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(sorted(known))}"
            return f'{where}: unknown key "{key}" ({hint})'
        case "missing":
            return f'{where}: "{key}" is missing'
    written = fault["input"]
    if fault["type"] == "union_tag_invalid" and isinstance(written, dict):
        location, key, written = (*location, "kind"), f"{key}.kind", written.get("kind")
        if written is None:
            return f'{where}: "{key}" is missing'
    if fault["type"] == "union_tag_invalid":
        expected = fault["ctx"]["expected_tags"].replace("'custom'", '"package.module:factory"').replace("'", '"')
        return f'{where}: "{key}": there is no kind "{written}"; use one of {expected}'
    message = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "string_pattern_mismatch":
        message = _SHAPES.get(str(location[-1]), "it is not of the right form")
    return f'{where}: "{key}": {message}' if key else f"{where}: {message}"


def _without_tags(location: Sequence[str | int], tables: Mapping[str, Any]) -> tuple[str | int, ...]:
    """Pydantic names the chosen member of a union in the location; the file does not."""
    kept: list[str | int] = []
    at: Any = tables
    for part in location:
        inside = (isinstance(at, Mapping) and part in at) or (isinstance(at, list) and isinstance(part, int))
        if part in _tags() and not inside:
            continue
        kept.append(part)
        at = at[part] if inside and not (isinstance(part, int) and part >= len(at)) else None
    return tuple(kept)


@lru_cache(maxsize=1)
def _tags() -> frozenset[str]:
    """The names of all members of unions."""
    return frozenset(tag for field in Config.model_fields.values() for tag in _tags_in(field.annotation))


def _tags_in(annotation: Any) -> Iterator[str]:
    for part in get_args(annotation):
        if isinstance(part, Tag):
            yield part.tag
        yield from _tags_in(part)


def _known_keys(table: Sequence[str | int], tables: Mapping[str, Any]) -> list[str]:
    """The keys that a table may have."""
    if not table:
        return [name for name in Config.model_fields if name not in {"path", "secrets"}]
    name = str(table[0])
    written: Any = tables
    for part in table:
        written = written[part]
    members = _models_of(Config.model_fields[name].annotation)
    for part in table[1:]:  # a table within a table, as [theme.light]
        fields = members[0].model_fields if len(members) == 1 else {}
        if isinstance(part, str) and part in fields:
            members = _models_of(fields[part].annotation)
    if len(members) > 1:
        kind = written.get("kind")
        members = [m for m in members if kind in get_args(m.model_fields["kind"].annotation)] or members
    return [key for member in members for key in member.model_fields]


def _kind_of_key(location: Sequence[str | int], tables: Mapping[str, Any]) -> str | None:
    """The kind that an unknown key belongs to, in a table that names none; None: there is no such kind."""
    written: Any = tables
    for part in location[:-1]:
        written = written[part]
    if len(location) < 2 or not isinstance(written, Mapping) or "kind" in written:
        return None
    members = _models_of(Config.model_fields[str(location[0])].annotation)
    if len(members) < 2:
        return None
    kinds = [str(get_args(m.model_fields["kind"].annotation)[0]) for m in members if location[-1] in m.model_fields
             and get_args(m.model_fields["kind"].annotation)]  # fmt: skip
    return kinds[0] if len(kinds) == 1 else None


def _models_of(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_of(part)]


def _find_places(tables: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Where variables may be named: the key as errors name it, its table and its name there."""
    alerts = tables.get("alerts")
    if isinstance(alerts, dict):
        yield from ((f"alerts.{key}", alerts, key) for key in ("webhook", "heartbeat") if key in alerts)
    sources = tables.get("sources")
    for index, source in enumerate(sources if isinstance(sources, list) else ()):
        headers = source.get("headers") if isinstance(source, dict) else None
        if isinstance(headers, dict):
            yield from ((f"sources[{index}].headers.{header}", headers, header) for header in headers)


def _find_variables(tables: Mapping[str, Any]) -> list[str]:
    return [name for _, table, key in _find_places(tables) for name in _VARIABLE.findall(str(table[key]))]


def _find_missing_variables(tables: Mapping[str, Any], environment: Mapping[str, str], path: Path) -> list[str]:
    return [
        f'{path}: "{place}" names ${{{name}}}, which the environment does not have'
        for place, table, key in _find_places(tables)
        for name in _VARIABLE.findall(str(table[key]))
        if name not in environment
    ]


def _fill_variables(tables: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    for _, table, key in _find_places(tables):
        if isinstance(table[key], str):
            table[key] = _VARIABLE.sub(lambda match: environment.get(match[1], ""), table[key])
    return tables


def _resolve_paths(config: Config) -> Config:
    folder = config.path.parent
    sources = tuple(
        source.model_copy(update={"path": folder / source.path})
        if isinstance(source, schema.FileSourceTable)
        else source
        for source in config.sources
    )
    url = config.store.url
    if url.startswith("sqlite:///") and (database := url.removeprefix("sqlite:///")) not in {"", ":memory:"}:
        url = f"sqlite:///{folder / database}"
    return config.model_copy(
        update={
            "sources": sources,
            "inbox": config.inbox.model_copy(update={"path": folder / config.inbox.path}),
            "store": config.store.model_copy(update={"url": url, "journal": _find_journal(config, folder)}),
            "transport": _resolve_transport(config.transport, folder),
        }
    )


def _find_journal(config: Config, folder: Path) -> Path | None:
    """A server's database has none beside it; that of a file follows the file."""
    if config.store.journal is not None:
        return folder / config.store.journal
    return folder / DEFAULT_JOURNAL if config.store.url.startswith("postgresql") else None


def _resolve_transport(table: Any, folder: Path) -> Any:
    update: dict[str, Any] = {}
    if isinstance(table, delivering.OutboxTable):
        update["path"] = folder / table.path
    if isinstance(table, delivering.SmtpTable) and table.dkim:
        update["dkim"] = table.dkim.model_copy(update={"key": folder / table.dkim.key})
    if getattr(table, "fallback", ()):
        update["fallback"] = tuple(_resolve_transport(other, folder) for other in table.fallback)
    return table.model_copy(update=update)
