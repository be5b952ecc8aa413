"""Email addresses: what is one, and which can never be delivered.

Syntax only; no DNS is asked. The library is email-validator; it refuses names that are reserved for tests and examples,
which we take with a remark, because operators rehearse with them.
"""

import re
import unicodedata
from dataclasses import dataclass
from email.utils import parseaddr
from functools import lru_cache
from typing import Final

import email_validator
import idna

from digest.errors import ConfigError

LONGEST_ADDRESS: Final = 254  # characters: RFC 5321 §4.5.3.1.3, without its brackets

# A local part of less than 64 characters that needs no quoting; its domain is tried by the library.
_COMMON = re.compile(r"([A-Za-z0-9_+-]{1,32}(?:\.[A-Za-z0-9_+-]{1,15}){0,2})@([A-Za-z0-9.-]{1,128})")
# RFC 2606, RFC 6761, RFC 6762: names that no mail server will ever answer for.
_RESERVED = ("test", "example", "invalid", "localhost", "local", "example.com", "example.net", "example.org")

_ALIKE = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A checked address. `reserved`: its domain exists for tests and examples only."""

    email: str
    name: str | None
    reserved: bool


def parse_address(raw: str) -> Address:
    """Read `user@host` or `Name <user@host>`. Raises ConfigError that names what is wrong with it."""
    text = raw.strip()
    if not text:
        raise ConfigError("address", "it is empty", remedy="write it as user@example.com")
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ConfigError("address", "it holds a line break or another control character")
    name, email = parseaddr(text) if "<" in text else ("", text)
    if not email:
        raise ConfigError(
            f'address "{_shorten(text)}"', "no address was found in it", remedy="write it as user@example.com"
        )
    local, _, domain = email.rpartition("@")
    reserved = is_reserved(domain)
    # A reserved domain is checked as if it were a common one: its local part and its labels must be sound all the same.
    checked = f"{local}@{domain}.com" if reserved and local and domain else email
    try:
        found = email_validator.validate_email(checked, check_deliverability=False, allow_smtputf8=True, strict=True)
    except email_validator.EmailNotValidError as error:
        raise ConfigError(
            f'address "{_shorten(email)}"', str(error).rstrip("."), remedy="write it as user@example.com"
        ) from None
    normalized = found.normalized.removesuffix(".com") if checked != email else found.normalized
    return Address(email=normalized, name=name or None, reserved=reserved)


def read_address(raw: str) -> tuple[str, str | None, bool]:
    """Address, name, and whether it is reserved, as `parse_address` has them: quickly where it is a common one."""
    found = _COMMON.fullmatch(raw)
    domain = _read_domain(found[2]) if found else None
    if found is None or domain is None:
        address = parse_address(raw)
        return address.email, address.name, address.reserved
    return f"{found[1]}@{domain[0]}", None, domain[1]


@lru_cache(maxsize=16_384)
def _read_domain(domain: str) -> tuple[str, bool] | None:
    """A domain as it is written by rule, and whether it is reserved; None when no address can be of it."""
    try:
        address = parse_address(f"a@{domain}")
    except ConfigError:
        return None
    return address.email.removeprefix("a@"), address.reserved


def is_reserved(domain: str) -> bool:
    """Whether a domain is one of those that exist for tests and examples."""
    folded = domain.lower().rstrip(".")
    return any(folded == name or folded.endswith(f".{name}") for name in _RESERVED)


def ascii_domain(email: str) -> str:
    """An address with its international domain as ASCII (RFC 5891), where it has such a form."""
    local, _, domain = email.rpartition("@")
    try:
        return email if domain.isascii() else f"{local}@{idna.encode(domain, uts46=True).decode('ascii')}"
    except idna.IDNAError:
        return email


def find_look_alike(email: str) -> str | None:
    """A part of an address that mixes scripts whose letters look alike, as a Cyrillic а among Latin ones; else None.

    Such an address is sound, and hardly ever meant: it is told, and not refused.
    """
    if email.isascii():
        return None
    for part in re.split(r"[@.]", email):
        if len({script for letter in part if (script := _script_of(letter)) in _ALIKE}) > 1:
            return part
    return None


def _script_of(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0] if letter.isalpha() else ""


def _shorten(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}…"
