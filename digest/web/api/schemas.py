"""What is asked and answered about subscribers, as the schema describes it."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from digest.audience.addresses import LONGEST_ADDRESS
from digest.models import Frequency, Subscriber, SubscriberState

_INSTANT: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)  # RFC 3339 §5.6
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_NO_CONTROLS: Final = r"^[^\x00-\x1f\x7f]*$"


def _read_instant(value: Any) -> datetime:
    """An instant as RFC 3339 writes it; what else pydantic takes for one (numbers, days) is none here."""
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise ValueError("write it as 2026-01-31T08:00:00Z")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("there is no such instant") from None


def _read_day(value: Any) -> date:
    """A day as RFC 3339 writes it."""
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise ValueError("write it as 2026-01-31")
    return date.fromisoformat(value)


Day = Annotated[date, BeforeValidator(_read_day)]
Instant = Annotated[
    datetime, BeforeValidator(_read_instant), WithJsonSchema({"type": "string", "format": "date-time"}, "validation")
]
Key = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$", description="The subscription's own random name; no address.")]
Email = Annotated[
    str,
    Field(
        min_length=3,
        max_length=LONGEST_ADDRESS,
        pattern=r"^[^<>\s\x00-\x1f\x7f]+@[^<>\s\x00-\x1f\x7f]+$",
        json_schema_extra={"format": "email"},
        examples=["ada@example.com"],
    ),
]
Line = Annotated[str, Field(max_length=200, pattern=_NO_CONTROLS)]
Topic = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64, examples=["world"])]
Topics = Annotated[list[Topic], Field(max_length=100, description="Ids of topics; none: every topic.")]
Language = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35, description="As in BCP 47.", examples=["pt-BR"]
    ),
]
Timezone = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9_+/-]+$", max_length=64, description="An IANA name.", examples=["Europe/Lisbon"]),
]


class NewSubscriber(BaseModel):
    """Somebody who asked for the newsletter elsewhere, and is now asked to confirm it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"email": "ada@example.com", "topics": ["world"], "consent_text": "Send me the Morning Brief."}
            ]
        },
    )

    email: Email
    name: Line | None = None
    topics: Topics = []
    language: Language | None = None
    timezone: Timezone | None = None
    frequency: Frequency = "daily"
    consent_text: Annotated[
        str | None,
        Field(
            max_length=2000,
            pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$",
            description="What they agreed to where they asked. It counts from when they confirm.",
        ),
    ] = None


def _drop_defaults(schema: dict[str, Any]) -> None:
    """What is not named stays: a default in the schema would say otherwise."""
    schema["examples"] = [{"topics": ["world"], "paused_until": "2026-08-31T00:00:00Z"}]
    for field in schema["properties"].values():
        field.pop("default", None)


class SubscriberChange(BaseModel):
    """What is to be changed. What is not named stays; the state is nobody's to set."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_drop_defaults)

    name: Line | None = None
    topics: Topics = []
    language: Language | None = None
    timezone: Timezone | None = None
    frequency: Frequency = "daily"
    paused_until: Annotated[Instant | None, Field(description="No mail before; null: none is held back.")] = None


class Reader(BaseModel):
    """A subscriber."""

    id: Key
    email: str = Field(examples=["ada@example.com"])
    state: SubscriberState = Field(description="Only who is active, and not suppressed, is mailed.")
    suppressed: bool = Field(description="The address is on the list of those that are not mailed, whatever the state.")
    name: str | None
    topics: list[str] = Field(description="None: every topic.")
    language: str | None
    timezone: str | None
    frequency: Frequency
    paused_until: datetime | None
    tags: list[str] = Field(description="The operator's own labels.")
    consent_at: datetime | None = Field(description="When they agreed; null while they have not.")
    consent_text: str | None
    consent_from: str | None = Field(description="Where: an address of the network, a file, or this API.")

    @classmethod
    def of(cls, reader: Subscriber, *, suppressed: bool) -> "Reader":
        """As it is told."""
        return cls(
            id=reader.key,
            email=reader.email,
            state=reader.state,
            suppressed=suppressed,
            name=reader.name,
            topics=list(reader.topics),
            language=reader.language,
            timezone=reader.timezone,
            frequency=reader.frequency,
            paused_until=reader.paused_until,
            tags=list(reader.tags),
            consent_at=reader.consent_at,
            consent_text=reader.consent_text,
            consent_from=reader.consent_from,
        )


class Readers(BaseModel):
    """A page of subscribers, in the order in which they came."""

    items: list[Reader]
    next: Key | None = Field(description="The `cursor` of the next page; null: this is the last.")


class Asked(BaseModel):
    """What became of a new subscriber."""

    confirmation: Literal["asked", "none"] = Field(
        description="Whether a mail goes to them in which they confirm; none for who is subscribed already."
    )
    subscriber: Reader | None = Field(
        description="As they are now: pending until they confirm. Null for an address that is on the list of those not "
        "mailed, and of which nothing else is kept: it is asked all the same."
    )
