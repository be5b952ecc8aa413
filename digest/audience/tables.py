"""Files of subscribers → their columns and rows: CSV of any separator, and JSON Lines, in the encodings that occur.

columns are known by our names, by those of listmonk's and Mailchimp's exports, and by what the operator says
"""

import csv
import json
from codecs import getincrementaldecoder
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from digest.audience.rows import COLUMNS, FURTHER
from digest.errors import ConfigError

_SAMPLE: Final = 1_000_000  # bytes by which the encoding is told
_MARKS: Final = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_ALIASES: Final = {
    **{name: name for name in (*COLUMNS, *FURTHER)},
    **dict.fromkeys(("e_mail", "email_address", "mail", "e_mail_address"), "email"),
    **dict.fromkeys(("full_name",), "name"),
    **dict.fromkeys(("fname", "firstname", "given_name"), "first_name"),
    **dict.fromkeys(("lname", "lastname", "surname", "family_name"), "last_name"),
    **dict.fromkeys(("lang", "locale"), "language"),
    **dict.fromkeys(("tz", "time_zone"), "timezone"),
    "status": "state",
    "confirm_time": "consent_at",
    "confirm_ip": "consent_from",
    "unsub_time": "left_at",
    "unsub_reason": "left_because",
    "clean_time": "bounced_at",
}
# What listmonk's and Mailchimp's exports have beside that, and we have no use for.
_IGNORED: Final = frozenset(
    """uuid id attributes lists created_at updated_at member_rating optin_time optin_ip latitude longitude gmtoff dstoff
    cc region last_changed leid euid notes unsub_campaign_title unsub_campaign_id unsub_reason_other
    clean_campaign_title clean_campaign_id phone_number birthday address company""".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A file that is being read: its columns by our names, and its rows."""

    columns: tuple[str | None, ...]
    ignored: tuple[str, ...]  # columns that nothing is made of
    encoding: str
    rows: Iterator[tuple[int, Sequence[str] | None]]  # the line, from 1, and the cells; None: it cannot be read


@contextmanager
def open_table(path: Path, *, mapping: Mapping[str, str], encoding: str | None = None) -> Iterator[Table]:
    """Open a file of subscribers. Raises ConfigError when it as a whole cannot be read.

    `mapping` says of columns, as they are written, which of ours they are; "" is none. Bytes that are not of the
    encoding come as lone surrogates.
    """
    try:
        with path.open("rb") as raw:
            sample = raw.read(_SAMPLE)
        named = encoding or _find_encoding(sample)
        with path.open(encoding=named, errors="surrogateescape", newline="") as file:
            first = file.readline()
            file.seek(0)
            is_json = first.lstrip("\ufeff \t").startswith("{")
            yield (_read_lines if is_json else _read_csv)(path, file, first, mapping, named)
    except FileNotFoundError:
        raise ConfigError(str(path), "there is no such file") from None
    except UnicodeError:
        remedy = "write it again, or name its encoding with --encoding"
        raise ConfigError(str(path), f"its bytes are no whole {named}", remedy=remedy) from None
    except LookupError:
        raise ConfigError(f'encoding "{encoding}"', "it is not known", remedy="as utf-8, utf-16 or cp1252") from None
    except OSError as error:
        raise ConfigError(str(path), "it cannot be read", remedy="check its permissions") from error


def read_mapping(pairs: Sequence[str]) -> dict[str, str]:
    """Pairs such as "E-mail=email" → by column. Raises ConfigError."""
    mapping = {}
    for pair in pairs:
        column, sign, name = pair.partition("=")
        if not sign or (name and name not in COLUMNS + FURTHER):
            known = ", ".join(COLUMNS + FURTHER)
            raise ConfigError(f'--map "{pair}"', "it is not COLUMN=FIELD", remedy=f"the fields are {known}")
        mapping[column.strip()] = name
    return mapping


def _find_encoding(sample: bytes) -> str:
    for mark, encoding in _MARKS:
        if sample.startswith(mark):
            return encoding
    try:
        getincrementaldecoder("utf-8")().decode(sample)  # a letter may be cut at the end
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _read_csv(path: Path, file: TextIO, first: str, mapping: Mapping[str, str], encoding: str) -> Table:
    reader = csv.reader(file, delimiter=max(",;\t", key=first.count))
    header = next(_read_rows(reader), (1, []))[1] or []
    names = [name.strip() for name in header]
    columns, ignored = _name_columns(path, names, mapping)
    return Table(columns=columns, ignored=ignored, encoding=encoding, rows=_read_rows(reader))


def _read_rows(reader: Any) -> Iterator[tuple[int, Sequence[str] | None]]:
    while True:
        try:
            for cells in reader:
                if any(map(str.strip, cells)):
                    yield reader.line_num, cells
            return
        except csv.Error:  # a quotation mark that is not closed: what follows cannot be told apart
            yield reader.line_num, None
            return


def _read_lines(path: Path, file: TextIO, first: str, mapping: Mapping[str, str], encoding: str) -> Table:
    """JSON Lines: every object may have other names, so the columns are ours."""
    _name_columns(path, list(_as_object(first) or ()), mapping)

    def rows() -> Iterator[tuple[int, Sequence[str] | None]]:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            found = _as_object(line.lstrip("\ufeff"))
            if found is None:
                yield number, None
                continue
            by_name = {_name_column(name, mapping): value for name, value in found.items()}
            yield number, [_as_cell(by_name.get(name)) for name in COLUMNS + FURTHER]

    return Table(columns=COLUMNS + FURTHER, ignored=(), encoding=encoding, rows=rows())


def _as_object(line: str) -> dict[str, object] | None:
    try:
        found = json.loads(line.lstrip("\ufeff"))
    except (json.JSONDecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _as_cell(value: object) -> str:
    if value is None or isinstance(value, dict):
        return ""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def printable(text: str) -> str:
    """A text in which bytes that are not of the file's encoding are question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _name_columns(
    path: Path, names: Sequence[str], mapping: Mapping[str, str]
) -> tuple[tuple[str | None, ...], tuple[str, ...]]:
    columns: list[str | None] = []
    ignored: list[str] = []
    for name in names:
        ours = _name_column(name, mapping)
        if ours is None:
            shown = printable(name)
            remedy = f'say what it is by --map "{shown}=FIELD", or leave it out by --map "{shown}="'
            raise ConfigError(str(path), f'it has a column "{shown}"', remedy=remedy)
        if not ours or ours in columns:
            ignored.append(name)
        columns.append(ours if ours and ours not in columns else None)
    if "email" not in columns:
        remedy = 'give it a header line that names its columns, or say which it is by --map "COLUMN=email"'
        raise ConfigError(str(path), "it has no column email", remedy=remedy)
    return tuple(columns), tuple(ignored)


def _name_column(name: str, mapping: Mapping[str, str]) -> str | None:
    """One of ours; "" for what is of no use; None for what is not known."""
    if name in mapping:
        return mapping[name]
    plain = "_".join(name.lower().replace("-", " ").replace("_", " ").split())
    return "" if plain in _IGNORED or not plain else _ALIASES.get(plain)
