"""digest serve: the scheduler and the pages, until stopped; and again with the configuration as it is by then.

    ┌─> open ──> scheduler, chores, pages ──SIGTERM──> end well
    │                      └─SIGHUP──> read again ──faulty──> told, and nothing changes
    └─── what is under way ends <────────┘ taken

The address is listened on all the while: whoever asks between the two waits for a moment.
"""

import os
import signal
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.logs import Log
from digest.cli.options import ConfigOption, load
from digest.cli.output import FAILED, leave
from digest.cli.rereading import Rereading
from digest.cli.stopping import Stopping

if TYPE_CHECKING:
    from digest.app import App
    from digest.config import Config
    from digest.models import Report


def register(commands: typer.Typer) -> None:
    """Add the command."""
    commands.command("serve")(serve)


@dataclass(slots=True, kw_only=True)
class Opened:
    """What one reading of the configuration gives, and where it is served."""

    app: "App"
    host: str
    port: int
    listener: socket.socket | None = None  # none yet

    def listen(self) -> socket.socket:
        """Begin to listen there. Raises ConfigError."""
        from digest.listening import listen

        return listen(self.host, self.port, remedy="choose another with --port, or in the configuration")

    def close(self) -> None:
        """Let go of it. Others that listen there go on."""
        self.app.close()
        if self.listener:
            self.listener.close()


def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Else \\[web] host.", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(help="Else \\[web] port.", min=0, max=65535, show_default=False)] = None,
    config: ConfigOption = None,
) -> None:
    """Run the scheduler and the public pages until stopped.

    SIGTERM ends it when what is under way has ended, a second one at once; SIGHUP has it read the configuration again.
    """
    from digest.app import App

    first = load(context, config)
    log = Log(first)

    def read(found: "Config") -> Opened:
        return Opened(
            app=App(found, on_stage=log.note_stage),
            host=host or found.web.host,
            port=found.web.port if port is None else port,
        )

    def read_again() -> Opened:
        """What is wrong with it shows here, while the one before still works. Raises DigestError."""
        from digest.web.public import create_public

        found = read(load(context, config))
        log.learn(found.app.config)
        try:
            found.app.require_ready()
            found.app.renderer.check()
            create_public(found.app)
            if (found.host, found.port) == (opened.host, opened.port):
                found.listener = opened.listener and opened.listener.dup()
            else:
                found.listener = found.listen()
        except BaseException:
            found.close()
            raise
        return found

    opened = read(first)
    stopping = Stopping(
        lambda: opened.app.stop(),
        tell=lambda: log.say("digest: stopping with what is under way; Ctrl-C again ends at once"),
    )
    has_let_go = False
    with Rereading(read_again, tell=log.say, on_taken=lambda: opened.app.stop()) as rereading:
        try:
            with stopping:
                while True:
                    has_let_go = _serve(opened, stopping, rereading, log)
                    found = rereading.take()
                    if found is None:
                        break
                    before, opened = opened, found
                    before.close()
                    if stopping.was_asked:
                        break
        finally:
            opened.close()
    if has_let_go:
        leave(FAILED)


def _serve(opened: Opened, stopping: Stopping, rereading: Rereading[Opened], log: Log) -> bool:
    """Until it is told to stop, or another configuration is taken; whether the database was let go of."""
    from digest.models import SCHEDULE
    from digest.operate.alerts import beat
    from digest.operate.answering import Answering
    from digest.operate.chores import Chores
    from digest.operate.presence import Presence, wait_until_ready
    from digest.operate.recurring import list_chores
    from digest.schedule import Ticker
    from digest.web.public import serve_public

    app, schedule = opened.app, opened.app.config.schedule

    def tell_report(report: "Report") -> None:
        log.note_report(report)
        if fault := beat(app, report):
            log.say(fault)

    ticker = Ticker(app, on_report=tell_report, on_fault=log.say)

    def end() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    presence = Presence(app, queues=[SCHEDULE], tell=log.say, on_back=ticker.wake, on_over=end)
    if not wait_until_ready(app, tell=log.say):
        return False
    chores = Chores(list_chores(app, on_report=log.note_report), tell=log.say, note_lost=presence.note_lost)
    with presence, ticker, chores, Answering(app, on_fault=log.say):
        opened.listener = opened.listener or opened.listen()
        serve_public(
            app,
            listener=opened.listener,
            announce=lambda url: log.say(
                f"Serving {url}; an edition is due at {schedule.at:%H:%M} {schedule.timezone} (Ctrl-C ends it)"
            ),
            on_signal=stopping.note,
            # What is being sent may take a while to end, and the pages need not wait for that.
            is_over=lambda: stopping.was_asked or (rereading.is_taken and not ticker.is_busy),
        )
    return presence.has_let_go
