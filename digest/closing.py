"""The end of an edition, or of some zones of it, that is no news any more: given up, named, and told of in a report."""

from collections.abc import Callable, Collection, Sequence

from digest.log import Log
from digest.models import EditionState, Report, StoredEdition
from digest.ports import Ports
from digest.reporting import Wait, describe


def close(
    ports: Ports,
    stored: StoredEdition,
    reason: str,
    timezones: Collection[str] = (),
    *,
    find_wait: Callable[[StoredEdition], Wait | None],
) -> None:
    """Skip what waits with the reason, and end the edition when nothing is left of it; a ready one is missed.

    With `timezones` only what waits for those. Of all who do that at once, one records it.
    """
    log = Log(ports, ports.clock())
    given_up = _give_up(ports, stored, reason, timezones)
    if given_up is None:
        return
    last = ports.editions.get(stored.id) or stored
    numbers = ", ".join(f"{number:,} in {zone}" if zone else f"{number:,}" for zone, number in given_up.items())
    note = f"{numbers} given up: {reason}" if numbers else ""
    record(ports, last, log, notes=[note] if note else [], waits=find_wait(last), given_up=note)


def record(
    ports: Ports,
    stored: StoredEdition,
    log: Log,
    *,
    notes: Sequence[str],
    fault: str | None = None,
    waits: Wait | None = None,
    given_up: str = "",
) -> Report:
    """Keep the report of what became of an edition's deliveries without a run of its own."""
    counts = ports.ledger.counts(stored.id)
    log.note("deliver", notes=notes, **counts)
    report = describe(
        stored,
        sources=(),
        stages=log.stages,
        findings=(),
        deliveries=counts,
        fault=fault,
        sending=True,
        already=False,
        waits=waits,
        given_up=given_up,
    )
    ports.runs.record(report, started_at=log.started_at, finished_at=ports.clock())
    return report


def _give_up(ports: Ports, stored: StoredEdition, reason: str, timezones: Collection[str]) -> dict[str, int] | None:
    """How many deliveries of which zone were given up, under "" of all; None: nothing was changed by us."""
    ledger, now = ports.ledger, ports.clock()
    if stored.state is EditionState.READY:
        ready = [EditionState.READY]
        if not ports.editions.set_state(stored.id, EditionState.MISSED, reason, now=now, only_from=ready):
            return None
        given_up = {"": ledger.give_up(stored.id, reason, now=now)}  # it may have been planned
        return {zone: number for zone, number in given_up.items() if number}
    ledger.recover(stored.id, now=now)
    if timezones:
        given_up = {
            zone: ledger.give_up(stored.id, f"in {zone} {reason}", now=now, timezone=zone) for zone in sorted(timezones)
        }
    else:
        given_up = {"": ledger.give_up(stored.id, reason, now=now)}
    given_up = {zone: number for zone, number in given_up.items() if number}
    is_closed = ledger.finish(stored.id, None if timezones else reason, now=now)
    return given_up if given_up or is_closed else None
