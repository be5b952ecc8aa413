"""The whole program on one page.

    sources ─ collect ─> entries ─ extract ─> articles ─ cluster ─> stories ─ recall ─> new ones ─ rank ─> in order
        ─ summarize ─> items ─ compose ─> edition ─ render ─> renditions ─ preflight ─> ready (or held)
        ─ canary, reread, plan, deliver ─> sent

It calls the stages in order, hands each what it needs, and keeps what must outlive a crash: the entries, the edition
with its renditions, the ledger. It does not decide what a story is, who may be mailed, or when anything is due.
Running it again for the same day is safe at every point: what is there is taken up where it stood.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import partial

from digest import alerting, closing
from digest.canary import Canary
from digest.composing import Composing
from digest.deliver import Sender
from digest.errors import StoreError
from digest.log import Log
from digest.models import Canary as CanaryFound
from digest.models import (
    Edition,
    EditionState,
    Finding,
    Outcome,
    Report,
    StageReport,
    StoredEdition,
    Subscriber,
)
from digest.ports import Composed, Ports, Preview, Settings
from digest.previewing import Previewing
from digest.rendering import Rendering
from digest.reporting import Held, describe, held_by
from digest.sending import Sending
from digest.telling import Telling

_LONGEST_TURN = 900.0  # seconds: a model may say very many stories, slowly
_OPEN = (EditionState.READY, EditionState.SENDING)


class Pipeline:
    """One newsletter's way from its sources to its readers."""

    def __init__(self, settings: Settings, ports: Ports) -> None:
        """Nothing happens until `run` or `compose`."""
        self._settings = settings
        self._ports = ports
        self._rendering = Rendering(settings, ports)
        self._telling = Telling(settings, ports, self._rendering)
        self._canary = Canary(settings, ports, self._rendering)
        self._sending = Sending(settings, ports, self._rendering)
        self._composing = Composing(settings, ports, self._rendering, self._sending)
        self._previewing = Previewing(settings, ports, self._rendering, self._sending, self.compose)

    def run(self, day: date, *, send: bool = True, again: bool = True) -> Report:
        """The edition of `day`, from where it stands to its end. Raises RenderError, StoreError and TransportError.

        With `again`, what a machine held is composed anew, for a person who has mended something.
        """
        ports, settings = self._ports, self._settings
        log = Log(ports, ports.clock())
        before = ports.editions.find(settings.newsletter, settings.cadence, day)
        # Several at once would fetch the same pages, and each tell the operator of what is held.
        with self._take_turn(before):
            stored = ports.editions.find(settings.newsletter, settings.cadence, day)
            is_same = stored is None or (before is not None and before.changed_at == stored.changed_at)
            composed = None
            already = stored is not None and stored.state is EditionState.SENT
            if stored is None or (_may_compose_again(stored, again=again) and is_same):
                composed = self.compose(day, log=log)
                stored = self._keep(composed)
            found_at, fault = stored.changed_at, None
            is_handed_on = bool(ports.workers and not ports.workers.is_waited_for)
            if send:
                stored, fault = self._canary.prove(stored, log, self._has_readers)
            is_ours = composed is not None or stored.changed_at != found_at or (again and is_same)
            _, last = ports.runs.last(settings.newsletter, edition=stored.id) or (None, None)
            if send and settings.alerts and stored.state is EditionState.STOPPED and alerting.is_untold(last, stored):
                self._telling.tell_of_stop(stored, log)
            if send and settings.alerts and alerting.is_news(stored) and is_ours:
                self._telling.tell_of_hold(stored, composed.findings if composed else self.inspect(stored), log)
        if send and stored.state is EditionState.READY and stored.edition and stored.edition.approved_by:
            log.note("approval", notes=[stored.reason or f"approved by {stored.edition.approved_by}"])
        if send and not fault and stored.state in _OPEN:
            fault = self._sending.send(stored, log)
            stored = ports.editions.get(stored.id) or stored
            if fault and settings.alerts and alerting.is_stopped_by(stored, fault):
                self._telling.tell_of_stop(stored, log)
        report = describe(
            stored,
            sources=composed.sources if composed else (),
            stages=log.stages,
            findings=composed.findings if composed else (),
            deliveries=ports.ledger.counts(stored.id),
            fault=fault,
            sending=send,
            already=already,
            waits=self._sending.find_wait(stored),
            is_handed_on=is_handed_on and stored.state is EditionState.SENDING,
        )
        ports.runs.record(report, started_at=log.started_at, finished_at=ports.clock())
        return report

    @contextmanager
    def _take_turn(self, stored: StoredEdition | None) -> Iterator[None]:
        """Be the only one who makes an edition of this cadence; what is on its way already needs no turn.

        Waits for another one who makes it, and not for ever: its machine may have lost the network, and then only the
        database would know that nobody is at it. Raises StoreError when told to stop meanwhile.
        """
        ports, settings = self._ports, self._settings
        if stored is not None and stored.state in {EditionState.SENDING, EditionState.SENT}:
            yield
            return
        until, is_told = ports.monotonic() + _LONGEST_TURN, False
        while True:
            with ports.editions.making(settings.newsletter, settings.cadence) as is_mine:
                if is_mine or ports.monotonic() > until:
                    yield
                    return
            if not ports.may_go_on():
                raise StoreError(f"the {settings.cadence} edition", "another process is making it", remedy="try again")
            if not is_told:
                note = "another process is making this edition; what it makes is waited for"
                ports.on_stage(StageReport(stage="compose", counts={}, notes=(note,)))
                is_told = True
            ports.wait(1)

    def tell_again(self, stored: StoredEdition) -> Report:
        """Tell the operator of an edition that is held or has stopped; for when the last mail about it did not go."""
        ports = self._ports
        log = Log(ports, ports.clock())
        findings = self.inspect(stored)
        if alerting.has_stopped_itself(stored):
            self._telling.tell_of_stop(stored, log)
        else:
            self._telling.tell_of_hold(stored, findings, log)
        report = describe(
            stored,
            sources=(),
            stages=log.stages,
            findings=findings,
            deliveries=ports.ledger.counts(stored.id),
            fault=None,
            sending=True,
            already=False,
        )
        ports.runs.record(report, started_at=log.started_at, finished_at=ports.clock())
        return report

    def sender(self, stored: StoredEdition, *, on_stop: Callable[[str], None]) -> Sender:
        """What hands over single batches of an edition; see Sending."""
        return self._sending.sender(stored, on_stop=on_stop)

    def conclude(self, number: int) -> Report | None:
        """Close an edition of which nothing is left to send, and record that.

        None when something is left, or another has closed it: of all who ask, one gets the report.
        """
        ports = self._ports
        log = Log(ports, ports.clock())
        if not ports.ledger.finish(number, now=ports.clock()):
            return None
        return self._record(ports.editions.get(number), log)

    def tell_of_stop(self, number: int, fault: str) -> Report | None:
        """Tell the operator that a sender has stopped an edition, and record it; for the one that did."""
        log = Log(self._ports, self._ports.clock())
        stored = self._ports.editions.get(number)
        if stored and self._settings.alerts and alerting.is_stopped_by(stored, fault):
            self._telling.tell_of_stop(stored, log)
        return self._record(stored, log, fault)

    def _record(self, stored: StoredEdition | None, log: Log, fault: str | None = None) -> Report | None:
        """The report of what workers did of an edition."""
        if stored is None:
            return None
        return closing.record(self._ports, stored, log, notes=[fault] if fault else ["by workers"], fault=fault)

    def compose(self, day: date, *, visit: bool = True, log: Log | None = None) -> Composed:
        """Every stage up to preflight; see Composing."""
        return self._composing.compose(day, visit=visit, log=log)

    def inspect(self, stored: StoredEdition) -> tuple[Finding, ...]:
        """What preflight finds in a kept edition, without asking the network."""
        if stored.edition is None:
            return ()
        renditions = tuple(self._ports.editions.renditions(stored.id).values())
        return self._rendering.inspect(stored.edition, renditions, online=False)

    def close(self, stored: StoredEdition, reason: str, *, timezones: Collection[str] = ()) -> None:
        """End an edition that is too old: what waits is skipped with the reason, a ready one is missed.

        With `timezones` only what waits for those, and the edition when nothing else is left of it.
        """
        self._sending.close(stored, reason, timezones)

    def revise(
        self,
        number: int,
        edition: Edition,
        *,
        only_from: Sequence[EditionState],
        state: EditionState | None = None,
        reason: str | None = None,
        as_of: datetime | None = None,
        canary: CanaryFound | None = None,
    ) -> bool:
        """Render a changed edition and keep it in the place of what was; False when it is no longer open.

        Into `state`, on a person's word; else as it is, but what preflight fails is held. With `as_of`, only when
        nothing of it was changed since. What a canary found counts no more, but for `canary`.
        """
        ports = self._ports
        variants = self._rendering.choose_variants(edition, self._sending.members())
        renditions = self._rendering.render(edition, variants)
        if state is None:
            found = self._rendering.inspect(edition, renditions)
            failed = [finding for finding in found if finding.severity == "fail"]
            if failed:
                state, reason = EditionState.HELD, f"{Held.PREFLIGHT}: {failed[0].message}"
        return ports.editions.revise(
            number,
            edition,
            renditions,
            state,
            reason,
            now=ports.clock(),
            only_from=only_from,
            as_of=as_of,
            canary=canary,
        )

    def preview(self, day: date, reader: Subscriber) -> Preview:
        """The edition of `day` as `reader` would get it; see previewing."""
        return self._previewing.preview(day, reader)

    def send_test(self, day: date, reader: Subscriber) -> Outcome:
        """Hand that one message over by the first transport, outside the ledger; see previewing."""
        return self._previewing.send_test(day, reader)

    def _keep(self, composed: Composed) -> StoredEdition:
        """Keep the edition: ready, or held with the reason."""
        ports, settings = self._ports, self._settings
        # Of this cadence alone: the first weekly editions are as new to whoever approves them as the first daily ones.
        sent = partial(ports.editions.newest, settings.newsletter, state=EditionState.SENT, cadence=settings.cadence)
        first = settings.approval.removeprefix("first:")
        sent_before = len(sent(int(first))) if first.isdecimal() else 0
        reason = held_by(
            stories=len(composed.edition.items),
            min_stories=settings.min_stories,
            findings=composed.findings,
            approval=settings.approval,
            sent_before=sent_before,
        )
        state = EditionState.HELD if reason else EditionState.READY
        return ports.editions.save(composed.edition, composed.renditions, state, reason, now=ports.clock())

    def _has_readers(self, stored: StoredEdition) -> bool:
        """Whether anybody would get it: else no canary need be sent."""
        edition = stored.edition
        if edition is None:
            return False
        return any(self._rendering.choose_variant(edition, reader) for reader in self._sending.members())


def _may_compose_again(stored: StoredEdition, *, again: bool) -> bool:
    """Whether a new attempt may replace it: what a machine held may be better now, what a person held stays."""
    if stored.edition and stored.edition.is_revised and stored.state is EditionState.HELD:
        return False
    if stored.state is EditionState.HELD:
        return again and Held.of(stored.reason).may_be_composed_again
    return stored.state in {EditionState.DRAFT, EditionState.MISSED}
