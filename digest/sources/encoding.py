"""From bytes to characters: compression and character sets, as publishers really label them.

The order is: byte-order mark, the HTTP header, the document's own declaration, UTF-8, windows-1252 (RFC 7303 §3, and
the HTML standard's way with wrong labels). A label that the bytes contradict is passed over.
"""

import codecs
import re
import zlib
from collections.abc import Callable
from typing import Final

LIMIT: Final = 50_000_000  # bytes of one decompressed document

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# How "<?xm" or "<rss" begins in encodings that are no superset of ASCII (XML 1.0, appendix F). "{" begins a JSON text.
_STARTS = (
    (re.compile(rb"<\0\0\0"), "utf-32-le"),
    (re.compile(rb"\0\0\0<"), "utf-32-be"),
    (re.compile(rb"[<{]\0[^\0]\0"), "utf-16-le"),  # a single NUL is a fault in another encoding
    (re.compile(rb"\0[<{]\0[^\0]"), "utf-16-be"),
)
_EBCDIC_START = b"\x4c\x6f\xa7\x94"  # "<?xm"
_DECLARED = re.compile(r"""^\s*<\?xml[^>]*?\sencoding\s*=\s*["']\s*([\w.:-]+)\s*["']""")
_CHARSET = re.compile(r"""charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)

# Labels that stand for more than they say (WHATWG Encoding §4.2), by Python's name.
_SUPERSETS = {
    "ascii": "utf-8",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "ksc5601": "cp949",
    "shift_jis": "cp932",
    "big5": "big5hkscs",
}
# Python codecs that are no character set anybody publishes in, and can be made to misbehave.
_REFUSED = {"unicode_escape", "raw_unicode_escape", "punycode", "idna", "utf-7", "undefined", "mbcs", "oem", "charmap"}


def read_text(
    body: bytes,
    content_type: str | None = None,
    *,
    limit: int = LIMIT,
    label: Callable[[bytes, str | None], str | None] = lambda _, content_type: content_type,
) -> str:
    """The characters of a document, also gzipped, from the first that counts.

    `label` may find the character set in the body where `content_type` names none. Raises ValueError when the document
    is broken, over `limit` bytes when decompressed, or empty.
    """
    body = unpack(body, limit)
    if len(body) > limit:
        raise ValueError(f"it is larger than {limit:,} bytes")
    text = decode(body, label(body, content_type)).lstrip("\ufeff \t\r\n\0")
    if not text:
        raise ValueError("it is empty")
    return text


def unpack(body: bytes, limit: int = LIMIT) -> bytes:
    """The body without gzip, which is recognised by content. Raises ValueError when broken or over `limit` bytes."""
    if not body.startswith(b"\x1f\x8b"):
        return body
    parts: list[bytes] = []
    size = 0
    while body.startswith(b"\x1f\x8b"):  # a file may hold several members, one after the other (RFC 1952 §2.2)
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            parts.append(unpacker.decompress(body, limit - size + 1))
        except zlib.error as error:
            raise ValueError(f"its gzip is broken: {error}") from None
        size += len(parts[-1])
        if size > limit:
            raise ValueError(f"it is larger than {limit:,} bytes when decompressed")
        if not unpacker.eof:
            raise ValueError("its gzip is cut off")
        body = unpacker.unused_data
    return b"".join(parts)


class Inflater:
    """Takes gzip, zlib or raw deflate data off a body that comes in pieces (RFC 9110 §8.4.1). Raises zlib.error.

    What is not compressed although the header said so is passed on as it is: such servers exist.
    """

    def __init__(self, limit: int) -> None:
        """A piece never gives more than one byte over `limit`: enough for the caller to see that it is too much."""
        self._limit = limit
        self._stream: zlib._Decompress | None = None
        self._is_plain = False
        self._head = b""

    def feed(self, piece: bytes) -> bytes:
        """The plain bytes of the next piece."""
        if self._is_plain:
            return piece
        if self._stream is None:
            piece = self._head = self._head + piece
            if len(piece) < 2:
                return b""
            self._stream = _open_stream(piece)
            self._is_plain = self._stream is None
        return self._inflate(piece)

    def finish(self) -> None:
        """Say that all is there."""
        if self._stream is not None and not self._stream.eof:
            raise zlib.error("it is cut off")

    def _inflate(self, piece: bytes) -> bytes:
        if self._stream is None:
            return piece
        parts: list[bytes] = []
        size = 0
        while piece and size <= self._limit:
            parts.append(self._stream.decompress(piece, self._limit - size + 1))
            size += len(parts[-1])
            piece = self._stream.unconsumed_tail
            if self._stream.eof:
                piece = self._stream.unused_data
                if not piece.startswith(b"\x1f\x8b"):
                    break  # padding
                self._stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        return b"".join(parts)


def _open_stream(head: bytes) -> "zlib._Decompress | None":
    """What reads a stream that begins so; None for what is not compressed."""
    if head.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    if head[0] & 0x0F == 8 and int.from_bytes(head[:2], "big") % 31 == 0:  # RFC 1950 §2.2
        return zlib.decompressobj()
    if head[:1] in b"<{[ \t\r\n\xef\xfe\xff":
        return None
    return zlib.decompressobj(wbits=-zlib.MAX_WBITS)


def decode(body: bytes, content_type: str | None = None) -> str:
    """The characters of a text document. Never fails: what no label explains is read as UTF-8 or windows-1252."""
    for mark, encoding in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(encoding, errors="digest-cp1252" if encoding == "utf-8" else "replace")
    for start, encoding in _STARTS:
        if start.match(body):
            return body.decode(encoding, errors="replace")
    if body.startswith(_EBCDIC_START):
        declared = _DECLARED.search(body[:200].decode("cp037"))
        text = _try(body, declared.group(1) if declared else "cp037", ebcdic=True)
        return body.decode("cp037", errors="replace") if text is None else text
    for label in (_charset(content_type), _declared(body)):
        text = _try(body, label) if label else None
        if text is not None:
            return text
    return body.decode("utf-8", errors="digest-cp1252")


def _charset(content_type: str | None) -> str | None:
    found = _CHARSET.search(content_type or "")
    return found.group(1) if found else None


def _declared(body: bytes) -> str | None:
    found = _DECLARED.search(body[:300].lstrip().decode("latin-1"))
    return found.group(1) if found else None


def _try(body: bytes, label: str, *, ebcdic: bool = False) -> str | None:
    """The text under that label, or None when there is no such encoding or the bytes are not in it."""
    try:
        name = codecs.lookup(label).name
        name = _SUPERSETS.get(name, name)
        # The bytes begin in ASCII: a label of two or four bytes a character is a framework's habit, not the truth.
        if name in _REFUSED or name.startswith(("utf-16", "utf-32")) or (name.startswith("cp037") and not ebcdic):
            return None
        return body.decode(name)
    except (LookupError, ValueError):
        return None


def _read_as_cp1252(error: UnicodeError) -> tuple[str, int]:
    """Read only the bytes that are not UTF-8 as windows-1252: one bad byte must not spoil every other character."""
    assert isinstance(error, UnicodeDecodeError)  # noqa: S101 - registered for decoding alone
    return error.object[error.start : error.end].decode("cp1252", errors="replace"), error.end


codecs.register_error("digest-cp1252", _read_as_cp1252)
