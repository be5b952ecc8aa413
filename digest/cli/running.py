"""digest run and status; preview, send-test and serve are registered here too, in their place among these."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digest.cli import previewing, serving
from digest.cli.options import ConfigOption, DayOption, JsonOption, WeeklyOption, open_app, read_cadence, read_day
from digest.cli.output import DONE, FAILED, PARTIAL, leave, put, put_json, put_rows, say, write_stage
from digest.cli.progress import Progress, count, write_trouble
from digest.cli.scheduling import write_offset
from digest.cli.stopping import Stopping

if TYPE_CHECKING:
    from digest.app import App
    from digest.models import Report, StageReport

_EXIT = {"done": DONE, "failed": FAILED, "partial": PARTIAL}


def register(commands: typer.Typer) -> None:
    """Add the commands."""
    commands.command("run")(run)
    commands.command("preview")(previewing.preview)
    commands.command("send-test")(previewing.send_test)
    serving.register(commands)
    commands.command("status")(status)


def run(
    context: typer.Context,
    on: DayOption = None,
    weekly: WeeklyOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do everything on a copy of the database; send nothing.")
    ] = False,
    no_send: Annotated[bool, typer.Option("--no-send", help="Leave the edition ready, and send nothing.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make one edition now and send it. Safe to repeat: nothing is sent twice.

    Exits with 0 when all is done, 3 when the edition is held, a source failed or a message is not settled: also when
    readers wait for their own time zone.
    """
    from digest.operate.recurring import look_after

    day = read_day(on)
    tell = say if as_json else put

    def on_stage(stage: "StageReport") -> None:
        progress.end()
        tell(write_stage(stage))

    with Progress() as progress, open_app(context, config, on_stage=on_stage, on_progress=progress.show) as app:
        with Stopping(
            app.stop,
            tell=lambda: progress.say("digest: stopping with what is under way; Ctrl-C again ends at once"),
            is_under_way=lambda: app.is_sending,
            is_drawn=lambda: progress.is_drawn,
        ) as stopping:
            try:
                report = app.run(day, cadence=read_cadence(weekly=weekly), send=not no_send, dry=dry_run)
                if not no_send and not dry_run:
                    for line in look_after(app, report):
                        progress.say(line)
            except KeyboardInterrupt:
                progress.end()
                say("digest: stopped before anything was sent to a reader; `digest run` begins again with what it has")
                leave(FAILED)
        if as_json:
            put_json(report)
        else:
            _tell_result(app, report, dry_run)
        if stopping.was_asked:
            say(f"digest: {describe_stop(report)}")
    leave(_EXIT[report.status])


def describe_stop(report: "Report") -> str:
    """What a run that was asked to stop left, and how it goes on. Pure."""
    standing = count(report.deliveries)
    left = standing.total - standing.done
    if not left:
        return "nothing was left to stop"
    accepted = standing.done - standing.unknown - standing.failed
    further = "".join(f", {words}" for words in write_trouble(standing) if "deferred" not in words)
    again = f"`digest run {report.options}` goes on, nobody gets it twice"
    if report.state == "stopped":
        again = f"`digest editions resume {report.reference}` lets it go on"
    return f"stopped; {accepted:,} accepted{further}, {left:,} left: {again}"


def _tell_result(app: "App", report: "Report", dry_run: bool) -> None:
    from digest.config.delivering import OutboxTable

    for finding in report.findings:
        if finding.severity != "info":
            put(f"{'':<10} {finding.severity}: {finding.message}")
    if report.subject:
        put(f"{'subject':<10} {report.subject}")
    put(f"{'dry run' if dry_run else 'result':<10} {report.message}")
    outboxes = [table.path for table in app.config.transports if isinstance(table, OutboxTable)]
    if outboxes and not dry_run and report.deliveries.get("accepted"):
        put(f"{'mail':<10} {outboxes[0].resolve()} (a Maildir)")
    if report.waits_until and not dry_run:
        put(f"{'then':<10} `digest run {report.options}` goes on with it, where no `digest serve` runs")
    if not dry_run:
        put(f"{'next':<10} `digest preview{'' if report.cadence == 'daily' else f' --{report.cadence}'}` shows it")


def _write_due(due: Mapping[str, Any]) -> str:
    """What is due next, on both clocks."""
    kind = "" if due["cadence"] == "daily" else f"{due['cadence']} "
    local, machine = due["local"], due["machine"]
    return (
        f"{kind}edition of {due['date']}: {local:%Y-%m-%d %H:%M} {write_offset(local)} in {due['timezone']},"
        f" {machine:%Y-%m-%d %H:%M} {write_offset(machine)} on this machine's clock"
    )


def status(context: typer.Context, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """The last editions, deliveries by state, the sources' health, and what is due next."""
    from digest.operate.status import read_status, write_oldest_claim, write_standing

    with open_app(context, config) as app:
        found = read_status(app)
        name = app.config.newsletter.name
    if as_json:
        put_json(found)
        return
    due, last = found["next_due"], found["last_run"]
    put(f"{name} ({found['newsletter']})")
    put(f"next due   {_write_due(due)}" if due else "next due   never")
    if looked_at := found["last_look_at"]:
        put(f"last look  {looked_at.astimezone():%Y-%m-%d %H:%M %Z}, when a scheduler found nothing left to be made")
    if last:
        put(f"last run   {last['finished_at'].astimezone():%Y-%m-%d %H:%M %Z} {last['status']}: {last['message']}")
    for stored in found["editions"]:
        counts = ", ".join(f"{number} {state}" for state, number in stored["deliveries"].items())
        counts += write_oldest_claim(stored)
        named = f"{stored['date']}" if stored["cadence"] == "daily" else f"{stored['date']}-{stored['cadence']}"
        put(f"{named} {stored['state']:<8} {counts or stored['reason'] or 'nothing planned'}")
    if not found["editions"]:
        put("no edition yet")
    for line in write_standing(found):
        put(line)
    for domain, number in found["quarantined"].items():
        put(f"set aside  {number} refusals from {domain}; see `digest events list --effect quarantined`")
    put_rows(found["sources"], as_json=False, empty="no source was visited yet")
