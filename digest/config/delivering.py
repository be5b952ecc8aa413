"""The tables of config.toml about delivery: what hands messages over, how fast, and what stops it; and the database."""

from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from digest.config.values import AddressText, Duration, HttpUrl, Identifier, OptionalRate, Rate, Table, kind_of


class WarmUp(Table):
    """[transport.warm_up]: a ceiling for each day that grows, for a sender that receivers do not know yet."""

    start: date
    first: int = Field(default=200, ge=1)  # messages on the first day
    growth: float = Field(default=1.5, gt=1, le=10)  # each day's ceiling, of the day before
    until: int = Field(default=100_000, ge=1)  # the plan ends with the day whose ceiling would be higher


class Dkim(Table):
    """[transport.dkim]: sign messages here, where the server that takes them does not (RFC 6376)."""

    domain: str = Field(min_length=1)
    selector: str = Field(min_length=1)
    key: Path  # the private key, PEM; RSA or Ed25519


class _TransportTable(Table):
    rate: Rate = 50.0
    per_hour: int | None = Field(default=None, ge=1)  # at most so many in any hour
    per_domain: OptionalRate = None  # to one recipient domain; None: two fifths of `rate`
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
    connections: int = Field(default=1, ge=1, le=50)  # requests under way at once; a crash leaves each of them unknown
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


class Breakers(Table):
    """[breakers]: shares of an edition's messages at which it stops; looked at once `after` of them are settled."""

    failures: float = Field(default=0.1, gt=0, le=1)  # refused or unknown
    bounces: float = Field(default=0.05, gt=0, le=1)
    complaints: float = Field(default=0.003, gt=0, le=1)
    after: int = Field(default=100, ge=1)


class _SeedTable(Table):
    """A mailbox in which the copies of some seeds arrive, and whose word on them counts."""

    to: tuple[AddressText, ...] = ()
    host: str = ""
    port: int = Field(default=993, ge=1, le=65535)
    tls: Literal["tls", "starttls", "none"] = "tls"
    username: str | None = None
    folder: str = Field(default="INBOX", min_length=1)
    # The authserv-id whose Authentication-Results count (RFC 8601 §2.5), or a domain above it; else the topmost's.
    receiver: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._-]+$")


class SeedTable(_SeedTable):
    """[[canary.mailboxes]]: the mailbox of seeds at another receiver."""

    name: Identifier  # its password is DIGEST_CANARY_PASSWORD_NAME
    to: tuple[AddressText, ...] = Field(min_length=1)
    host: str = Field(min_length=1)
    username: str = Field(min_length=1)

    @property
    def variable(self) -> str:
        """The environment variable of its password."""
        return f"DIGEST_CANARY_PASSWORD_{self.name.upper().replace('-', '_')}"


_MOST_SEEDS = 20


class Canary(_SeedTable):
    """[canary]: seed mailboxes that get the edition first; what their receiver says of it is read over IMAP."""

    require: frozenset[Literal["dkim", "spf", "dmarc"]] = Field(
        default=frozenset({"dkim", "spf", "dmarc"}), min_length=1
    )
    wait: Duration = Field(default=timedelta(minutes=5), gt=timedelta(), le=timedelta(hours=1))
    every: Duration = Field(default=timedelta(seconds=5), ge=timedelta(seconds=1))
    mailboxes: tuple[SeedTable, ...] = ()

    @property
    def tables(self) -> "tuple[Canary | SeedTable, ...]":
        """Those that have seeds: its own first."""
        return (*((self,) if self.to else ()), *self.mailboxes)

    @model_validator(mode="after")
    def _check_whole(self) -> "Canary":
        if self.to and not (self.host and self.username):
            raise ValueError("it has no host or username; name the mailbox in which the copies arrive")
        seeds = [seed.lower() for table in self.tables for seed in table.to]
        if len(seeds) != len(set(seeds)):
            raise ValueError("one address is a seed twice; name it for the mailbox in which its copy arrives")
        if len(seeds) > _MOST_SEEDS:
            raise ValueError(f"it has {len(seeds)} seeds; {_MOST_SEEDS} are the most")
        variables = [table.variable for table in self.mailboxes]
        if len(variables) != len(set(variables)):
            raise ValueError("two [[canary.mailboxes]] have one name; give each its own")
        return self


class StoreTable(Table):
    """[store]"""

    url: str = "sqlite:///digest.db"
    connections: int = Field(default=64, ge=2, le=1000)  # to a server, of one process, at most
    journal: Path | None = None  # who left, and what began to be sent; else beside the database, or this file

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        if not url.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise ValueError('write "sqlite:///digest.db" or "postgresql+psycopg://user@host/name"')
        return url
