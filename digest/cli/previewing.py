"""digest preview and send-test: an edition before anybody gets it."""

import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from digest.cli.options import ConfigOption, DayOption, WeeklyOption, open_app, read_cadence, read_day
from digest.cli.output import DONE, FAILED, leave, put, say
from digest.cli.stopping import Stopping
from digest.errors import ConfigError, StoreError
from digest.models import UNSUBSCRIBE_TOKEN, DeliveryState, Viewpoint

if TYPE_CHECKING:
    from digest.app import App
    from digest.models import Cadence, Outcome
    from digest.ports import Preview
    from digest.render import Renderer

_KINDS: Final = (".html", ".txt", ".eml", ".json", ".png")

SubscriberOption = Annotated[
    str | None, typer.Option(metavar="EMAIL", help="As this subscriber would get it.", show_default=False)
]
TopicsOption = Annotated[
    str, typer.Option(help="As a reader of these topics would: ids, separated by commas.", show_default=False)
]
LanguageOption = Annotated[
    str | None,
    typer.Option(metavar="TAG", help="As a reader of that language would, as in BCP 47.", show_default=False),
]


def preview(
    context: typer.Context,
    on: DayOption = None,
    weekly: WeeklyOption = False,
    port: Annotated[int, typer.Option(help="The port on this machine; 0 takes a free one.", min=0, max=65535)] = 8025,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write FILE.html, .txt, .eml (of a provider's request .json) or .png and leave; no page is served.",
            show_default=False,
        ),
    ] = None,
    subscriber: SubscriberOption = None,
    topics: TopicsOption = "",
    language: LanguageOption = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open a browser.")] = False,
    config: ConfigOption = None,
) -> None:
    """Show the edition as it is, or as it would be now. Writes nothing and sends nothing."""
    day, cadence = read_day(on), read_cadence(weekly=weekly)
    viewpoint = _read_viewpoint(subscriber, topics, language)
    if out and out.suffix.lower() not in _KINDS:
        remedy = f"end the name in {', '.join(_KINDS)}"
        raise ConfigError(str(out), "it is not known what to write there", remedy=remedy)
    if out:
        with open_app(context, config) as app:
            _require_topics(app, viewpoint)
            shown = app.preview(day, viewpoint, cadence=cadence)
        _write_preview(shown, out)
        put(str(out))
        _say_verdict(shown)
        return
    _serve_preview(context, config, day, cadence, viewpoint, port=port, opens=not no_open)


def _read_viewpoint(subscriber: str | None, topics: str, language: str | None) -> Viewpoint:
    """As whom to look. Raises ConfigError for a subscriber of other topics than their own."""
    named = tuple(filter(None, (topic.strip() for topic in topics.split(","))))
    if subscriber and (named or language):
        fault = "a subscriber has topics and a language of their own"
        raise ConfigError(
            f"--subscriber {subscriber}", fault, remedy="leave out --topics and --language, or --subscriber"
        )
    return Viewpoint(email=subscriber, topics=named, language=language)


def _require_topics(app: "App", viewpoint: Viewpoint) -> None:
    """Raises ConfigError for a topic that the configuration does not have."""
    known = [topic.id for topic in app.config.topics]
    for topic in viewpoint.topics:
        if topic not in known:
            remedy = f"one of {', '.join(known)}" if known else "config.toml has no [[topics]]"
            raise ConfigError(f'topic "{topic}"', "there is none of that name", remedy=remedy)


def _say_verdict(shown: "Preview") -> None:
    """One line of preflight's, whatever it is: a file shows nothing of it."""
    from digest.preflight import verdict

    if shown.is_for_nobody:
        say("nobody who is active is of the segment that [edition] names: nobody would get it")
    number = len(shown.findings)
    say(f"preflight: {verdict(shown.findings)}, {number} {'finding' if number == 1 else 'findings'}")


def _write_preview(shown: "Preview", out: Path) -> None:
    """The mail as a file of that ending. Raises ConfigError."""
    html = shown.rendition.html.replace(UNSUBSCRIBE_TOKEN, shown.unsubscribe_url)
    if out.suffix.lower() == ".png":
        from digest.operate.pictures import take_picture

        take_picture(html, out)
        return
    if out.suffix.lower() in {".eml", ".json"}:
        _require_kind(shown, out)
    content = {
        ".html": html.encode(),
        ".txt": shown.rendition.text.replace(UNSUBSCRIBE_TOKEN, shown.unsubscribe_url).encode(),
        ".eml": shown.payload,
        ".json": shown.payload,
    }[out.suffix.lower()]
    try:
        out.write_bytes(content)
    except OSError as error:
        raise ConfigError(str(out), "it cannot be written", remedy="choose another file") from error


def _require_kind(shown: "Preview", out: Path) -> None:
    """Raises ConfigError when the transport hands over something else than what the file's name says."""
    from digest.web.reading import is_request

    kind = ".json" if is_request(shown.payload) else ".eml"
    if out.suffix.lower() != kind:
        fault = (
            f"with {shown.transport} the provider builds the message, and there is none to write"
            if kind == ".json"
            else f"{shown.transport} hands over a message, and no request"
        )
        raise ConfigError(str(out), fault, remedy=f"write what is handed over with --out {out.with_suffix(kind)}")


def _serve_preview(
    context: typer.Context,
    config: Path | None,
    day: date | None,
    cadence: "Cadence",
    start: Viewpoint,
    *,
    port: int,
    opens: bool,
) -> None:
    """The page, with an app of its own for each look: a changed configuration is a new one."""
    from digest.web.preview import Desk, serve_preview

    answers: dict[str, str] = {}  # what a model said stays known from one look to the next

    def look(viewpoint: Viewpoint) -> "Preview":
        with open_app(context, config, answers=answers) as app:
            return app.preview(day, viewpoint, cadence=cadence)

    def try_out(address: str, viewpoint: Viewpoint) -> "tuple[str, Outcome]":
        with open_app(context, config, answers=answers) as app:
            return app.lanes[0].transport.name, app.send_test(address, day, viewpoint, cadence=cadence)

    def load_renderer() -> "Renderer":
        with open_app(context, config) as app:
            return app.renderer

    def announce(url: str, shown: "Preview") -> None:
        say(f"The {shown.edition.title} is at {url} (Ctrl-C ends it)")
        if opens and sys.stderr.isatty():
            import webbrowser

            webbrowser.open(url)

    with open_app(context, config) as app:

        def stamp() -> str:
            try:
                return app.store.stamp()
            except StoreError:  # the next look says what is wrong
                return ""

        _require_topics(app, start)
        watched = [app.config.path, app.config.path.parent / "templates", *app.store.files]
        script = app.renderer.read_file("web/preview.js")
        today = app.today  # of the configuration and the clock alone
        desk = Desk(
            preview=look,
            send_test=try_out,
            renderer=load_renderer,
            script=script,
            watched=watched,
            today=lambda: day or today(),
            stamp=stamp,
        )
        serve_preview(desk, start=start, port=port, announce=announce)


def send_test(
    context: typer.Context,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Who gets it.")],
    on: DayOption = None,
    weekly: WeeklyOption = False,
    subscriber: SubscriberOption = None,
    topics: TopicsOption = "",
    language: LanguageOption = None,
    config: ConfigOption = None,
) -> None:
    """Send the edition as one message to one address, through the configured transport; nothing is recorded."""
    day, cadence = read_day(on), read_cadence(weekly=weekly)
    viewpoint = _read_viewpoint(subscriber, topics, language)
    with open_app(context, config) as app:
        _require_topics(app, viewpoint)
        name = app.lanes[0].transport.name
        with Stopping(
            app.stop,
            tell=lambda: say(f"digest: waiting for the answer of {name}; Ctrl-C again ends at once"),
            is_under_way=lambda: app.is_sending,
            at_once=b"digest: ended at once; the message may have been sent\n",
        ):
            try:
                outcome = app.send_test(email, day, viewpoint, cadence=cadence)
            except KeyboardInterrupt:
                say("digest: stopped; nothing was sent")
                leave(FAILED)
    answer = f": {outcome.raw}" if outcome.raw else ""
    put(f"{outcome.state.value} by {name}{answer}")
    leave(DONE if outcome.state is DeliveryState.ACCEPTED else FAILED)
