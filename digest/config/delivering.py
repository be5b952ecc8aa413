"""The tables of config.toml about delivery: what hands messages over, how fast, and what stops it; and the database."""

from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from digest.config.values import AddressText, Duration, HttpUrl, Rate, kind_of


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WarmUp(_Table):
    """[transport.warm_up]: a ceiling for each day that grows, for a sender that receivers do not know yet."""

    start: date
    first: int = Field(default=200, ge=1)  # messages on the first day
    growth: float = Field(default=1.5, gt=1, le=10)  # each day's ceiling, of the day before
    until: int = Field(default=100_000, ge=1)  # the plan ends with the day whose ceiling would be higher


class Dkim(_Table):
    """[transport.dkim]: sign messages here, where the server that takes them does not (RFC 6376)."""

    domain: str = Field(min_length=1)
    selector: str = Field(min_length=1)
    key: Path  # the private key, PEM; RSA or Ed25519


class _TransportTable(_Table):
    rate: Rate = 50.0
    per_hour: int | None = Field(default=None, ge=1)  # at most so many in any hour
    per_domain: Rate | Literal["off"] = 20.0  # to one recipient domain
    domains: dict[str, Rate] = Field(default_factory=dict)  # of single domains, in place of per_domain
    warm_up: WarmUp | None = None
    fallback: tuple["FallbackTable", ...] = ()


class OutboxTable(_TransportTable):
    """[transport] with kind = "outbox" """

    kind: Literal["outbox"] = "outbox"
    path: Path = Path("outbox")


class SmtpTable(_TransportTable):
    """[transport] with kind = "smtp" """

    kind: Literal["smtp"]
    host: str = Field(min_length=1)
    port: int = Field(default=587, ge=1, le=65535)
    tls: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    connections: int = Field(default=4, ge=1, le=50)  # kept open at once, each used by a thread of its own
    # For one message, from its mark to the answer: with less left of a batch's lease, none is begun.
    deadline: Duration = Field(default=timedelta(minutes=3), ge=timedelta(seconds=10), le=timedelta(minutes=3))
    dkim: Dkim | None = None


class CustomTransportTable(_TransportTable):
    """[transport] with kind = "package.module:factory"; further keys are the factory's arguments."""

    model_config = ConfigDict(extra="allow", frozen=True)
    kind: str


class SendGridTable(_TransportTable):
    """[transport] with kind = "sendgrid" """

    kind: Literal["sendgrid"]
    host: HttpUrl = "https://api.sendgrid.com"
    region: Literal["global", "eu"] = "global"
    sandbox: bool = False
    connections: int = Field(default=2, ge=1, le=50)  # requests under way at once
    categories: tuple[Annotated[str, Field(min_length=1, max_length=255)], ...] = Field(default=(), max_length=9)
    activity: bool = False  # the Email Activity API, a paid addition, may be asked about what is unknown

    @model_validator(mode="after")
    def _check_activity(self) -> "SendGridTable":
        if self.activity and self.region != "global":
            raise ValueError('it has activity = true; SendGrid keeps none in the region "eu", leave it out')
        return self


def _kind_or_outbox(table: Any) -> str:
    kind = kind_of(table)
    return "outbox" if kind == "None" else kind


TransportTable = (
    Annotated[OutboxTable, Tag("outbox")]
    | Annotated[SmtpTable, Tag("smtp")]
    | Annotated[SendGridTable, Tag("sendgrid")]
    | Annotated[CustomTransportTable, Tag("custom")]
)
FallbackTable = Annotated[TransportTable, Discriminator(_kind_or_outbox)]


class Breakers(_Table):
    """[breakers]: shares of an edition's messages at which it stops; looked at once `after` of them are settled."""

    failures: float = Field(default=0.1, gt=0, le=1)  # refused or unknown
    bounces: float = Field(default=0.05, gt=0, le=1)
    complaints: float = Field(default=0.003, gt=0, le=1)
    after: int = Field(default=100, ge=1)


class Canary(_Table):
    """[canary]: seed mailboxes that get the edition first; what their receiver says of it is read over IMAP."""

    to: tuple[AddressText, ...] = ()
    host: str = ""
    port: int = Field(default=993, ge=1, le=65535)
    tls: Literal["tls", "starttls", "none"] = "tls"
    username: str | None = None
    folder: str = "INBOX"
    receiver: str | None = (
        None  # the authserv-id whose Authentication-Results count (RFC 8601 §2.5); else the topmost's
    )
    require: frozenset[Literal["dkim", "spf", "dmarc"]] = frozenset({"dkim", "spf", "dmarc"})
    wait: Duration = Field(default=timedelta(minutes=5), gt=timedelta())

    @model_validator(mode="after")
    def _check_whole(self) -> "Canary":
        if self.to and not (self.host and self.username):
            raise ValueError("it has no host or username; name the mailbox in which the copies arrive")
        return self


class StoreTable(_Table):
    """[store]"""

    url: str = "sqlite:///digest.db"

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        if not url.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise ValueError('write "sqlite:///digest.db" or "postgresql+psycopg://user@host/name"')
        return url
