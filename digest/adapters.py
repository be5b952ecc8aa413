"""From a table of config.toml to the adapter it names: three literal tables are the whole registry.

A `kind` of the form "package.module:factory" reaches a user's own: the factory is called with the table's further
keys as keyword arguments, and a source's also with `id` and `fetch`. Adapters are imported when they are asked for,
so that a command pays only for what it uses.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from digest.config.schema import Secrets
from digest.config.values import is_custom
from digest.errors import ConfigError
from digest.models import SourceProfile
from digest.protocols import AnswerStore, Clock, Fetch, Source, Summarizer, Transport

if TYPE_CHECKING:
    from digest.transports.dkim_signing import Signer


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


def _file_source(table: Any, _fetch: Fetch, clock: Clock) -> Source:
    from digest.extract import read_page
    from digest.sources.file import FileSource

    return FileSource(id=table.id, path=table.path, relative_dates=table.relative_dates, now=clock, read_page=read_page)


def _extractive(table: Any, _means: "Means") -> Summarizer:
    from digest.summarizers.extractive import ExtractiveSummarizer

    return ExtractiveSummarizer(of_all_outlets=getattr(table, "outlets", "lead") == "all")


def require_extra(extra: str, *packages: str) -> None:
    """Raise ConfigError when a package of an optional extra is missing."""
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        remedy = f"in Digest's folder: pip install '.[{extra}]'"
        raise ConfigError(f'the extra "{extra}"', f"it needs {', '.join(missing)}, not installed here", remedy=remedy)


def _llm(table: Any, means: "Means") -> Summarizer:
    require_extra("llm", "openai", "simplemma", "text_to_num")
    from digest.summarizers.chat import Chat
    from digest.summarizers.llm import LlmSummarizer

    key = means.secrets.llm_api_key
    if key and not key.get_secret_value().isascii():
        raise ConfigError("DIGEST_LLM_API_KEY", "it holds characters that no header may hold", remedy="copy it anew")
    return LlmSummarizer(
        Chat(
            base_url=table.base_url,
            model=table.model,
            api_key=key.get_secret_value() if key else None,
            options=table.options,
        ),
        means.answers,
        identity=[table.base_url, table.model, table.options],
        language=means.language,
        timeout=table.timeout.total_seconds(),
        deadline=table.deadline.total_seconds(),
        budget=table.budget,
        concurrency=table.concurrency,
        of_all_outlets=table.outlets == "all",
        clock=means.clock,
        monotonic=means.monotonic,
    )


def _outbox(table: Any, _secrets: Secrets, _servers: Sequence[tuple[str, int]]) -> Transport:
    from digest.transports.outbox import OutboxTransport

    return OutboxTransport(path=table.path)


def _smtp(table: Any, secrets: Secrets, servers: Sequence[tuple[str, int]]) -> Transport:
    from digest.transports.smtp import SmtpTransport

    password = secrets.smtp_password.get_secret_value() if secrets.smtp_password else None
    if table.username and not password:
        remedy = "set DIGEST_SMTP_PASSWORD in the environment"
        raise ConfigError("transport smtp", "it has a username and no password", remedy=remedy)
    return SmtpTransport(
        host=table.host,
        port=table.port,
        tls=table.tls,
        username=table.username,
        password=password,
        signer=_signer(table.dkim, servers) if table.dkim else None,
        deadline=table.deadline.total_seconds(),
    )


def _signer(table: Any, servers: Sequence[tuple[str, int]]) -> "Signer":
    from digest.records import make_ask
    from digest.transports.dkim_signing import Signer

    return Signer(domain=table.domain, selector=table.selector, key=table.key, ask=make_ask(servers))


def _sendgrid(table: Any, secrets: Secrets, _servers: Sequence[tuple[str, int]]) -> Transport:
    from digest.transports.sendgrid import SendGridTransport

    return SendGridTransport(
        api_key=read_sendgrid_key(secrets),
        host=table.host,
        region=table.region,
        sandbox=table.sandbox,
        categories=table.categories,
    )


def read_sendgrid_key(secrets: Secrets) -> str:
    """The key, without the line end that a file may have brought. Raises ConfigError, which never shows it."""
    key = secrets.sendgrid_api_key.get_secret_value().strip() if secrets.sendgrid_api_key else ""
    if not key:
        raise ConfigError(
            "transport sendgrid", "it has no key", remedy="set DIGEST_SENDGRID_API_KEY in the environment"
        )
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(
            "DIGEST_SENDGRID_API_KEY", "it holds characters that no header may hold", remedy="copy it anew"
        )
    return key


SOURCES: Mapping[str, Callable[[Any, Fetch, Clock], Source]] = {
    "feed": _feed_source,
    "sitemap": _sitemap_source,
    "page": _page_source,
    "file": _file_source,
}
SUMMARIZERS: Mapping[str, "Callable[[Any, Means], Summarizer]"] = {"extractive": _extractive, "llm": _llm}
TRANSPORTS: Mapping[str, Callable[[Any, Secrets, Sequence[tuple[str, int]]], Transport]] = {
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a summarizer may need besides its table."""

    secrets: Secrets
    answers: AnswerStore
    language: str  # the newsletter's
    clock: Clock
    monotonic: Callable[[], float]


def make_summarizers(table: Any, means: Means) -> list[Summarizer]:
    """The summarizer that [summarizer] names, and the extractive one behind every other. Raises ConfigError."""
    fallback = _extractive(table, means)
    if table.kind == "extractive":
        return [fallback]
    return [_call_factory(table) if is_custom(table.kind) else SUMMARIZERS[table.kind](table, means), fallback]


def make_transport(table: Any, secrets: Secrets, servers: Sequence[tuple[str, int]] = ()) -> Transport:
    """The transport that [transport] or one of its fallbacks names. Raises ConfigError for what is missing.

    `servers`, hosts and ports, are asked of the DNS when it is checked; without any, those of this machine.
    """
    if is_custom(table.kind):
        transport: Transport = _call_factory(table)
        return transport
    return TRANSPORTS[table.kind](table, secrets, servers)


@contextmanager
def open_transports(tables: Sequence[Any], secrets: Secrets) -> Iterator[list[Transport]]:
    """Transports of one's own, for mail beside the ledger; closed at the end. Raises ConfigError."""
    with ExitStack() as stack:
        transports = []
        for table in tables:
            transports.append(make_transport(table, secrets))
            stack.callback(transports[-1].close)
        yield transports


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
        every=table.every,
    )


def host_of(table: Any) -> str:
    """The host that a [[sources]] table names; "" where it is on this machine."""
    return urlsplit(getattr(table, "url", None) or "").hostname or ""


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
