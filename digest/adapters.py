"""From a table of config.toml to the adapter it names: three literal tables are the whole registry.

A `kind` of the form "package.module:factory" reaches a user's own: the factory is called with the table's further
keys as keyword arguments, and a source's also with `id` and `fetch`. Adapters are imported when they are asked for,
so that a command pays only for what it uses.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from digest.config.schema import Secrets, is_custom
from digest.errors import ConfigError
from digest.models import SourceProfile
from digest.protocols import Clock, Fetch, Source, Summarizer, Transport


def _feed_source(table: Any, fetch: Fetch, clock: Clock) -> Source:
    from digest.sources.feed import FeedSource

    return FeedSource(id=table.id, url=table.url, fetch=fetch, clock=clock, headers=table.headers)


def _sitemap_source(table: Any, fetch: Fetch, clock: Clock) -> Source:
    from digest.sources.sitemap import SitemapSource

    return SitemapSource(id=table.id, url=table.url, fetch=fetch, clock=clock, headers=table.headers)


def _page_source(table: Any, fetch: Fetch, clock: Clock) -> Source:
    from digest.sources.page import PageSource

    return PageSource(
        id=table.id, url=table.url, fetch=fetch, clock=clock, headers=table.headers, selector=table.selector
    )


def _file_source(table: Any, fetch: Fetch, clock: Clock) -> Source:  # noqa: ARG001 - one shape for all kinds
    from digest.extract import read_page
    from digest.sources.file import FileSource

    return FileSource(id=table.id, path=table.path, relative_dates=table.relative_dates, now=clock, read_page=read_page)


def _extractive(table: Any) -> Summarizer:
    from digest.summarizers.extractive import ExtractiveSummarizer

    return ExtractiveSummarizer(of_all_outlets=getattr(table, "outlets", "lead") == "all")


def _outbox(table: Any, secrets: Secrets) -> Transport:  # noqa: ARG001
    from digest.transports.outbox import OutboxTransport

    return OutboxTransport(path=table.path)


def _smtp(table: Any, secrets: Secrets) -> Transport:
    from digest.transports.smtp import SmtpTransport

    password = secrets.smtp_password.get_secret_value() if secrets.smtp_password else None
    if table.username and not password:
        remedy = "set DIGEST_SMTP_PASSWORD in the environment"
        raise ConfigError("transport smtp", "it has a username and no password", remedy=remedy)
    return SmtpTransport(host=table.host, port=table.port, tls=table.tls, username=table.username, password=password)


def _sendgrid(table: Any, secrets: Secrets) -> Transport:
    from digest.transports.sendgrid import SendGridTransport

    key = secrets.sendgrid_api_key
    if not key:
        raise ConfigError(
            "transport sendgrid", "it has no key", remedy="set DIGEST_SENDGRID_API_KEY in the environment"
        )
    return SendGridTransport(
        api_key=key.get_secret_value(), host=table.host, region=table.region, sandbox=table.sandbox
    )


SOURCES: Mapping[str, Callable[[Any, Fetch, Clock], Source]] = {
    "feed": _feed_source,
    "sitemap": _sitemap_source,
    "page": _page_source,
    "file": _file_source,
}
SUMMARIZERS: Mapping[str, Callable[[Any], Summarizer]] = {"extractive": _extractive}
TRANSPORTS: Mapping[str, Callable[[Any, Secrets], Transport]] = {
    "outbox": _outbox,
    "smtp": _smtp,
    "sendgrid": _sendgrid,
}


def make_source(table: Any, fetch: Fetch, clock: Clock) -> Source:
    """The source that a [[sources]] table names. Raises ConfigError for a factory that is not there."""
    if is_custom(table.kind):
        source: Source = _call_factory(table, id=table.id, fetch=fetch)
        return source
    return SOURCES[table.kind](table, fetch, clock)


def make_summarizers(table: Any) -> list[Summarizer]:
    """The summarizer that [summarizer] names, and the extractive one behind it."""
    fallback = SUMMARIZERS["extractive"](table)
    return [_call_factory(table), fallback] if is_custom(table.kind) else [SUMMARIZERS[table.kind](table)]


def make_transport(table: Any, secrets: Secrets) -> Transport:
    """The transport that [transport] or one of its fallbacks names. Raises ConfigError for what is missing."""
    if is_custom(table.kind):
        transport: Transport = _call_factory(table)
        return transport
    return TRANSPORTS[table.kind](table, secrets)


def profile_of(table: Any) -> SourceProfile:
    """What a [[sources]] table says whatever its kind."""
    return SourceProfile(
        id=table.id,
        title=table.title,
        topics=table.topics,
        full_text=table.full_text,
        rights=table.rights,
        weight=table.weight,
        trusted=table.trusted,
        include=table.include,
        exclude=table.exclude,
    )


def _call_factory(table: Any, **arguments: Any) -> Any:
    module, _, name = table.kind.partition(":")
    try:
        factory = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        remedy = "write it as package.module:factory, and install the package beside digest"
        raise ConfigError(f'kind "{table.kind}"', "it cannot be imported", remedy=remedy) from error
    try:
        return factory(**(table.model_extra or {}), **arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f'kind "{table.kind}"', "its factory does not take these keys") from error
