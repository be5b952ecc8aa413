"""The tables of config.toml and their defaults. What this version does not have yet is not a choice here."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    field_validator,
    model_validator,
)

from digest.config.audience import Audience, Bounces, Counting, Inbox, Segment, Web
from digest.config.delivering import Breakers, Canary, FallbackTable, OutboxTable, StoreTable, TransportTable
from digest.config.operating import Alerts, Checks, Logs, Retention
from digest.config.scheduling import EngineTable, LocalEngine, Schedule
from digest.config.values import (
    AddressText,
    AsciiUrl,
    Colour,
    Duration,
    FontList,
    HttpUrl,
    Identifier,
    Network,
    SecureUrl,
    Table,
    kind_of,
)
from digest.models import Cadence, Rights

_DAY, _WEEK = timedelta(days=1), timedelta(days=7)
_LATE = timedelta(days=2)  # an edition may be made that much later than it was due, from what was there then


class Newsletter(Table):
    """[newsletter]"""

    name: str = Field(min_length=1)
    slug: Identifier
    sender: AddressText
    reply_to: AddressText | None = None
    subject: str = "{{ lead.headline }}"
    language: str = Field(default="en", pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")
    postal_address: str = ""
    base_url: AsciiUrl = Field(default="http://127.0.0.1:8000", max_length=400)  # it stands in a header of one line


class Colours(Table):
    """[theme.light] and [theme.dark]: colours by the names of a theme's table."""

    desk: Colour | None = None
    paper: Colour | None = None
    ink: Colour | None = None
    soft: Colour | None = None
    line: Colour | None = None
    accent: Colour | None = None
    on_accent: Colour | None = None


class ThemeTable(Table):
    """[theme]"""

    name: str = Field(default="plain", pattern=r"^[a-z0-9][a-z0-9_-]*$")
    heading_font: FontList | None = None
    text_font: FontList | None = None
    arabic_font: FontList | None = None
    logo: SecureUrl | None = None
    logo_alt: str = ""
    logo_width: int = Field(default=160, ge=16, le=600)
    logo_height: int = Field(default=48, ge=8, le=300)
    images: bool = True
    name_failed_sources: bool = True
    light: Colours = Colours()
    dark: Colours = Colours()


class EditionRules(Table):
    """[edition]"""

    window: Duration = timedelta(hours=24)
    max_stories: int = Field(default=12, ge=1, le=200)
    min_stories: int = Field(default=3, ge=1)
    words: int = Field(default=60, ge=15, le=400)
    memory_days: int = Field(default=7, ge=0)
    segment: str = ""  # only its members get the editions
    mix_languages: bool = False
    approval: str = Field(default="none", pattern=r"^(none|required|first:\d+)$")


class Topic(Table):
    """[[topics]]"""

    id: Identifier
    title: str = Field(min_length=1)


class _SourceTable(Table):
    id: Identifier
    title: str | None = None
    topics: tuple[str, ...] = ()
    rights: Rights | None = None
    weight: float = Field(default=1.0, gt=0)
    trusted: bool = False
    full_text: bool = True
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    every: Duration | None = Field(default=None, ge=timedelta(minutes=1))  # between visits; None: at its own pace


class FeedSourceTable(_SourceTable):
    """[[sources]] with kind = "feed" """

    kind: Literal["feed"]
    url: HttpUrl
    headers: dict[str, str] = Field(default_factory=dict, repr=False)


class SitemapSourceTable(_SourceTable):
    """[[sources]] with kind = "sitemap" """

    kind: Literal["sitemap"]
    url: HttpUrl
    headers: dict[str, str] = Field(default_factory=dict, repr=False)


class PageSourceTable(_SourceTable):
    """[[sources]] with kind = "page" """

    kind: Literal["page"]
    url: HttpUrl
    selector: str | None = Field(default=None, min_length=1)
    headers: dict[str, str] = Field(default_factory=dict, repr=False)


class FileSourceTable(_SourceTable):
    """[[sources]] with kind = "file" """

    kind: Literal["file"]
    path: Path
    relative_dates: bool = False


class CustomSourceTable(_SourceTable):
    """[[sources]] with kind = "package.module:factory"; further keys are the factory's arguments."""

    model_config = ConfigDict(extra="allow", frozen=True)
    kind: str


class ExtractiveTable(Table):
    """[summarizer]"""

    kind: Literal["extractive"] = "extractive"
    outlets: Literal["lead", "all"] = "lead"


class LlmTable(Table):
    """[summarizer] with kind = "llm": a model behind any service that speaks OpenAI's chat completions."""

    kind: Literal["llm"]
    base_url: HttpUrl = "https://api.openai.com/v1"
    model: str = Field(min_length=1)
    outlets: Literal["lead", "all"] = "lead"
    timeout: Duration = Field(default=timedelta(seconds=30), gt=timedelta())
    deadline: Duration = Field(default=timedelta(minutes=3), gt=timedelta())
    budget: int = Field(default=200_000, ge=1)  # tokens a run
    concurrency: int = Field(default=4, ge=1, le=16)  # as many threads as wait at once
    options: dict[str, Any] = Field(default_factory=dict)  # further fields of each request

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, url: str) -> str:
        if "@" in urlsplit(url).netloc:
            raise ValueError("no name or password may stand in it; the key comes from DIGEST_LLM_API_KEY")
        return url

    @field_validator("options")
    @classmethod
    def _check_options(cls, options: dict[str, Any]) -> dict[str, Any]:
        try:
            json.dumps(options, allow_nan=False)
        except (TypeError, ValueError):
            raise ValueError("only text, numbers, true, false, lists and tables can be sent") from None
        return options


class CustomTable(Table):
    """[summarizer] with kind = "package.module:factory"; further keys are the factory's arguments."""

    model_config = ConfigDict(extra="allow", frozen=True)
    kind: str


class Fetching(Table):
    """[fetch]"""

    allow_private: tuple[Network, ...] = ()


SourceTable = Annotated[
    Annotated[FeedSourceTable, Tag("feed")]
    | Annotated[SitemapSourceTable, Tag("sitemap")]
    | Annotated[PageSourceTable, Tag("page")]
    | Annotated[FileSourceTable, Tag("file")]
    | Annotated[CustomSourceTable, Tag("custom")],
    Discriminator(kind_of),
]
SummarizerTable = Annotated[
    Annotated[ExtractiveTable, Tag("extractive")]
    | Annotated[LlmTable, Tag("llm")]
    | Annotated[CustomTable, Tag("custom")],
    Discriminator(lambda table: "extractive" if kind_of(table) == "None" else kind_of(table)),
]


class Secrets(Table):
    """What comes from the environment only."""

    secret_key: SecretStr | None = None
    smtp_password: SecretStr | None = None
    sendgrid_api_key: SecretStr | None = None
    imap_password: SecretStr | None = None
    canary_password: SecretStr | None = None
    canary_passwords: dict[str, SecretStr] = Field(default_factory=dict)  # of [[canary.mailboxes]], by variable
    llm_api_key: SecretStr | None = None
    variables: dict[str, SecretStr] = Field(default_factory=dict)  # that the file names, as ${NAME}

    def list_values(self) -> list[str]:
        """All of them, however they are called."""
        found: list[str] = []
        for name in type(self).model_fields:
            given = getattr(self, name)
            several = given.values() if isinstance(given, dict) else [given] if given else []
            found += [secret.get_secret_value() for secret in several]
        return found


class Config(Table):
    """The whole configuration. `path` is the file it was read from; relative paths in it are already resolved."""

    path: Path
    newsletter: Newsletter
    schedule: Schedule = Schedule()
    edition: EditionRules = EditionRules()
    theme: ThemeTable = ThemeTable()
    topics: tuple[Topic, ...] = ()
    sources: tuple[SourceTable, ...] = ()
    summarizer: SummarizerTable = ExtractiveTable()
    fetch: Fetching = Fetching()
    transport: FallbackTable = OutboxTable()
    breakers: Breakers = Breakers()
    canary: Canary = Canary()
    alerts: Alerts = Alerts()
    audience: Audience = Audience()
    bounces: Bounces = Bounces()
    inbox: Inbox = Inbox()
    segments: tuple[Segment, ...] = ()
    counting: Counting = Counting()
    store: StoreTable = StoreTable()
    retention: Retention = Retention()
    log: Logs = Logs()
    check: Checks = Checks()
    engine: EngineTable = LocalEngine()
    web: Web = Web()
    secrets: Secrets = Field(default=Secrets(), repr=False)

    @property
    def transports(self) -> tuple[TransportTable, ...]:
        """The transport and its fallbacks, in order of preference."""
        return (self.transport, *self.transport.fallback)

    @property
    def pages_kept(self) -> timedelta | None:
        """How long texts of entries are kept: at the least as long as an edition may take them from; None: for ever."""
        if self.retention.pages is None:
            return None
        reach = self.window_of("weekly" if self.schedule.weekly is not None else "daily")
        return max(self.retention.pages, reach + _LATE)

    def window_of(self, cadence: Cadence) -> timedelta:
        """How far back the editions of a cadence reach: a weekly one beyond a week as far as a daily beyond a day."""
        window = self.edition.window
        return window + _WEEK - _DAY if cadence == "weekly" else window

    @model_validator(mode="after")
    def _check_names(self) -> "Config":
        topics = [topic.id for topic in self.topics]
        sources = [source.id for source in self.sources]
        for kind, names in (("topic", topics), ("source", sources), ("segment", [s.id for s in self.segments])):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f'two [[{kind}s]] have the id "{twice[0]}"; give each its own')
        for source in self.sources:
            unknown = [topic for topic in source.topics if topic not in topics]
            if unknown:
                raise ValueError(f'source "{source.id}" names the topic "{unknown[0]}", which no [[topics]] has')
        for segment in self.segments:
            for topic in sorted(segment.topics - set(topics)):
                raise ValueError(f'segment "{segment.id}" names the topic "{topic}", which no [[topics]] has')
        if self.engine.kind == "procrastinate" and not self.store.url.startswith("postgresql"):
            raise ValueError('[engine] kind = "procrastinate" needs PostgreSQL: write its address as [store] url')
        segments = [segment.id for segment in self.segments]
        if self.edition.segment and self.edition.segment not in segments:
            raise ValueError(f'[edition] segment is "{self.edition.segment}", which no [[segments]] has')
        return self
