"""Config → what stages are handed: the operator's decisions as values, the templates, the segments.

Nothing here is opened but templates, and those when they are asked for.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from email.utils import parseaddr
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from digest.adapters import make_transport, profile_of
from digest.audience.addresses import parse_address
from digest.config import Config
from digest.config.delivering import Canary, SeedTable
from digest.config.values import is_custom
from digest.errors import ConfigError, RenderError
from digest.models import Cadence

if TYPE_CHECKING:
    from digest.audience.segments import Predicate
    from digest.deliver import Lane, Limits
    from digest.ports import CanaryMailbox, Settings
    from digest.render import Brand, Renderer

_DAY, _WEEK = timedelta(days=1), timedelta(days=7)
# A day's news is old at noon; of a week's, how many tell it counts for more than which day it was.
_HALF_LIVES: Mapping[Cadence, timedelta] = {"daily": _DAY / 2, "weekly": _WEEK, "special": _DAY / 2}
_SHARE_OF_A_DOMAIN = 0.4  # of a lane's rate, unless the operator says otherwise
_INSTALLED = Path(__file__).parent / "share"
_CHECKOUT = Path(__file__).parent.parent


def shipped(name: str) -> Path:
    """A file or folder that ships with Digest: `templates`, `samples` or `config.toml`, installed or in a checkout."""
    installed = _INSTALLED / name
    return installed if installed.exists() else _CHECKOUT / name


def make_renderer(config: Config) -> "Renderer":
    """The templates: the operator's own folder first, then the shipped ones.

    Raises RenderError when that folder has an edition of its own in part only: a template that went missing must
    not quietly give way to the shipped look.
    """
    from digest.render import Renderer

    newsletter = config.newsletter
    own = config.path.parent / "templates"
    for name in ("edition.html", "edition.txt"):
        if (own / "email").is_dir() and not (own / "email" / name).is_file():
            remedy = f"put it back, or remove {own / 'email'} to use the shipped ones"
            raise RenderError(str(own / "email" / name), "the template is missing", remedy=remedy)
    return Renderer(
        folders=[folder for folder in (own, shipped("templates")) if folder.is_dir()],
        base_url=newsletter.base_url,
        postal_address=newsletter.postal_address,
        reply_to=newsletter.reply_to,
        timezone=ZoneInfo(config.schedule.timezone),
        brand=_make_brand(config),
    )


def _make_brand(config: Config) -> "Brand":
    from digest.render import Brand, Logo

    table = config.theme
    logo = None
    if table.logo:
        alt = table.logo_alt or config.newsletter.name
        logo = Logo(url=table.logo, alt=alt, width=table.logo_width, height=table.logo_height)
    return Brand(
        theme=table.name,
        light=table.light.model_dump(exclude_none=True),
        dark=table.dark.model_dump(exclude_none=True),
        heading_font=table.heading_font,
        text_font=table.text_font,
        arabic_font=table.arabic_font,
        logo=logo,
        images=table.images,
        names_failed=table.name_failed_sources,
    )


def make_segments(config: Config) -> "Mapping[str, Predicate]":
    """Whether a subscriber is of a segment, by its id."""
    from digest.audience.segments import Usual, make_predicate

    usual = Usual(language=config.newsletter.language, timezone=config.schedule.timezone)
    return {
        table.id: make_predicate(
            topic=table.topic,
            language=table.language,
            timezone=table.timezone,
            tag=table.tag,
            filter_text=table.filter,
            usual=usual,
        )
        for table in config.segments
    }


def make_settings(config: Config, cadence: Cadence = "daily") -> "Settings":
    """What the operator decided, for the editions of one cadence."""
    from digest.ports import Settings

    newsletter, rules = config.newsletter, config.edition
    memory = timedelta(days=rules.memory_days)
    if cadence == "weekly":
        memory *= 7  # what was told is remembered for as many weeks
    host = urlsplit(newsletter.base_url).hostname or "localhost"
    return Settings(
        newsletter=newsletter.slug,
        name=newsletter.name,
        language=newsletter.language,
        topics={topic.id: topic.title for topic in config.topics},
        profiles={table.id: profile_of(table) for table in config.sources},
        window=config.window_of(cadence),
        max_stories=rules.max_stories,
        min_stories=rules.min_stories,
        words=rules.words,
        memory=memory,
        alerts=alert_addresses(config),
        mix_languages=rules.mix_languages,
        segment=rules.segment,
        approval=rules.approval,
        sender=newsletter.sender,
        reply_to=newsletter.reply_to,
        list_id=f"{newsletter.slug}.{host}",
        rehearsal=is_rehearsal(config),
        inbox=config.inbox.mailbox,
        canary_require=frozenset(config.canary.require),
        canary_wait=config.canary.wait,
        canary_every=config.canary.every,
        cadence=cadence,
        half_life=_HALF_LIVES[cadence],
    )


def list_seeds(config: Config) -> "list[CanaryMailbox]":
    """The mailboxes in which the canary's copies arrive. Raises ConfigError where a password is missing."""
    return [_make_seeds(config, table) for table in config.canary.tables]


def _make_seeds(config: Config, table: "Canary | SeedTable") -> "CanaryMailbox":
    from digest.audience.canary import judge
    from digest.audience.seeds import ImapSeeds
    from digest.ports import CanaryMailbox

    secrets = config.secrets
    variable = table.variable if isinstance(table, SeedTable) else "DIGEST_CANARY_PASSWORD"
    password = secrets.canary_passwords.get(variable) if isinstance(table, SeedTable) else secrets.canary_password
    if not password:
        remedy = f"set {variable} in the environment"
        raise ConfigError("canary", "a mailbox has a username and no password", remedy=remedy)
    return CanaryMailbox(
        seeds=tuple(parse_address(parseaddr(one)[1]).email for one in table.to),
        open=partial(
            ImapSeeds,
            host=table.host,
            port=table.port,
            tls=table.tls,
            username=table.username or "",
            password=password.get_secret_value(),
            folder=table.folder,
            variable=variable,
        ),
        judge=partial(
            judge,
            sender=parse_address(config.newsletter.sender).email,
            receiver=table.receiver,
            require=frozenset(config.canary.require),
        ),
        is_local=_is_loopback(table.host),
    )


def make_lanes(config: Config, *, connections: int | None = None) -> "list[Lane]":
    """The transports in order of preference, each with its rates; nothing is connected. Raises ConfigError.

    `connections`: how many each has, where the operator does not say.
    """
    kinds = Counter(table.kind for table in config.transports)
    # Of several servers, a delivery says which it was.
    labels = [_name_lane(one) if one.kind == "smtp" and kinds["smtp"] > 1 else "" for one in config.transports]
    return [
        _make_lane(table, config, label, connections) for table, label in zip(config.transports, labels, strict=True)
    ]


def _make_lane(table: Any, config: Config, label: str, connections: int | None) -> "Lane":
    from digest.deliver import Lane, WarmUp
    from digest.deliver.turns import fold_domain

    plan = table.warm_up
    make = partial(make_transport, table, config.secrets, config.check.servers)
    return Lane(
        transport=make(),
        connect=make,
        # An adapter of the operator's own may have keys of any name and kind.
        connections=1 if is_custom(table.kind) else _count_connections(table, connections),
        key=_name_lane(table),
        label=label,
        rate=table.rate,
        per_hour=table.per_hour,
        is_by_request=table.kind == "sendgrid",
        per_domain=_rate_of_domains(table),
        domains={} if table.kind == "outbox" else {fold_domain(name): rate for name, rate in table.domains.items()},
        warm_up=WarmUp(start=plan.start, first=plan.first, growth=plan.growth, until=plan.until) if plan else None,
    )


def _count_connections(table: Any, usual: int | None) -> int:
    if usual is None or table.kind == "outbox" or "connections" in table.model_fields_set:
        return int(getattr(table, "connections", 1))
    return usual


def _rate_of_domains(table: Any) -> float | None:
    """Messages a second to one recipient domain; None: as many as the lane takes."""
    if table.kind == "outbox" or table.per_domain == "off":  # an outbox is one folder, whatever the domains are
        return None
    return float(_SHARE_OF_A_DOMAIN * table.rate if table.per_domain is None else table.per_domain)


def _name_lane(table: Any) -> str:
    """By which all newsletters and processes of a database know that they share it."""
    if is_custom(table.kind):
        return str(table.kind)
    host, port = getattr(table, "host", ""), getattr(table, "port", "")
    return " ".join(part for part in (table.kind, f"{host}:{port}" if host and port else host) if part)


def make_limits(config: Config) -> "Limits":
    """The shares at which an edition stops."""
    from digest.deliver import Limits

    table = config.breakers
    return Limits(failures=table.failures, bounces=table.bounces, complaints=table.complaints, after=table.after)


def alert_addresses(config: Config) -> tuple[str, ...]:
    """The operator's own addresses, without names. Raises ConfigError."""
    return tuple(parse_address(parseaddr(one)[1]).email for one in config.alerts.to)


def is_rehearsal(config: Config) -> bool:
    """Whether every transport ends on this machine: the outbox, or a host on loopback."""
    return all(_is_local(table) for table in config.transports)


def _is_local(table: Any) -> bool:
    if table.kind == "outbox":
        return True
    host = getattr(table, "host", "")
    return _is_loopback((urlsplit(host).hostname if "://" in host else host) or "")


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
