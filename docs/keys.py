"""The reference of config.toml: every table and key, its type, and its default as the file writes it."""

import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, time, timedelta
from enum import Enum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

ROOT = Path(__file__).parents[1]
_COMMENTED = re.compile(r"^(?:# {0,3})?(?P<key>[a-z_.]+) = .*?\s+#\s+(?P<words>.*)$")
_CONTINUED = re.compile(r"^#? {20,}#\s+(?P<words>.*)$")
_HEADER = re.compile(r"^(?:#\s*)?\[+(?P<table>[a-z_.]+)\]+")
_IN_CODE = re.compile(r"^    (?P<key>[a-z_]+): .*?  # (?P<words>.*)$", re.MULTILINE)
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CUSTOM = "package.module:factory"

# What the functions that read single values take, by their names: they say it better than their types.
_READ = {
    "_read_duration": "duration",
    "_read_limit": 'duration, or `"forever"`',
    "_read_days": "weekdays",
    "_read_weekday": 'weekday, or `"off"`',
    "_read_time": "time of day",
    "_read_holidays": "list of days",
    "_read_rate": "rate",
    "_read_optional_rate": 'rate, or `"off"`',
    "_check_zone": "time zone",
    "_check_address": "mail address",
    "_check_network": "network",
}
_PLAIN = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "path",
    date: "day",
    dict: "table",
    Any: "anything",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table of the file; `kind` where it has another set of keys for each."""

    path: str
    is_list: bool
    model: type[BaseModel]
    kind: str | None = None

    @property
    def title(self) -> str:
        """As its header stands in the file."""
        header = f"[[{self.path}]]" if self.is_list else f"[{self.path}]"
        return header + (f' with kind = "{self.kind}"' if self.kind else "")


def list_tables() -> Iterator[Table]:
    """All, in the order of the file, each followed by those within it; those in a table of each kind, once."""
    from digest.config.schema import Config

    seen: set[tuple[str, type[BaseModel]]] = set()
    for table in _find_tables("", Config):
        if (table.path, table.model) not in seen:
            seen.add((table.path, table.model))
            yield table


def _find_tables(path: str, model: type[BaseModel]) -> Iterator[Table]:
    for name, field in model.model_fields.items():
        # A fallback is a further transport, and no other table.
        if name == "fallback" or (not path and name in {"path", "secrets"}):
            continue
        below, models = f"{path}.{name}".lstrip("."), list(find_models(field.annotation))
        tables = [
            Table(
                path=below,
                is_list=get_origin(field.annotation) is tuple,
                model=one,
                kind=_name_kind(one) if len(models) > 1 else None,
            )
            for one in models
        ]
        yield from tables
        for table in tables:
            yield from _find_tables(below, table.model)


def _name_kind(model: type[BaseModel]) -> str:
    kinds = get_args(model.model_fields["kind"].annotation)
    return str(kinds[0]) if kinds else _CUSTOM


def find_models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The tables that a key may hold."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for inner in get_args(annotation):
        yield from find_models(inner)


def write_configuration() -> Iterator[str]:
    """Every key with its type and default, and what the shipped file says of it."""
    said, tables = _read_comments(), list(list_tables())
    yield "# Configuration keys\n"
    yield "Every key that this version reads. What they are for, in words: [configuration](../configuration.md).\n"
    yield (
        'A duration is written as `"24h"`, a rate as `"50/s"`, a time of day as `"07:00"`, weekdays as `"mon-fri"`, a'
        " day as `2026-12-25`. A key that is not needed and has no default may be left out.\n"
    )
    for table in tables:
        yield f"## {table.title}\n"
        yield "| key | type | default | |\n| --- | --- | --- | --- |"
        for key, field in table.model.model_fields.items():
            words = said.get((table.path, key)) or _read_code(table.model).get(key, "")
            if inner := [one.title for one in tables if one.path == f"{table.path}.{key}"]:
                words = words or f"see `{inner[0]}`"
            elif key == "kind" and table.kind:
                words = ""  # it speaks of the other kinds
            cells = f"`{key}`", write_cell(say_type(field, key)), show_default(field), write_cell(words).rstrip(",")
            yield f"| {' | '.join(cells)} |"
        yield ""


def say_type(field: FieldInfo, key: str = "") -> str:
    """In plain words what may be written there."""
    if key == "fallback":
        return "list of tables as this one"
    if key == "kind" and field.annotation is str:
        return f'`"{_CUSTOM}"`'
    return _say(Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation)


def _say(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        for mark in inner[1:]:
            if words := _READ.get(getattr(getattr(mark, "func", None), "__name__", "")):
                return words
            pattern = getattr(mark, "pattern", None) or _find_pattern(mark)
            if pattern and pattern.startswith("^http"):
                return "link"
            if pattern and "a-fA-F" in pattern and pattern.startswith("^#"):
                return "colour"
        return _say(inner[0])
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_say(one) for one in inner if one is not NoneType))
    if origin is Literal:
        return _say_choice([str(one) for one in inner])
    if origin in (tuple, frozenset):
        return f"list of {_say_many(_say(inner[0]))}"
    if origin is dict:
        values = _say(inner[1])
        return "table" if values == "anything" else f"table of {_say_many(values)}"
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return "table"
    if inspect.isclass(annotation) and issubclass(annotation, Enum):
        return _say_choice([str(one.value) for one in annotation])
    return _PLAIN.get(annotation, "text")


def _say_many(words: str) -> str:
    if words == "text" or words.startswith("one of "):
        return words.removeprefix("one of ")
    return f"{words}{'es' if words.endswith('s') else 's'}"


def _find_pattern(mark: Any) -> str | None:
    return next((found for part in getattr(mark, "metadata", ()) if (found := getattr(part, "pattern", None))), None)


def _say_choice(values: list[str]) -> str:
    shown = ", ".join(f'`"{value}"`' for value in values)
    return f"one of {shown}" if len(values) > 1 else shown


def show_default(field: FieldInfo) -> str:
    """In code as the file writes it; "–" where it is that the key is left out."""
    if field.is_required():
        return "*needed*"
    written = write_value(field, field.get_default(call_default_factory=True))
    return f"`{write_cell(written)}`" if written else "–"


def write_value(field: FieldInfo, value: Any) -> str:
    """As TOML; "" for what cannot be written, and for tables, which have rows of their own."""
    if value is None or value is PydanticUndefined or isinstance(value, BaseModel):
        return ""
    readers = {getattr(mark.func, "__name__", "") for mark in _find_marks(field)}
    if readers & {"_read_rate", "_read_optional_rate"}:
        return f'"{value:g}/s"' if isinstance(value, float) else _write(value)
    if "_read_weekday" in readers:
        return f'"{_WEEKDAYS[value]}"'
    if "_read_days" in readers:
        days = ",".join(_WEEKDAYS[day] for day in sorted(value))
        return '"mon-sun"' if len(value) == len(_WEEKDAYS) else f'"{days}"'
    return _write(value)


def _find_marks(field: FieldInfo) -> Iterator[BeforeValidator]:
    def walk(annotation: Any) -> Iterator[BeforeValidator]:
        if get_origin(annotation) is Annotated:
            yield from (mark for mark in get_args(annotation)[1:] if isinstance(mark, BeforeValidator))
            yield from walk(get_args(annotation)[0])
        elif get_origin(annotation) in (Union, UnionType):
            for inner in get_args(annotation):
                yield from walk(inner)

    yield from (mark for mark in field.metadata if isinstance(mark, BeforeValidator))
    yield from walk(field.annotation)


def _write(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case Enum():
            return json.dumps(value.value)
        case int() | float() | date():
            return str(value)
        case timedelta():
            return f'"{_show_span(value.total_seconds())}"'
        case time():
            return f'"{value:%H:%M}"'
        case frozenset():
            return f"[{', '.join(sorted(_write(one) for one in value))}]"
        case tuple():
            return f"[{', '.join(_write(one) for one in value)}]"
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)} = {_write(one)}" for key, one in value.items()) + "}"
        case _:
            return json.dumps(str(value), ensure_ascii=False)


def _show_span(seconds: float) -> str:
    for unit, size, least in (("d", 86400, 2), ("h", 3600, 1), ("m", 60, 1)):  # "24h", as the file has it
        if seconds >= least * size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def write_cell(text: str) -> str:
    """Words as they may stand in a table."""
    return " ".join(text.split()).replace("|", "\\|")


@cache
def _read_comments() -> dict[tuple[str, str], str]:
    """What stands behind the keys of the shipped config.toml."""
    found: dict[tuple[str, str], str] = {}
    table, last = "", None
    for line in (ROOT / "config.toml").read_text(encoding="utf-8").splitlines():
        if header := _HEADER.match(line):
            table, last = header["table"], None
        elif match := _COMMENTED.match(line):
            path, _, key = f"{table}.{match['key']}".rpartition(".")
            last = None if (path, key) in found else (path, key)
            found.setdefault((path, key), match["words"])
        elif (more := _CONTINUED.match(line)) and last:
            found[last] += f" {more['words']}"
        else:
            last = None
    return found


@cache
def _read_code(model: type[BaseModel]) -> dict[str, str]:
    """What stands behind them in the code; what speaks of Python's None is for developers."""
    found: dict[str, str] = {}
    for one in reversed([one for one in model.__mro__ if one is not BaseModel and issubclass(one, BaseModel)]):
        for match in _IN_CODE.finditer(inspect.getsource(one)):
            words = re.sub(r"(?:; )?None: .*", "", match["words"]).replace(", None", "")
            found[match["key"]] = words if "noqa" not in words else ""
    return found
