"""digest sink: a mail server to practise with."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer

from digest.cli.output import put, say


def register(commands: typer.Typer) -> None:
    """Add the command."""
    commands.command("sink")(sink)


def sink(
    port: Annotated[int, typer.Option(help="Where it listens, on this machine alone.", min=0, max=65535)] = 2525,
    out: Annotated[Path, typer.Option(help="The Maildir that mails are laid into.")] = Path("received"),
) -> None:
    """Take every mail on this machine, and send none on: for trying out SMTP. Ctrl-C ends it.

    With `kind = "smtp"`, `host = "127.0.0.1"`, `port = 2525` and `tls = "none"` under `\\[transport]` a run mails here.
    """
    from digest.operate.practice import Practice

    async def serve() -> None:
        is_over = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, is_over.set)
        practice = Practice(out, on_mail=lambda to, subject: put(f"{to}\t{subject}"))
        told = f"a mail for anybody is laid into {out}, and goes no further (Ctrl-C ends it)"
        await practice.serve(port, announce=lambda at: say(f"Listening on 127.0.0.1:{at}: {told}"), is_over=is_over)

    asyncio.run(serve())
