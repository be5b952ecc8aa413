"""How single values are written in config.toml: durations, weekdays, times, rates, addresses, networks."""

import re
from datetime import time, timedelta
from ipaddress import ip_address, ip_network
from math import inf
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from digest.audience.addresses import parse_address
from digest.errors import ConfigError

_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w|y)\s*$")
# "[v6]" and perhaps a port, an address without colons and perhaps a port, or bare with its own colons.
_SERVER = re.compile(r"\[(.*:.*)\](?::(\d{1,5}))?|([^:]*)(?::(\d{1,5}))?|([^\[\]]*:[^\[\]]*:[^\[\]]*)", re.ASCII)
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31_557_600}
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _read_duration(raw: object) -> object:
    if isinstance(raw, timedelta):
        return raw
    match = _DURATION.match(raw) if isinstance(raw, str) else None
    if not match:
        raise ValueError('write a duration as a number and a unit, such as "24h", "30m" or "7d"')
    return timedelta(seconds=float(match[1]) * _UNITS[match[2]])


def _read_days(raw: object) -> object:
    if isinstance(raw, frozenset):
        return raw
    days: set[int] = set()
    for part in str(raw).lower().replace(" ", "").split(","):
        first, _, last = part.partition("-")
        if first[:3] not in _WEEKDAYS or (last and last[:3] not in _WEEKDAYS):
            raise ValueError('write days as "mon-sun", "mon-fri" or "mon,wed,fri"')
        start, end = _WEEKDAYS.index(first[:3]), _WEEKDAYS.index((last or first)[:3])
        days.update((start + step) % 7 for step in range((end - start) % 7 + 1))
    return frozenset(days)


def _read_time(raw: object) -> object:
    if isinstance(raw, time):
        return raw
    match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", str(raw))
    if not match:
        raise ValueError('write a time of day as "07:00"')
    return time(int(match[1]), int(match[2]))


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f'"{name}" is not a time zone; use an IANA name such as "Europe/Berlin"') from None
    return name


def _check_address(raw: str) -> str:
    try:
        parse_address(raw)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return raw


def _read_rate(raw: object) -> object:
    if isinstance(raw, int | float) and not isinstance(raw, bool) and 0 < raw < inf:
        return float(raw)
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*/\s*(s|m|min|h|d)\s*", str(raw))
    if not match or float(match[1]) <= 0:
        raise ValueError('write a rate as messages and a unit of time, such as "50/s" or "2000/h"')
    return float(match[1]) / _UNITS[match[2]]


def _read_optional_rate(raw: object) -> object:
    return raw if raw is None or raw == "off" else _read_rate(raw)


def _check_network(raw: str) -> str:
    ip_network(raw, strict=False)
    return raw


Weekdays = Annotated[frozenset[int], BeforeValidator(_read_days)]  # 0 is Monday
TimeOfDay = Annotated[time, BeforeValidator(_read_time)]
Network = Annotated[str, AfterValidator(_check_network)]
Duration = Annotated[timedelta, BeforeValidator(_read_duration)]
Zone = Annotated[str, AfterValidator(_check_zone)]
AddressText = Annotated[str, AfterValidator(_check_address)]
# It stands in headers and in quoted-printable bodies: an international host is written as xn--….
AsciiUrl = Annotated[str, Field(pattern=r"^https?://[!-.0-~][!-~]*$")]
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
# Family names parted by commas, without quotes: they stand in style attributes.
FontList = Annotated[str, Field(pattern=r"^[A-Za-z0-9 ,_-]+$", max_length=200)]
SecureUrl = Annotated[str, Field(pattern=r"^https://[!#-.0-;=?-~][!#-;=?-~]*$")]
HttpUrl = Annotated[str, Field(pattern=r"^https?://[^\s/]+")]
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]
Rate = Annotated[float, BeforeValidator(_read_rate)]  # messages a second
OptionalRate = Annotated[float | Literal["off"] | None, BeforeValidator(_read_optional_rate)]


def read_server(text: str) -> tuple[str, int]:
    """The IP address and the port of a name server: "192.0.2.1", "192.0.2.1:53", "2001:db8::1" or "[2001:db8::1]:53".

    Raises ValueError.
    """
    found = _SERVER.fullmatch(text)
    bracketed, its_port, host, port, bare = found.groups("") if found else [""] * 5
    host, port = bracketed or host or bare, its_port or port or "53"
    try:
        ip_address(host)
        if not 0 < int(port) < 65536:
            raise ValueError
    except ValueError:
        told = f'"{text}" is no address of a server; write it as "192.0.2.1", "192.0.2.1:53" or "[2001:db8::1]:53"'
        raise ValueError(told) from None
    return host, int(port)


class Table(BaseModel):
    """A table of config.toml: what it does not know is a fault, and nothing changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def is_custom(kind: str) -> bool:
    """Whether a kind names a user's own adapter: "package.module:factory"."""
    return ":" in kind


def kind_of(table: Any) -> str:
    """The kind that a table of several kinds says, "custom" for every adapter of a user's own."""
    kind = table.get("kind") if isinstance(table, dict) else getattr(table, "kind", None)
    return "custom" if isinstance(kind, str) and is_custom(kind) else str(kind)
