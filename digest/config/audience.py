"""The tables of config.toml about readers: how they come and go, what is heard of their mail, and who is which."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, field_validator, model_validator

from digest.audience.addresses import ascii_domain
from digest.audience.segments import describe_fault, read_filter
from digest.config.values import AddressText, AsciiUrl, Duration, Identifier, Network, Table, Zone
from digest.errors import ConfigError

# With "+" and a delivery's name behind it, it must stay within 64 characters (RFC 5321 §4.5.3.1.1), without quotes.
_TAGGABLE: Final = re.compile(r"[A-Za-z0-9._+=-]{1,31}@[^@\s<>]+")


class Audience(Table):
    """[audience]"""

    consent: str = ""  # what readers agree to on the page; "": the phrase of the newsletter's language
    confirm_within: Duration = timedelta(days=7)
    confirmations_per_address: int = Field(default=3, ge=1)  # a day
    confirmations_per_network: int = Field(default=20, ge=1)  # a day; of IPv4 a /24, of IPv6 a /48
    preferences_within: Duration = timedelta(hours=24)  # how long a mailed preferences link works
    forms_from: tuple[AsciiUrl, ...] = ()  # further sites whose forms may subscribe


class Bounces(Table):
    """[bounces]"""

    hard_days: int = Field(default=2, ge=1)  # on so many different days
    soft_run: int = Field(default=5, ge=1)  # in a row, without a delivery between
    wave: int = Field(default=20, ge=2)  # hard ones from one domain within `wave_within` are set aside
    wave_within: Duration = timedelta(hours=1)
    wave_share: float = Field(default=0.05, ge=0, le=1)  # and at least so much of the readers there
    sendgrid_key: str = ""  # the public key of the signed event webhook; several while it is changed, parted by spaces
    # Signed longer ago: refused. The service tries for 24 hours.
    replay_window: Duration = Field(default=timedelta(hours=25), gt=timedelta())

    @field_validator("sendgrid_key")
    @classmethod
    def _check_key(cls, text: str) -> str:
        if text.strip():
            from digest.audience.signatures import read_public_keys  # slow to import, and seldom wanted

            try:
                read_public_keys(text)
            except ConfigError as error:
                raise ValueError(f"{error.message}; {error.remedy}") from None
        return text


class Inbox(Table):
    """[inbox]: a mailbox to which bounces, complaints and requests to leave come."""

    kind: Literal["none", "maildir", "imap"] = "none"
    address: AddressText | None = None  # stands in the envelope and in the mailto way out; must take +suffixes
    path: Path = Path("inbox")  # of a Maildir
    host: str = ""
    port: int = Field(default=993, ge=1, le=65535)
    tls: Literal["tls", "starttls", "none"] = "tls"
    username: str | None = None
    folder: str = "INBOX"
    every: Duration = Field(default=timedelta(minutes=5), ge=timedelta(seconds=10))

    @model_validator(mode="after")
    def _check_whole(self) -> "Inbox":
        if self.kind != "none" and self.address is None:
            raise ValueError("it has no address; name the mailbox that bounces come to")
        if self.kind == "imap" and not (self.host and self.username):
            raise ValueError("it has no host or username")
        if self.address is not None and not _TAGGABLE.fullmatch(self.address):
            raise ValueError(
                "its address must be bare, with at most 31 common characters before the @, to take +suffixes"
            )
        return self

    @property
    def mailbox(self) -> str | None:
        """Its address as it stands in envelopes; None where there is no inbox."""
        return ascii_domain(self.address) if self.address and self.kind != "none" else None


class Segment(Table):
    """[[segments]]: a named subset of the subscribers; what is given must hold together."""

    id: Identifier
    topic: str | None = None
    language: str | None = Field(default=None, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")
    timezone: Zone | None = None
    tag: str | None = None
    filter: str | None = None  # an expression; docs/subscribers.md

    @field_validator("filter")
    @classmethod
    def _check_filter(cls, text: str | None) -> str | None:
        if text is not None:
            try:
                read_filter(text)
            except ConfigError as error:
                raise ValueError(describe_fault(error)) from None
        return text

    @model_validator(mode="after")
    def _check_whole(self) -> "Segment":
        if all(value is None for value in (self.topic, self.language, self.timezone, self.tag, self.filter)):
            raise ValueError("it does not say who is of it; give it a topic, language, timezone, tag or filter")
        return self

    @property
    def topics(self) -> frozenset[str]:
        """The topics that it names."""
        named = read_filter(self.filter).topics if self.filter else frozenset()
        return named | {self.topic} if self.topic else named


class Counting(Table):
    """[counting]"""

    opens: bool = False
    clicks: bool = False


class Web(Table):
    """[web]"""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    proxies: tuple[Network, ...] = ()  # hops whose X-Forwarded-For is believed
    privacy: str = ""  # who answers questions about personal data; "": reply_to
