"""digest drill: see the promise of delivery kept, by killing the sender."""

import ipaddress
import secrets
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from digest.cli.options import ConfigOption, JsonOption, load
from digest.cli.output import DONE, FAILED, leave, put, put_json, say
from digest.errors import ConfigError

if TYPE_CHECKING:
    from digest.operate.drill import Drilled, Order


def register(commands: typer.Typer) -> None:
    """Add the command."""
    commands.command("drill")(drill)


def drill(
    context: typer.Context,
    subscribers: Annotated[int, typer.Option(help="How many are invented.", min=1, max=1_000_000)] = 300,
    kills: Annotated[int, typer.Option(help="How often the sender is killed.", min=0, max=1000)] = 10,
    transport: Annotated[
        Literal["smtp", "sendgrid"] | None,
        typer.Option(help="What is tried; else the first that is configured, else smtp.", show_default=False),
    ] = None,
    sink: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="An SMTP server of yours that takes everything.", show_default=False),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="An empty PostgreSQL database; else SQLite in a scratch folder.", show_default=False
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Chooses the moments; the same again with the same.", show_default=False)
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the scratch folder also when the promise held.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Prove delivery: send an edition to invented subscribers, and kill the sender again and again.

    Nobody real is mailed, and nothing of your own database, subscribers, provider or secrets is touched. Exits with 0
    when nobody got it twice and nobody is lost unnamed, 1 when not.
    """
    from digest.operate.drill import Order
    from digest.operate.drill import drill as carry_out
    from digest.operate.drill_desk import choose_kind, remove

    if sink is not None and transport == "sendgrid":
        raise ConfigError("--sink", "it is an SMTP server", remedy="leave out --transport sendgrid")
    loaded = load(context, config)
    order = Order(
        subscribers=subscribers,
        kills=kills,
        kind="smtp" if sink is not None else transport or choose_kind(loaded),
        seed=secrets.randbelow(1_000_000) if seed is None else seed,
        store=store,
        sink=None if sink is None else read_sink(sink),
    )
    with _ending_on_terminate():
        try:
            drilled = carry_out(loaded, order, tell=say)
        except KeyboardInterrupt:
            say("digest: the drill was stopped; its sender has ended and its folder is removed")
            leave(FAILED)
    is_kept = keep or not drilled.held or order.sink is not None
    if not is_kept:
        remove(drilled.folder)
    if as_json:
        put_json(_write_row(order, drilled, is_kept=is_kept))
    else:
        _tell(order, drilled, is_kept=is_kept)
    leave(DONE if drilled.held else FAILED)


def read_sink(text: str) -> tuple[str, int]:
    """HOST:PORT as an address of this machine or its own network: a sink is never somebody's mail server.

    Raises ConfigError.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigError(f"--sink {text}", "it is no HOST:PORT", remedy='write it as "127.0.0.1:2525"')
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0][4][0]
    except OSError as error:
        raise ConfigError(f"--sink {text}", "there is no such host") from error
    address = ipaddress.ip_address(str(found).partition("%")[0])
    if not (address.is_loopback or address.is_private):
        remedy = "start a sink on this machine, as docs/drill.md shows"
        raise ConfigError(f"--sink {text}", "it is not on this machine or its network", remedy=remedy)
    return str(address), int(port)


@contextmanager
def _ending_on_terminate() -> Iterator[None]:
    """Let SIGTERM end as Ctrl-C does: with the sender and the folder gone."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _write_row(order: "Order", drilled: "Drilled", *, is_kept: bool) -> dict[str, Any]:
    compared = drilled.compared
    return {
        "held": drilled.held,
        "subscribers": order.subscribers,
        "transport": order.kind,
        "store": "postgresql" if order.store else "sqlite",
        "seed": order.seed,
        "kills": order.kills,
        "kills_while_sending": drilled.kills,
        "accepted": drilled.accepted,
        "unknown": drilled.unknown,
        "unknown_at_most": drilled.unknown_at_most,
        "unknown_arrived": len(compared.unknown_arrived) if compared else None,
        "left_out": drilled.left_out,
        "twice": len(compared.twice) if compared else None,
        "lost": len(compared.lost) if compared else None,
        "faults": drilled.faults,
        "seconds": drilled.seconds,
        "folder": drilled.folder if is_kept else None,
    }


def _tell(order: "Order", drilled: "Drilled", *, is_kept: bool) -> None:
    compared, each = drilled.compared, "message" if order.kind == "smtp" else "request"
    if compared:
        put(f"{'twice':<10} {_name(len(compared.twice))} got it twice")
        put(f"{'lost':<10} {_name(len(compared.lost))} is lost unnamed: {drilled.accepted:,} accepted and arrived")
    else:
        put(f"{'accepted':<10} {drilled.accepted:,}")
    arrived = f"; {len(compared.unknown_arrived):,} of them arrived" if compared and drilled.unknown else ""
    rule = f"at most {drilled.unknown_at_most:,}, one {each} for each connection and kill"
    put(f"{'unknown':<10} {drilled.unknown:,} named ({rule}){arrived}")
    put(f"{'kills':<10} {drilled.kills:,} of {order.kills:,} hit while it was sending, in {drilled.seconds} seconds")
    for fault in drilled.faults:
        put(f"{'fault':<10} {fault}")
    if is_kept:
        put(f"{'folder':<10} {drilled.folder}: readers.txt, accepted.txt, unknown.txt, senders.log and the ledger")
    if order.sink:
        folder = drilled.folder
        put(f"{'compare':<10} with RECORD, a file with the address of each message that your sink took, a line each:")
        put(f"{'':<10} sort RECORD | uniq -d                                        who got it twice")
        put(f"{'':<10} sort RECORD {folder}/unknown.txt | comm -13 - {folder}/readers.txt    who is lost unnamed")
    verdict = "the promise held" if drilled.held else "the promise was broken"
    if not compared and drilled.held:
        verdict = "every subscriber is named; what arrived is yours to compare"
    put(f"{'result':<10} {verdict} (--seed {order.seed})")


def _name(number: int) -> str:
    return f"{number:,}" if number else "nobody"
