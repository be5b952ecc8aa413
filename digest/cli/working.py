"""digest worker: performs tasks of the distributed engine until stopped."""

import os
import secrets
import signal
import threading
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from digest.cli.logs import Log
from digest.cli.options import ConfigOption, load
from digest.cli.output import FAILED, leave
from digest.cli.rereading import watch_terminal
from digest.errors import ConfigError
from digest.models import TaskKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from digest.config import Config
    from digest.config.scheduling import ProcrastinateEngine
    from digest.means import Means
    from digest.operate.presence import Presence

_KINDS: tuple[TaskKind, ...] = get_args(TaskKind)


def register(commands: typer.Typer) -> None:
    """Add the command."""
    commands.command("worker")(worker)


def worker(
    context: typer.Context,
    queues: Annotated[
        str | None,
        typer.Option(metavar="KINDS", help=f"Only tasks of these kinds: {','.join(_KINDS)}.", show_default=False),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Tasks at once; else \\[engine] concurrency.", show_default=False),
    ] = None,
    health: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:]PORT",
            help="Where /livez, /readyz and /metrics answer; else \\[engine] health.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Perform the tasks of the distributed engine until stopped. Any number of workers may run, on any machines.

    SIGTERM ends it when what is under way has ended, a second one at once; SIGHUP has it read the configuration again.
    """
    chosen = read_kinds(queues)
    first = load(context, config)
    engine = require_engine(first)
    log = Log(first)
    place = health or engine.health

    try:
        from digest.engine.queue import ProcrastinateQueue
    except ImportError:
        remedy = "in Digest's folder: pip install '.[postgresql]'"
        raise ConfigError("[store] url", "PostgreSQL needs a driver, not installed here", remedy=remedy) from None
    from digest.health import Health, read_address
    from digest.stores.owners import this_owner
    from digest.worker import Worker

    slug, at_once = first.newsletter.slug, concurrency or engine.concurrency
    queue = ProcrastinateQueue(first.store.url, slug, attempts=engine.attempts)

    is_over = threading.Event()
    there: list[Presence] = []  # while tasks of an earlier configuration go on, more than one

    def end() -> None:
        is_over.set()
        os.kill(os.getpid(), signal.SIGTERM)

    def read_again() -> "Means":
        found = load(context, config)
        log.learn(found)
        table = require_engine(found)
        if (found.newsletter.slug, found.store.url) != (slug, first.store.url):
            remedy = "restart the worker"
            raise ConfigError("[newsletter] slug and [store] url", "they cannot change while it works", remedy=remedy)
        if (concurrency or table.concurrency, table.attempts) != (at_once, engine.attempts):
            log.say("digest: [engine] concurrency and attempts are those of the start until the worker is restarted")
        return _make_means(found, chosen, at_once, end, there, log)

    Worker(
        queue=queue,
        load=read_again,
        owner=this_owner(secrets.token_hex(8)),
        tell=log.say,
        kinds=chosen,
        concurrency=at_once,
        is_hung_up=watch_terminal(),
        health=Health(*read_address(place), tell=log.say) if place else None,
        announce=lambda: log.say(
            f"Working for {slug} on {queue.name}: {', '.join(chosen)}, {at_once} at once (Ctrl-C ends it)"
        ),
    ).run()
    if is_over.is_set():
        leave(FAILED)


def read_kinds(text: str | None) -> list[TaskKind]:
    """The kinds of tasks of a list as "collect,read", each once. Raises ConfigError."""
    if text is None:
        return list(_KINDS)
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names or [text]:
        if name not in _KINDS:
            raise ConfigError(f'queue "{name}"', "there is none of that name", remedy=f"known: {', '.join(_KINDS)}")
    return [kind for kind in _KINDS if kind in names]


def require_engine(
    config: "Config", *, nothing: str = "`digest serve` does everything, and workers nothing"
) -> "ProcrastinateEngine":
    """The engine that workers serve. Raises ConfigError, with what there is `nothing` of without it."""
    from digest.config.scheduling import ProcrastinateEngine

    if not isinstance(config.engine, ProcrastinateEngine):
        remedy = 'write kind = "procrastinate" there, and name a PostgreSQL database in [store] url'
        raise ConfigError("[engine] kind", f'it is "local": {nothing}', remedy=remedy)
    return config.engine


def _make_means(
    config: "Config",
    kinds: "Sequence[TaskKind]",
    at_once: int,
    on_over: "Callable[[], None]",
    there: "list[Presence]",
    log: Log,
) -> "Means":
    from digest.app import App
    from digest.means import Means
    from digest.operate.metrics import read_metrics
    from digest.operate.presence import Presence, hold_back, hold_back_chores
    from digest.tasks import list_worker_chores, make_performing

    app = App(config, on_stage=log.note_stage)
    performing = make_performing(app, concurrency=at_once)
    presence = Presence(app, queues=kinds, concurrency=at_once, tell=log.say, on_over=on_over)

    def open_all() -> None:
        app.store  # noqa: B018 - opened now
        presence.start()
        if presence not in there:  # it may take several tries
            there.append(presence)

    def close_all() -> None:
        if presence in there:
            there.remove(presence)
        presence.stop(leaves=not there)
        performing.close()
        app.close()

    return Means(
        performs=hold_back(performing.performs, presence.find_obstacle),
        chores=hold_back_chores(list_worker_chores(app, on_report=log.note_report), presence.find_obstacle),
        open=open_all,
        check=presence.require_revision,
        note_lost=presence.note_lost,
        note_found=presence.look_now,
        measure=lambda: read_metrics(app),
        stop=app.stop,
        close=close_all,
    )
