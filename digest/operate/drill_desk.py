"""The scratch newsletter of a drill: a folder with a configuration, invented readers and a ready edition.

Of the operator's own it takes the newsletter's words, the theme, the templates and how many connections are used, so
that what is sent is what would be sent. Of their database, subscribers, sources, secrets and provider it takes nothing.
"""

import csv
import os
import random
import shutil
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import digest
from digest.app import App
from digest.config import Config, load_config
from digest.config.delivering import SendGridTable, SmtpTable
from digest.config.editing import write_tables
from digest.decisions import shipped
from digest.errors import ConfigError, DigestError
from digest.models import EditionState, StoredEdition
from digest.operate.importing import import_file

Kind = Literal["smtp", "sendgrid"]
_DOMAIN: Final = "drill.invalid"  # RFC 6761 §6.4: no mail for it gets anywhere
_KEPT: Final = ("name", "slug", "sender", "reply_to", "subject", "language", "postal_address")


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """Invented subscribers, by address, with the topics that each chose."""

    topics: Mapping[str, tuple[str, ...]]

    @property
    def largest_batch(self) -> int:
        """How many share their topics at most; they are handed over together."""
        return max(Counter(self.topics.values()).values())

    def count_batches(self, people: Iterable[str]) -> int:
        """In how many batches these are at least."""
        return len({self.topics[address] for address in people})


def choose_kind(config: Config) -> Kind:
    """The first transport that talks to a server, as it is configured; else SMTP."""
    kinds = [table.kind for table in config.transports if isinstance(table, SmtpTable | SendGridTable)]
    return kinds[0] if kinds else "smtp"


def count_connections(config: Config, kind: Kind) -> int:
    """As many as the operator configured for that transport, or as a table without the key has."""
    tables = [table for table in config.transports if isinstance(table, SmtpTable | SendGridTable)]
    configured = next((table.connections for table in tables if table.kind == kind), None)
    shape = SmtpTable if kind == "smtp" else SendGridTable
    return configured or int(shape.model_fields["connections"].default)


def make_environment(store: str | None) -> dict[str, str]:
    """This process's, without what is the operator's own there."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DIGEST_")}
    package = str(Path(digest.__file__).resolve().parents[1])
    further = {"DIGEST_STORE_URL": store} if store else {}
    path = os.pathsep.join(filter(None, (package, kept.get("PYTHONPATH"))))
    return kept | further | {"PYTHONPATH": path, "DIGEST_SENDGRID_API_KEY": "SG.drill"}


def set_up(
    folder: Path, config: Config, kind: Kind, host: str, port: int, environment: Mapping[str, str], *, rate: str
) -> App:
    """Write the configuration and read it. Raises ConfigError."""
    own = config.path.parent / "templates"
    try:
        if own.is_dir():
            shutil.copytree(own, folder / "templates")
    except (OSError, shutil.Error) as error:
        raise ConfigError(str(own), "it cannot be copied") from error
    path = folder / "config.toml"
    write_tables(path, _make_tables(config, kind, host, port, rate))
    return App(load_config(path, environment))


def compose(app: App) -> StoredEdition:
    """An edition of the samples, let go whatever preflight says of it: what is tried is how it gets there."""
    report = app.run(send=False)
    editions = app.store.editions
    stored = editions.get(report.edition) if report.edition else None
    if stored is not None and stored.state is EditionState.HELD:
        editions.set_state(stored.id, EditionState.READY, "a drill", now=app.clock(), only_from=[EditionState.HELD])
        stored = editions.get(stored.id)
    if stored is None or stored.edition is None or stored.state is not EditionState.READY:
        raise ConfigError("the drill's edition", report.message)
    return stored


def invent_readers(app: App, stored: StoredEdition, number: int, chance: random.Random) -> Readers:
    """Subscribe so many, each to some of the topics that the edition has: it goes out in several variants."""
    items = stored.edition.items if stored.edition else ()
    known = sorted({item.topic for item in items if item.topic})
    readers = {f"reader{count:06}@{_DOMAIN}": _choose_some(known, chance) for count in range(1, number + 1)}
    table = app.config.path.parent / "readers.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["email", "topics"])
        writer.writerows((address, ",".join(topics)) for address, topics in readers.items())
    import_file(app, table, consent="invented", mapping={}, encoding=None, dry=False, tell=lambda _: None)
    return Readers(topics=readers)


def _choose_some(known: Sequence[str], chance: random.Random) -> tuple[str, ...]:
    """Some of them, at least one; every choice as likely."""
    if not known:
        return ()
    chosen = chance.randrange(1, 2 ** len(known))
    return tuple(topic for place, topic in enumerate(known) if chosen >> place & 1)


def _make_tables(config: Config, kind: Kind, host: str, port: int, rate: str) -> dict[str, Any]:
    samples = shipped("config.toml")
    ours = tomllib.loads(samples.read_text(encoding="utf-8"))
    sources = [{**table, "path": str(samples.parent / table["path"])} for table in ours["sources"]]
    newsletter = config.newsletter.model_dump(mode="json", exclude_none=True, include=set(_KEPT))
    address = {"host": host, "port": port, "tls": "none"} if kind == "smtp" else {"host": f"http://{host}:{port}"}
    transport = {"kind": kind, **address, "connections": count_connections(config, kind)}
    return {
        "newsletter": {**newsletter, "base_url": f"https://{_DOMAIN}"},
        "theme": config.theme.model_dump(mode="json", exclude_none=True, exclude_unset=True),
        "schedule": {"timezone": config.schedule.timezone},
        "edition": {"min_stories": 1},
        # Whatever goes wrong, what would slow or stop a sender is not what is tried.
        "transport": {**transport, "rate": rate, "per_domain": "off"},
        "breakers": {"failures": 1.0, "after": 1_000_000_000},
        "topics": ours["topics"],
        "sources": sources,
    }


def remove(folder: Path) -> None:
    """Take the scratch folder away, as far as that is possible."""
    with suppress(OSError, DigestError):
        shutil.rmtree(folder, ignore_errors=True)
