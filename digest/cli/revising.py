"""digest editions: the editor's hand on an edition, before it is sent and afterwards."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.editions import EditionArgument, find_edition
from digest.cli.options import ConfigOption, open_app
from digest.cli.output import put

if TYPE_CHECKING:
    from digest.app import App
    from digest.compose import Subject
    from digest.models import Edition

NumberArgument = Annotated[int, typer.Argument(metavar="STORY", help="Its number, as `digest editions show` has it.")]


def _revise(
    context: typer.Context,
    config: Path | None,
    edition: str,
    change: "Callable[[Edition, Subject, App], Edition]",
    done: str,
) -> None:
    from digest.operate.revising import revise_edition

    with open_app(context, config) as app:
        revised = revise_edition(app, find_edition(app, edition), lambda one, subject: change(one, subject, app))
        put(f"{done}; the subject is: {revised.subject}")


def pin_story(
    context: typer.Context, edition: EditionArgument, story: NumberArgument, config: ConfigOption = None
) -> None:
    """Let a story lead, and give the edition its subject."""
    from digest.compose.revising import pin

    _revise(context, config, edition, lambda one, subject, _: pin(one, story, subject), f"story {story} leads")


def drop_story(
    context: typer.Context, edition: EditionArgument, story: NumberArgument, config: ConfigOption = None
) -> None:
    """Leave a story out."""
    from digest.compose.revising import drop

    _revise(context, config, edition, lambda one, subject, _: drop(one, story, subject), f"story {story} is left out")


def move_story(
    context: typer.Context,
    edition: EditionArgument,
    story: NumberArgument,
    place: Annotated[int, typer.Argument(metavar="PLACE", help="Where in its section, from 1.")],
    topic: Annotated[str | None, typer.Option(help="Into the section of this topic.", show_default=False)] = None,
    config: ConfigOption = None,
) -> None:
    """Put a story in another place."""
    from digest.compose.revising import move

    def change(one: "Edition", subject: "Subject", app: "App") -> "Edition":
        topics = {table.id: table.title for table in app.config.topics}
        return move(one, story, place, subject, topic=topic, topics=topics)

    _revise(context, config, edition, change, f"story {story} is moved")


def edit_story(
    context: typer.Context,
    edition: EditionArgument,
    story: Annotated[
        int | None, typer.Argument(metavar="[STORY]", help="Its number; none with --subject.", show_default=False)
    ] = None,
    headline: Annotated[str | None, typer.Option(help="Your own.", show_default=False)] = None,
    summary: Annotated[str | None, typer.Option(help="Your own.", show_default=False)] = None,
    subject: Annotated[str | None, typer.Option(help="The edition's, whatever leads.", show_default=False)] = None,
    config: ConfigOption = None,
) -> None:
    """Put a headline, a summary or the subject into your own words; the story is marked as edited."""
    from digest.compose.revising import edit, rename
    from digest.errors import ConfigError

    if (story is None) == (subject is None):
        raise ConfigError(
            "edit", "give the number of a story, or --subject", remedy="see `digest editions edit --help`"
        )
    if story is None:
        _revise(context, config, edition, lambda one, *_: rename(one, subject or ""), "the subject is yours")
        return
    _revise(
        context,
        config,
        edition,
        lambda one, subject_of, _: edit(one, story, subject_of, headline=headline, summary=summary),
        f"story {story} is edited",
    )


def correct_edition(
    context: typer.Context,
    edition: EditionArgument,
    text: Annotated[str, typer.Argument(help="What was wrong, and what is right.")],
    config: ConfigOption = None,
) -> None:
    """Put right what an edition that went out got wrong: on its web view, and in the next edition."""
    from digest.operate.revising import correct_edition as correct

    with open_app(context, config) as app:
        stored = find_edition(app, edition)
        correct(app, stored, text)
        put(f"corrected on the web view of the {stored.title}; the next one says so too")


def withdraw_edition(
    context: typer.Context,
    edition: EditionArgument,
    note: Annotated[str, typer.Option(help="Why, for those who follow the link.")] = "",
    config: ConfigOption = None,
) -> None:
    """Take the web view of an edition down; what lies in mailboxes stays there."""
    from digest.operate.revising import withdraw_edition as withdraw

    with open_app(context, config) as app:
        stored = find_edition(app, edition)
        withdraw(app, stored, note)
        put(f"the {stored.title} is withdrawn; its web view says so")


def register(commands: typer.Typer) -> None:
    """Add them to `digest editions`."""
    for name, command in (
        ("pin", pin_story),
        ("drop", drop_story),
        ("move", move_story),
        ("edit", edit_story),
        ("correct", correct_edition),
        ("withdraw", withdraw_edition),
    ):
        commands.command(name)(command)
