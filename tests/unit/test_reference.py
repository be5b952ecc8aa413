"""The reference of the configuration has every key, with a type, and with a default that can be written back."""

import re
import tomllib
from typing import Annotated, Any, get_args

import pytest
from keys import list_tables, write_configuration
from pydantic import BaseModel, TypeAdapter

from digest.config.schema import Config, Secrets

Rows = dict[str, dict[str, tuple[str, str]]]


@pytest.fixture(scope="module")
def page() -> Rows:
    """By the header of a table: each key's type and default."""
    found: Rows = {}
    for line in "\n".join(write_configuration()).splitlines():
        if line.startswith("## "):
            rows = found.setdefault(line.removeprefix("## "), {})
        elif match := re.match(r"\| `(\w+)` \| (.*?) \| (\*needed\*|–|`.*?`) \| ", line):
            rows[match[1]] = (match[2], match[3])
    return found


def find_models(annotation: Any, found: set[type[BaseModel]]) -> set[type[BaseModel]]:
    """All models that a configuration may be made of; a transport may hold further ones like it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation not in found:
        found.add(annotation)
        for field in annotation.model_fields.values():
            find_models(field.annotation, found)
    for part in get_args(annotation):
        find_models(part, found)
    return found


def test_every_key_of_every_model_is_there(page: Rows) -> None:
    assert {table.model for table in list_tables()} == find_models(Config, set()) - {Config, Secrets}
    assert len(page) == len(list(list_tables()))
    for table in list_tables():
        assert page[table.title].keys() == table.model.model_fields.keys(), table.title
        assert all(words for words, _ in page[table.title].values())


def test_headers_are_as_the_file_has_them(page: Rows) -> None:
    for title in (
        "[transport.warm_up]",
        "[transport.dkim]",
        "[[canary.mailboxes]]",
        "[[schedule.pauses]]",
        "[theme.light]",
        "[theme.dark]",
        '[[sources]] with kind = "package.module:factory"',
        '[transport] with kind = "package.module:factory"',
    ):
        assert title in page
    assert not [title for title in page if '"str"' in title]


def test_every_default_that_is_shown_can_be_written_back(page: Rows) -> None:
    shown = 0
    for table in list_tables():
        for key, field in table.model.model_fields.items():
            default = page[table.title][key][1]
            assert (default == "*needed*") == field.is_required(), (table.title, key)
            value = field.get_default(call_default_factory=True)
            if not default.startswith("`"):
                assert field.is_required() or value is None or isinstance(value, BaseModel), (table.title, key)
                continue
            shown += 1
            written = tomllib.loads(f"{key} = {default.strip('`').replace(chr(92) + '|', '|')}")[key]
            if key == "fallback":  # of tables that are defined after it
                assert (written, value) == ([], ())
                continue
            kind = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
            assert TypeAdapter(kind).validate_python(written) == value, (table.title, key)
    assert shown > 100


def test_types_are_words_and_defaults_are_as_the_file_writes_them(page: Rows) -> None:
    schedule, transport = page["[schedule]"], page['[transport] with kind = "smtp"']
    assert schedule["weekly"] == ('weekday, or `"off"`', '`"sun"`')
    assert schedule["days"] == ("weekdays", '`"mon-sun"`')
    assert schedule["at"] == ("time of day", '`"07:00"`')
    assert transport["rate"] == ("rate", '`"50/s"`')
    assert transport["tls"] == ('one of `"starttls"`, `"tls"`, `"none"`', '`"starttls"`')
    assert transport["port"] == ("whole number", "`587`")
    assert page["[canary]"]["require"] == ('list of `"dkim"`, `"spf"`, `"dmarc"`', '`["dkim", "dmarc", "spf"]`')
    assert page["[alerts]"]["to"] == ("list of mail addresses", "`[]`")
    assert page["[breakers]"]["failures"] == ("number", "`0.1`")
    assert page["[counting]"]["opens"] == ("true or false", "`false`")
    assert page["[edition]"]["window"] == ("duration", '`"24h"`')
