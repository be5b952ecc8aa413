"""What the receiver of a seed's copy says of our mail, read from its own Authentication-Results (RFC 8601). Pure.

    header fields ──above the message──> of the receiver alone ──authres──> dkim, spf, dmarc ──aligned?──> verdict

A receiver writes above what came to it, so nothing that stands within or below the message's own fields counts, whoever
signed it; nor does ARC-Authentication-Results, which is another server's word. Of several fields of one receiver the
topmost that speaks of a method decides on it; what stands below a field of somebody else counts no more. The only
module that knows authres and tld.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from email.policy import compat32
from itertools import dropwhile, takewhile
from typing import Any, Final

import authres
import authres.dmarc
import idna
from tld import get_fld

from digest.models import Verdict

_METHODS: Final = ("dkim", "spf", "dmarc")
# Fields that stand in the message as it left us: from the first of them on, nothing is the receiver's.
_OURS: Final = frozenset({"from", "to", "subject", "date", "message-id", "dkim-signature", "list-unsubscribe"})
_CONTEXT: Final = authres.FeatureContext(authres.dmarc)
_LONGEST: Final = 16_384  # characters of one field that are looked at
_PROPERTY: Final = re.compile(r"""[\w.-]+=(?:"[^"\\]*"|[\w!#$%&'*+/=?^`{|}~.@-]*)""", re.ASCII)
_DOMAIN: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """What a receiver says of one method: `domain` is whose mail it is said of."""

    method: str
    result: str
    domain: str


def judge(head: bytes, *, sender: str, receiver: str | None, require: frozenset[str]) -> Verdict:
    """Whether what is required passed, aligned with the domain of From (`sender`).

    `receiver` is the authserv-id that counts, or the domain that all of a receiver's are under; without it, whoever
    wrote the topmost field.
    """
    fields = list(_read_fields(head))
    if receiver is None:
        name = fields[0][0] if fields else None
        run = list(takewhile(lambda field: field[0] == name, fields))
    else:
        run = list(
            takewhile(
                lambda field: _is_of(field[0], receiver),
                dropwhile(lambda field: not _is_of(field[0], receiver), fields),
            )
        )
        name = run[0][0] if run else None
    own = [results for _, results in run]
    if not own:
        others = sorted({name for name, _ in fields if name})
        seen = f", only of {', '.join(others[:3])}" if others else ""
        return Verdict(receiver=None, faults=(f"no Authentication-Results of {receiver or 'its receiver'}{seen}",))
    domain = normalize_domain(sender)
    said = {method: _find_said(method, own) for method in _METHODS}
    faults = [_judge_method(method, said[method], domain) for method in _METHODS if method in require]
    return Verdict(receiver=name, faults=tuple(fault for fault in faults if fault))


def is_aligned(domain: str, sender: str) -> bool:
    """Relaxed alignment (RFC 7489 §3.1): both belong to one organizational domain.

    Of a domain whose public suffix nobody knows, such as one of an own network: one is the other or above it.
    """
    if domain == sender:
        return True
    ours, theirs = find_organization(sender), find_organization(domain)
    if ours and theirs:
        return ours == theirs
    return any("." in above and below.endswith(f".{above}") for above, below in ((sender, domain), (domain, sender)))


def normalize_domain(text: str) -> str:
    """The domain of an address, or a domain, in ASCII (RFC 5891) and small letters; "" for what is none."""
    domain = text.rpartition("@")[2].strip().rstrip(".").lower()
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except idna.IDNAError:
            return ""
    return domain if _DOMAIN.fullmatch(domain) else ""


def find_organization(domain: str) -> str | None:
    """The domain that it was registered under (RFC 7489 §3.2); None where its public suffix is unknown."""
    found = get_fld(domain, fix_protocol=True, fail_silently=True)
    return found if isinstance(found, str) and "." in found else None


def _is_of(name: str | None, receiver: str) -> bool:
    wanted = receiver.lower().rstrip(".")
    return name is not None and (name == wanted or name.endswith(f".{wanted}"))


def _find_said(method: str, fields: Sequence[Sequence[_Result]]) -> list[_Result]:
    """What the topmost field that speaks of it says of a method."""
    for results in fields:
        if found := [result for result in results if result.method == method]:
            return found
    return []


def _judge_method(method: str, said: Sequence[_Result], sender: str) -> str | None:
    """Why a method does not count as passed; None: it does."""
    if not said:
        return f"nothing said of {method}"
    passed = [result for result in said if result.result == "pass"]
    if not passed:
        return f"{method}={'/'.join(dict.fromkeys(result.result for result in said))}"
    # DMARC is said of the very domain in From; what it found aligned is its own business.
    if any(one.domain == sender if method == "dmarc" else is_aligned(one.domain, sender) for one in passed):
        return None
    domains = ", ".join(dict.fromkeys(result.domain or "no domain" for result in passed))
    return f"{method}=pass, but for {domains}, and From is of {sender}"


def _read_fields(head: bytes) -> Iterator[tuple[str | None, list[_Result]]]:
    """The Authentication-Results above the message's own fields: who wrote each, and what it says."""
    for name, value in BytesHeaderParser(policy=compat32).parsebytes(head).items():
        if name.lower() in _OURS:
            return
        if name.lower() == "authentication-results":
            yield _read_field(str(value))


def _read_field(value: str) -> tuple[str | None, list[_Result]]:
    first, *rest = _split(value[:_LONGEST])
    words = first.split()
    if not words or "=" in first:  # some receivers give no name
        return None, _read_results([first, *rest])
    is_known = words[1:] in ([], ["1"])  # another version is to be ignored (RFC 8601 §2.2)
    return words[0].strip('"').lower().rstrip("."), _read_results(rest) if is_known else []


def _split(text: str) -> list[str]:
    """The parts between semicolons, without comments (RFC 5322 §3.2.2); nothing of what one left open hides."""
    parts, depth, is_quoted, is_escaped = [""], 0, False, False
    for character in " ".join(text.split()):
        if is_escaped:
            is_escaped = False
        elif character == "\\":
            is_escaped = True
        elif is_quoted:
            is_quoted = character != '"'
        elif character == "(":
            depth += 1
            parts[-1] += " "
            continue
        elif character == ")" and depth:
            depth -= 1
            continue
        elif character == '"' and not depth:
            is_quoted = True
        elif character == ";" and not depth:
            parts.append("")
            continue
        if not depth:
            parts[-1] += character
    if is_quoted:
        parts[-1] = ""
    return parts


def _read_results(parts: Sequence[str]) -> list[_Result]:
    """Each part by itself: one that no grammar allows must not hide the others."""
    return [result for part in parts if part.strip() and (result := _read_result(part))]


def _read_result(part: str) -> _Result | None:
    method = part.partition("=")[0].partition("/")[0].strip().lower()
    if method not in _METHODS:
        return None
    # An IPv6 address, as some receivers add one, is no value that the grammar allows: then without it.
    read = _parse(part) or _parse(" ".join(_PROPERTY.findall(part)))
    if read is None:
        return None
    said = {f"{one.type}.{one.name}": str(one.value or "") for one in read.properties}
    names = {"dkim": ("header.d", "header.i"), "spf": ("smtp.mailfrom",), "dmarc": ("header.from",)}[method]
    domain = next((said[name] for name in names if said.get(name)), "")
    return _Result(method=method, result=read.result.lower(), domain=normalize_domain(domain))


def _parse(part: str) -> Any:
    try:
        (result,) = _CONTEXT.parse_value(f"receiver; {part.strip()}").results
    except (authres.AuthResError, ValueError):
        return None
    return result
