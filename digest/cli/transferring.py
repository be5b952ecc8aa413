"""digest subscribers import and export."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.options import ConfigOption, JsonOption, SegmentOption, open_app
from digest.cli.output import PARTIAL, leave, progress, put, put_json, say
from digest.errors import ConfigError
from digest.models import SubscriberState

if TYPE_CHECKING:
    from digest.audience.importing import Told

_SHOWN_REMARKS = 10


class Form(StrEnum):
    """How a list is written."""

    CSV = "csv"
    JSONL = "jsonl"


def register(commands: typer.Typer) -> None:
    """Add the commands to those of subscribers."""
    commands.command("import")(import_subscribers)
    commands.command("export")(export_subscribers)


def import_subscribers(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV with a header, or JSON Lines; only the column email is needed.")],
    consent: Annotated[
        str | None,
        typer.Option(help="How these readers agreed; without it they come in as pending.", show_default=False),
    ] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="COLUMN=FIELD",
            help="What a column is; COLUMN= leaves it out. May be repeated.",
            show_default=False,
        ),
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="As cp1252; else it is told from the file.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and keep nothing.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Add many readers. Repeating it is harmless; nobody who left is revived.

    Columns: email, name, topics, language, timezone, frequency, state, consent_at, consent_text, consent_from, tags,
    paused_until;
    exports of listmonk and Mailchimp are known. Who left, bounced or complained there is not mailed here.
    """
    from digest.audience.tables import read_mapping
    from digest.operate.importing import import_file

    remarks = 0

    def tell(told: "Told") -> None:
        nonlocal remarks
        remarks += not told.is_fault
        if told.is_fault or remarks <= _SHOWN_REMARKS:
            say(f"{file}:{told.line}: {told.said}")

    with open_app(context, config) as app, progress("rows") as on_progress:
        done = import_file(
            app,
            file,
            consent=consent,
            mapping=read_mapping(mapping or ()),
            encoding=encoding,
            dry=dry_run,
            tell=tell,
            on_progress=on_progress,
        )
    if remarks > _SHOWN_REMARKS:
        say(f"{file}: {remarks - _SHOWN_REMARKS} more remarks like these")
    if done.resumed_after:
        say(f"{file}: it was broken off behind line {done.resumed_after}, and went on there")
    if done.ignored:
        say(f"{file}: nothing was made of {', '.join(done.ignored)}")
    if done.encoding == "cp1252" and not encoding:
        say(f"{file}: it is no UTF-8 and was read as cp1252; --encoding names another")
    counts = {
        "added": done.added,
        "activated": done.activated,
        "ended": done.ended,
        "known": done.known,
        "left_out": done.left_out,
        "refused": done.refused,
        "dry_run": dry_run,
    }
    if as_json:
        put_json(counts)
    else:
        would = "would be " if dry_run else ""
        said = [f"{done.added} {would}added"]
        said += [f"{done.activated} that were pending {would}made active"] if done.activated else []
        said += [f"{done.ended} {would}no longer mailed"] if done.ended else []
        said += [f"{done.known} known already", f"{done.left_out} not to be mailed", f"{done.refused} refused"]
        put(", ".join(said))
        if done.added and not consent:
            say("Without --consent, rows that carry none of their own came in as pending: they are not mailed.")
    if done.refused or done.left_out:
        leave(PARTIAL)


def export_subscribers(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="Where to; else to the standard output.", show_default=False)
    ] = None,
    form: Annotated[
        Form | None, typer.Option("--format", help="csv or jsonl; else by FILE's ending, else csv.", show_default=False)
    ] = None,
    state: Annotated[SubscriberState | None, typer.Option(help="Only those in this state.", show_default=False)] = None,
    segment: SegmentOption = None,
    config: ConfigOption = None,
) -> None:
    """Everyone, with their consent, as an import takes them back."""
    from digest.audience.exporting import write_lines
    from digest.operate.segments import find_members

    chosen = form or (Form.JSONL if file and file.suffix.lower() in {".jsonl", ".ndjson"} else Form.CSV)
    with open_app(context, config) as app:
        readers = filter(find_members(app, segment), app.store.subscribers.each(app.config.newsletter.slug, state))
        lines = write_lines(readers, "jsonl" if chosen is Form.JSONL else "csv")
        if file is None:
            for line in lines:
                put(line)
            return
        try:
            with file.open("x", encoding="utf-8", newline="") as out:
                out.writelines(f"{line}\r\n" if chosen is Form.CSV else f"{line}\n" for line in lines)
        except FileExistsError:
            raise ConfigError(str(file), "it is there already", remedy="name a new file") from None
        except OSError as error:
            raise ConfigError(str(file), "it cannot be written", remedy="choose another file") from error
    put(str(file))
