"""A ready edition → its copies at the seeds → the word of their receivers: the edition may go, or is held.

    seeds' mailboxes opened ──> first transport ──> looked for, again and again ──> judged ──> passed, or held

It is sent outside the ledger, as every reader gets it, and nothing is decided here about readers. What cannot be
checked does not go. A run that is broken off leaves the edition as it was; the next sends the canary again, unless it
passed.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from digest import deliver
from digest.errors import Ambiguous, LoginRefused, MailboxError, Refused, Unavailable
from digest.log import Log
from digest.models import (
    Batch,
    Copy,
    EditionState,
    Outcome,
    Recipient,
    StageReport,
    StoredEdition,
    Variant,
    Verdict,
)
from digest.ports import CanaryMailbox, Ports, Settings
from digest.protocols import SeedMailbox
from digest.rendering import Rendering
from digest.reporting import Held
from digest.seeds import Seed, describe_seeds, is_copy, say_fault, take_outcome

STAGE: Final = "canary"  # as it stands in a run's report
_TRIES: Final = 3  # at opening a mailbox
_AGAIN: Final = timedelta(seconds=30)  # until what was put off, or a mailbox that was lost, has its next turn
_SLACK: Final = timedelta(minutes=2)


@dataclass(slots=True)
class _Looking:
    """A mailbox that is open."""

    mailbox: CanaryMailbox
    reader: SeedMailbox
    fault: str = ""
    again_at: timedelta = timedelta()  # not before so much was waited
    found: list[Copy] = field(default_factory=list)


def _write_wait(wait: timedelta) -> str:
    """In the unit that suits it. Pure."""
    seconds = wait.total_seconds()
    return f"{seconds:g} seconds" if seconds % 60 else f"{seconds / 60:g} minute{'' if seconds == 60 else 's'}"


class Canary:
    """One newsletter's editions, sent to its seeds before anybody else."""

    def __init__(self, settings: Settings, ports: Ports, rendering: Rendering) -> None:
        """Nothing happens until `prove`."""
        self._settings = settings
        self._ports = ports
        self._rendering = rendering

    def prove(
        self, stored: StoredEdition, log: Log, has_readers: Callable[[StoredEdition], bool]
    ) -> tuple[StoredEdition, str | None]:
        """Let the edition go, or hold it; returns it as it is then, and what kept the canary from being sent.

        An edition that a canary held is tried again. Raises StoreError.
        """
        settings, ports = self._settings, self._ports
        is_held = stored.state is EditionState.HELD and Held.of(stored.reason) is Held.CANARY
        if not ports.canary or not (is_held or stored.state is EditionState.READY):
            return stored, None
        if stored.canary and not is_held:
            word = "it passed before" if stored.canary == "passed" else "a person let the edition go without"
            log.note(STAGE, notes=[f"not sent: {word}"])
            return stored, None
        if settings.rehearsal and not all(mailbox.is_local for mailbox in ports.canary):
            log.note(STAGE, notes=["not sent: this is a rehearsal, whose mail leaves this machine for no mailbox"])
            return stored, None
        if not has_readers(stored):
            return stored, None
        seeds = self._choose_seeds(stored)
        fault = self._try(stored, seeds)
        settled = self._settle(stored, seeds, fault)
        self._tell(seeds, fault, log)
        return settled

    def _choose_seeds(self, stored: StoredEdition) -> list[Seed]:
        """Each seed with a name for its copy that no other copy has, and no reader's message."""
        if stored.edition is None:
            return []
        attempt = self._ports.clock().isoformat()
        return [
            Seed(
                email=email,
                send_key=self._ports.send_key(stored.edition, f"canary {attempt} {email}"),
                mailbox=mailbox,
            )
            for mailbox in self._ports.canary
            for email in mailbox.seeds
        ]

    def _try(self, stored: StoredEdition, seeds: Sequence[Seed]) -> str | None:
        """Send, look and judge; returns why it came to no end, if so."""
        with ExitStack() as stack:
            looking = []
            for mailbox in self._ports.canary:
                reader = mailbox.open()
                stack.callback(reader.close)
                one = _Looking(mailbox=mailbox, reader=reader)
                self._begin(one)
                looking.append(one)
            unread = {id(one.mailbox): one.fault for one in looking if one.fault}
            if unread:
                for seed in seeds:
                    seed.fault = unread.get(id(seed.mailbox), "")
                return None
            try:
                return self._watch(stored, seeds, looking)
            finally:
                for one in looking:
                    with suppress(MailboxError):  # a comfort for people, and no more
                        one.reader.mark(one.found)

    def _begin(self, one: _Looking) -> None:
        """Open a mailbox; a moment's want of it is no reason to hold an edition."""
        for attempt in range(_TRIES):
            if attempt:
                self._ports.wait(self._settings.canary_every.total_seconds())
            try:
                one.reader.begin()
            except MailboxError as error:
                one.fault = f"the mailbox cannot be read: {say_fault(error)}"
                if isinstance(error, LoginRefused):
                    return
                continue
            one.fault = ""
            return

    def _watch(self, stored: StoredEdition, seeds: Sequence[Seed], looking: Sequence[_Looking]) -> str | None:
        ports, settings = self._ports, self._settings
        started, waited, every = ports.clock(), timedelta(), settings.canary_every
        fault = self._send(stored, seeds)
        if fault and not any(seed.is_sent or seed.fault for seed in seeds):
            return f"the canary could not be handed over: {fault}"
        limit = _write_wait(settings.canary_wait)
        told = StageReport(stage=STAGE, counts={"seeds": len(seeds)}, notes=(f"waits for their copies, up to {limit}",))
        ports.on_stage(told)  # now, and not only when it has ended: it may take a while
        sent_at = waited
        while True:
            for one in looking:
                self._look(one, seeds, waited)
            # What was waited ends it; the clock, where mailboxes take long to answer.
            is_over = waited >= settings.canary_wait or ports.clock() - started >= settings.canary_wait + _SLACK
            if is_over or not any(seed.is_open for seed in seeds):
                break
            if not ports.may_go_on():
                return "the canary was stopped while it was waited for"
            if ports.editions.state(stored.id) is not stored.state:
                return "somebody decided on it while the canary was waited for"
            pause = min(every, settings.canary_wait - waited)
            ports.wait(pause.total_seconds())
            waited += pause
            if waited - sent_at >= _AGAIN and any(seed.is_open and not seed.is_sent for seed in seeds):
                sent_at = waited
                self._send(stored, seeds)
        unread = {id(one.mailbox): one.fault for one in looking if one.fault}
        for seed in seeds:
            if seed.is_open:
                not_there = f"did not arrive within {limit}" if seed.is_sent else f"was not taken: {seed.answer}"
                seed.fault = unread.get(id(seed.mailbox)) or not_there
        return None

    def _send(self, stored: StoredEdition, seeds: Sequence[Seed]) -> str | None:
        """Hand over, by the first transport, what certainly was not sent yet; returns why nothing could be."""
        transport = self._ports.lanes[0].transport
        left = [seed for seed in seeds if seed.is_open and not seed.is_sent]
        size = max(1, transport.batch_size)
        for start in range(0, len(left), size):
            part = left[start : start + size]
            outcomes: list[Outcome] = []
            fault: Exception | None = None
            try:
                transport.send(self._address(stored, part), lambda _: None, outcomes.extend)
            except (Unavailable, Refused, Ambiguous) as error:
                fault = error
            told = {outcome.delivery: outcome for outcome in outcomes}
            for number, seed in enumerate(part):
                take_outcome(seed, told.get(number), fault)
            if isinstance(fault, Unavailable):
                return say_fault(fault)
        return None

    def _address(self, stored: StoredEdition, seeds: Sequence[Seed]) -> Batch:
        """The very message that readers get, but for a way out that leads nobody out."""
        kept = self._ports.editions.renditions(stored.id)
        rendition = kept.get(Variant().key) or next(iter(kept.values()))
        return Batch(
            rendition=self._rendering.as_mailed(stored.edition, rendition) if stored.edition else rendition,
            letterhead=self._rendering.letterhead(stored),
            messages=tuple(
                deliver.address(
                    Recipient(
                        delivery=number,
                        send_key=seed.send_key,
                        subscriber_key=seed.send_key,  # nobody's
                        email=seed.email,
                        name=None,
                    ),
                    self._ports.unsubscribe_url,
                )
                for number, seed in enumerate(seeds)
            ),
        )

    def _look(self, one: _Looking, seeds: Sequence[Seed], waited: timedelta) -> None:
        waiting = [seed for seed in seeds if seed.mailbox is one.mailbox and seed.is_open]
        if not waiting or waited < one.again_at:
            return
        try:
            arrived = one.reader.arrived()
        except MailboxError as error:
            one.fault, one.again_at = f"the mailbox cannot be read: {say_fault(error)}", waited + _AGAIN
            return
        one.fault = ""
        for copy in arrived:
            for seed in waiting:
                if seed.is_open and is_copy(copy.head, seed.send_key):
                    one.found.append(copy)
                    verdict = one.mailbox.judge(copy.head)
                    junk = (f"lies in {copy.folder}, among the junk",) if copy.is_junk else ()
                    seed.verdict = Verdict(receiver=verdict.receiver, faults=(*junk, *verdict.faults))

    def _tell(self, seeds: Sequence[Seed], fault: str | None, log: Log) -> None:
        passed = [seed.verdict for seed in seeds if seed.verdict and not seed.verdict.faults]
        receivers = sorted({verdict.receiver or "a receiver without a name" for verdict in passed})
        methods = ", ".join(name for name in ("dkim", "spf", "dmarc") if name in self._settings.canary_require)
        notes = [f"{methods} passed at {', '.join(receivers)}"] if receivers else []
        counts = {"arrived": sum(seed.verdict is not None for seed in seeds), "passed": len(passed)}
        log.note(STAGE, notes=[*notes, *describe_seeds(seeds), *([fault] if fault else [])], seeds=len(seeds), **counts)

    def _settle(
        self, stored: StoredEdition, seeds: Sequence[Seed], fault: str | None
    ) -> tuple[StoredEdition, str | None]:
        """Keep what was found; of an edition that was changed meanwhile it says nothing."""
        editions, now = self._ports.editions, self._ports.clock()
        faults = describe_seeds(seeds)
        if fault is None and faults:
            reason = f"{Held.CANARY}: {'; '.join(faults)}"
            kept = editions.set_state(
                stored.id, EditionState.HELD, reason, now=now, only_from=[stored.state], as_of=stored.changed_at
            )
        elif fault is None and stored.state is EditionState.HELD:
            kept = editions.set_state(
                stored.id,
                EditionState.READY,
                f"a later canary passed; it was held by {stored.reason}",
                now=now,
                only_from=[EditionState.HELD],
                as_of=stored.changed_at,
                canary="passed",
            )
        elif fault is None:
            kept = editions.keep_canary(stored.id, "passed", as_of=stored.changed_at)
        else:
            kept = False
        found = editions.get(stored.id) or stored
        # Somebody may have let it go meanwhile, or another process, whose canary passed, is sending it already.
        if kept or found.state is EditionState.SENDING or (found.state is EditionState.READY and found.canary):
            return found, None
        return found, fault or "it was changed while the canary was waited for; the next run sends another"
