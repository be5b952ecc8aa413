"""Documents to look at, from files, manifests and standard input; and the records in them."""

import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from digest.errors import ConfigError, DigestError

_LIMIT = 50_000_000  # bytes of one decompressed document

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document to look at: its bytes, or why it cannot be read. `fields` are the manifest's further ones."""

    path: str
    body: bytes = b""
    error: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


def read_documents(files: Sequence[str], manifest: Path | None, standard_input: BinaryIO) -> Iterator[Document]:
    """The documents that were named, in order; `-` is standard input. Raises ConfigError for a bad manifest."""
    if not files and manifest is None:
        raise ConfigError(
            "inspect", "no document was named", remedy="name files, a --manifest, or - for standard input"
        )
    for name in files:
        yield _read(name, Path(name), {}, standard_input)
    if manifest:
        for number, line in enumerate(_manifest_lines(manifest), 1):
            if not line.strip():
                continue
            try:
                fields = json.loads(line)
                name = fields.pop("path")
            except (ValueError, KeyError, TypeError, AttributeError):
                yield Document(path=f"{manifest}:{number}", error='the line is no JSON object with a "path"')
                continue
            yield _read(str(name), manifest.parent / str(name), fields, standard_input)


def inspect_one(document: Document, inspect: Callable[[Document], Row]) -> Row:
    if document.error:
        return {"path": document.path, "error": document.error}
    try:
        return {"path": document.path} | inspect(document)
    except DigestError as error:
        return {"path": document.path, "error": explain(error)}


def explain(error: Exception) -> str:
    """What is wrong, without the subject: the row names the document already."""
    return str(error).removeprefix(f"{error.subject}: ") if isinstance(error, DigestError) else str(error)


def records(document: Document) -> Iterator[Row]:
    """The records of a document: JSON lines, or one plain text."""
    if document.error:
        yield {"id": document.path, "path": document.path, "error": document.error}
        return
    try:
        text = document.body.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = document.body.decode("cp1252", errors="replace")
    if "\0" in text:
        yield {"id": document.path, "path": document.path, "error": "it is no text"}
        return
    if text.lstrip().startswith("["):
        yield from _array(document, text)
        return
    if not text.lstrip().startswith("{"):
        yield {"id": document.path, "text": text}
        return
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            record = {"error": f"line {number} is no JSON: {error}"}
        if not isinstance(record, dict):
            record = {"error": f"line {number} is no JSON object"}
        yield {"id": f"{document.path}:{number}"} | record


def _array(document: Document, text: str) -> Iterator[Row]:
    """The records of a JSON array; a text that merely begins with a bracket is a text."""
    try:
        records = json.loads(text)
    except ValueError:
        yield {"id": document.path, "text": text}
        return
    for number, record in enumerate(records, 1):
        name = {"id": f"{document.path}:{number}"}
        yield name | (record if isinstance(record, dict) else {"error": f"item {number} is no JSON object"})


def _manifest_lines(manifest: Path) -> list[str]:
    try:
        return manifest.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            str(manifest), "it cannot be read", remedy="name a UTF-8 file with a JSON object a line"
        ) from error


def _read(name: str, path: Path, fields: Mapping[str, Any], standard_input: BinaryIO) -> Document:
    try:
        body = standard_input.read() if name == "-" else path.read_bytes()
        body = _unpack(body)
        return Document(path=name, body=body, error=None if body.strip() else "it is empty", fields=fields)
    except OSError as error:
        return Document(path=name, error=f"it cannot be read: {error.strerror or error}", fields=fields)
    except (EOFError, zlib.error, ValueError) as error:
        return Document(path=name, error=f"it cannot be unpacked: {error}", fields=fields)


def _unpack(body: bytes) -> bytes:
    if not body.startswith(b"\x1f\x8b"):
        return body
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    plain = unpacker.decompress(body, _LIMIT)
    if unpacker.unconsumed_tail:
        raise ValueError(f"over {_LIMIT:,} bytes")
    return plain
