"""The rules on a message as it is transmitted: its header fields, its lines, its parts and what is attached."""

import re
from collections import Counter
from collections.abc import Iterator
from email.message import Message
from typing import Final

from digest.models import Finding, Severity

_LONGEST_LINE: Final = 998  # bytes without the line break (RFC 5322 §2.1.1)
# Fields that a message has once at most (RFC 5322 §3.6, RFC 2045 §4, RFC 2369 §3, RFC 2919 §3, RFC 8058 §3.1).
_ONCE: Final = frozenset(
    """from sender reply-to to cc bcc date subject message-id in-reply-to references mime-version content-type
    list-id list-unsubscribe list-unsubscribe-post""".split()
)
_FIELD: Final = re.compile(rb"^([!-9;-~]+):((?:[^\n]*\n[ \t])*[^\n]*)", re.MULTILINE)
# What runs on a reader's machine: mail services refuse a message for it.
_EXECUTABLE: Final = re.compile(
    r"\.(?:apk|app|bat|chm|cmd|com|cpl|dll|exe|hta|iso|jar|jse?|lnk|msi|msix|pif|ps1|reg|scr|vb[es]?|ws[cfh]?)[\s.]*$",
    re.IGNORECASE,
)
_BODIES: Final = frozenset({"text/html", "text/plain"})


def inspect_message(raw: bytes, message: Message) -> Iterator[Finding]:
    """The findings on a message: `raw` is what goes over the wire, `message` the same, parsed."""
    yield from _inspect_fields(raw, message)
    yield from _inspect_lines(raw)
    for part in message.walk():
        yield from _inspect_part(part)


def list_content_ids(message: Message) -> frozenset[str]:
    """What `cid:` links of the HTML can mean (RFC 2392 §2), without the angle brackets."""
    written = (str(part.get("content-id") or part.get("content-location") or "") for part in message.walk())
    return frozenset(name for one in written if (name := one.strip().strip("<>")))


def is_charset(name: str) -> bool:
    """Whether bytes can be read by it."""
    try:
        b"a".decode(name)
    except (LookupError, ValueError):
        return False
    return True


def _inspect_fields(raw: bytes, message: Message) -> Iterator[Finding]:
    counts = Counter(name.lower() for name in message)
    names = {name.lower(): name for name in message}
    for name, count in counts.items():
        if count > 1 and name in _ONCE:
            fault = f"{names[name]} is there {count} times, and may be there once."
            yield _finding("header-duplicate", "fail", fault, names[name])
    head = re.split(rb"\r?\n\r?\n", raw, maxsplit=1)[0]
    for field in _FIELD.finditer(head):
        if not field[2].isascii():
            name = field[1].decode("ascii")
            severity, fault = _judge_bytes(field[2])
            yield _finding("header-bytes", severity, f"{name} {fault}", name)
    if "mime-version" not in counts and any(name.startswith("content-") for name in counts):
        fault = "MIME-Version is missing: what Content-Type says need not be heeded."  # RFC 2045 §4
        yield _finding("header-mime-version", "fail", fault, "MIME-Version")


def _judge_bytes(value: bytes) -> tuple[Severity, str]:
    """Header fields are ASCII (RFC 5322 §2.2); or UTF-8 where all servers on the way know SMTPUTF8 (RFC 6532)."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return "fail", "has bytes that are neither ASCII nor UTF-8."
    return "warn", "is written in bare UTF-8, which many servers refuse; it belongs in encoded words (RFC 2047)."


def _inspect_lines(raw: bytes) -> Iterator[Finding]:
    long = [(number, len(line)) for number, line in enumerate(re.split(rb"\r?\n", raw), 1) if len(line) > _LONGEST_LINE]
    if long:
        number, size = long[0]
        others = f" So have {len(long) - 1} others." if len(long) > 1 else ""
        message = f"The line has {size:,} bytes; servers may break or refuse more than {_LONGEST_LINE}.{others}"
        yield _finding("line-length", "fail", message, f"message, line {number}")


def _inspect_part(part: Message) -> Iterator[Finding]:
    kind = part.get_content_type()
    if kind == "multipart/alternative" and part.is_multipart():
        yield from _inspect_order(part)
    name = part.get_filename() or ""
    if _EXECUTABLE.search(name):
        yield _finding("attachment", "fail", f"“{name}” is a program: mail services refuse it.", "attachment")
    elif kind in _BODIES and part.get_content_disposition() != "attachment":
        yield from _inspect_charset(part, "HTML" if kind == "text/html" else "text")


def _inspect_order(part: Message) -> Iterator[Finding]:
    """The last of the alternatives that a client knows is shown (RFC 2046 §5.1.4)."""
    alternatives = [one for one in part.get_payload() if isinstance(one, Message)]
    kinds = [{inner.get_content_type() for inner in one.walk()} for one in alternatives]
    html = [number for number, found in enumerate(kinds) if "text/html" in found]
    text = [number for number, found in enumerate(kinds) if found == {"text/plain"}]
    if html and text and max(html) < max(text):
        message = "The HTML comes before the text: readers are shown the last that their client knows."
        yield _finding("part-order", "fail", message, "HTML")


def _inspect_charset(part: Message, name: str) -> Iterator[Finding]:
    charset = part.get_content_charset()
    body = part.get_payload(decode=True)
    if charset is None or not isinstance(body, bytes):
        return
    if not is_charset(charset):
        shown = "".join(filter(str.isprintable, charset))
        yield _finding("charset", "fail", f"The {name} is said to be in “{shown}”, which is no charset.", name)
        return
    try:
        body.decode(charset)
    except ValueError:
        yield _finding("charset", "fail", f"The {name} is not in {charset}, in which it is said to be.", name)


def _finding(rule: str, severity: Severity, message: str, where: str) -> Finding:
    return Finding(rule=rule, severity=severity, message=message, where=where)
