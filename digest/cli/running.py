"""digest run, serve and status; preview and send-test are registered here too, in their place among these."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digest.cli import previewing
from digest.cli.options import ConfigOption, DayOption, JsonOption, open_app, read_day
from digest.cli.output import DONE, FAILED, PARTIAL, leave, put, put_json, put_rows, say
from digest.config.delivering import OutboxTable

if TYPE_CHECKING:
    from digest.app import App
    from digest.models import Report, StageReport

_EXIT = {"done": DONE, "failed": FAILED, "partial": PARTIAL}


def register(commands: typer.Typer) -> None:
    """Add the commands."""
    commands.command("run")(run)
    commands.command("preview")(previewing.preview)
    commands.command("send-test")(previewing.send_test)
    commands.command("serve")(serve)
    commands.command("status")(status)


def run(
    context: typer.Context,
    on: DayOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do everything on a copy of the database; send nothing.")
    ] = False,
    no_send: Annotated[bool, typer.Option("--no-send", help="Leave the edition ready, and send nothing.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make one edition now and send it. Safe to repeat: nothing is sent twice.

    Exits with 0 when all is done, 3 when the edition is held, a source failed or a message is not settled.
    """
    from digest.operate.events import take_refusals

    day = read_day(on)
    tell = say if as_json else put
    with (
        _Progress() as on_progress,
        open_app(context, config, on_stage=lambda stage: tell(_line_of(stage)), on_progress=on_progress) as app,
    ):
        try:
            report = app.run(day, send=not no_send, dry=dry_run)
            if not no_send and not dry_run:
                take_refusals(app)
        except KeyboardInterrupt:
            say("digest: stopped; what was under way is in the ledger, and `digest run` goes on from there")
            leave(FAILED)
        if as_json:
            put_json(report)
        else:
            _tell_result(app, report, dry_run)
    leave(_EXIT[report.status])


def _line_of(stage: "StageReport") -> str:
    counts = ", ".join(f"{name.replace('_', ' ')} {number:,}" for name, number in stage.counts.items())
    lines = [f"{stage.stage:<10} {counts}"]
    lines += [f"{'':<10} {note}" for note in stage.notes]
    return "\n".join(lines)


def _tell_result(app: "App", report: "Report", dry_run: bool) -> None:
    for finding in report.findings:
        if finding.severity != "info":
            put(f"{'':<10} {finding.severity}: {finding.message}")
    if report.subject:
        put(f"{'subject':<10} {report.subject}")
    put(f"{'dry run' if dry_run else 'result':<10} {report.message}")
    outboxes = [table.path for table in app.config.transports if isinstance(table, OutboxTable)]
    if outboxes and not dry_run and report.deliveries.get("accepted"):
        put(f"{'mail':<10} {outboxes[0].resolve()} (a Maildir)")
    if not dry_run:
        put(f"{'next':<10} `digest preview` shows it")


class _Progress:
    """A Rich progress bar on a terminal, nothing elsewhere: the stages' lines say the same there."""

    def __enter__(self) -> Any:
        self._bar: Any = None
        self._task: Any = None
        return self._show if sys.stderr.isatty() else lambda _: None

    def _show(self, counts: Mapping[str, int]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        open_states = sum(counts.get(state, 0) for state in ("planned", "claimed", "attempted", "deferred"))
        total = sum(counts.values())
        if self._bar is None:
            columns = (TextColumn("deliver   "), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("deliver", total=total)
            self._bar.start()
        self._bar.update(self._task, completed=total - open_states, total=total)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Else [web] host.", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(help="Else [web] port.", min=0, max=65535, show_default=False)] = None,
    config: ConfigOption = None,
) -> None:
    """Run the scheduler and the public pages until stopped."""
    from digest.operate.answering import Answering
    from digest.operate.chores import Chores
    from digest.operate.recurring import list_chores
    from digest.schedule import Ticker
    from digest.web.public import serve_public

    with open_app(context, config, on_stage=lambda stage: say(_line_of(stage))) as app:
        app.require_ready()
        ticker = Ticker(app, on_report=lambda report: say(f"{report.date}: {report.message}"), on_fault=say)
        at = app.config.schedule.at
        with ticker, Chores(list_chores(app), tell=say), Answering(app, on_fault=say):
            serve_public(
                app,
                host=host or app.config.web.host,
                port=app.config.web.port if port is None else port,
                announce=lambda url: say(
                    f"Serving {url}; an edition is due at {at:%H:%M} {app.config.schedule.timezone} (Ctrl-C ends it)"
                ),
            )


def status(context: typer.Context, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """The last editions, deliveries by state, the sources' health, and what is due next."""
    from digest.operate.status import read_status

    with open_app(context, config) as app:
        found = read_status(app)
        name = app.config.newsletter.name
    if as_json:
        put_json(found)
        return
    due, last = found["next_due_at"], found["last_run"]
    put(f"{name} ({found['newsletter']})")
    put(f"next due   {due.astimezone():%Y-%m-%d %H:%M %Z} on this machine's clock" if due else "next due   never")
    if last:
        put(f"last run   {last['finished_at'].astimezone():%Y-%m-%d %H:%M %Z} {last['status']}: {last['message']}")
    for stored in found["editions"]:
        counts = ", ".join(f"{number} {state}" for state, number in stored["deliveries"].items())
        put(f"{stored['date']} {stored['state']:<8} {counts or stored['reason'] or 'nothing planned'}")
    if not found["editions"]:
        put("no edition yet")
    for domain, number in found["quarantined"].items():
        put(f"set aside  {number} refusals from {domain}; see `digest events list --effect quarantined`")
    put_rows(found["sources"], as_json=False, empty="no source was visited yet")
