"""Email addresses: what is one, and which can never be delivered.

Syntax only; no DNS is asked. The library is email-validator; it refuses names that are reserved for tests and examples,
which we take with a remark, because operators rehearse with them.
"""

from dataclasses import dataclass
from email.utils import parseaddr

import email_validator

from digest.errors import ConfigError

# RFC 2606, RFC 6761, RFC 6762: names that no mail server will ever answer for.
_RESERVED = ("test", "example", "invalid", "localhost", "local", "example.com", "example.net", "example.org")


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


def is_reserved(domain: str) -> bool:
    """Whether a domain is one of those that exist for tests and examples."""
    folded = domain.lower().rstrip(".")
    return any(folded == name or folded.endswith(f".{name}") for name in _RESERVED)


def _shorten(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}…"
