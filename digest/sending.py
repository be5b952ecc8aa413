"""A ready edition → planned, delivered, closed: the half of a run that may be interrupted anywhere and go on."""

from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from functools import lru_cache, partial
from typing import Final

from digest import closing, deliver, extract, lateness, reread
from digest.errors import StoreError
from digest.log import Log
from digest.models import (
    Edition,
    EditionState,
    Planned,
    Rendition,
    StageReport,
    StoredEdition,
    Subscriber,
    Variant,
    describe_pause,
)
from digest.ports import Place, Ports, Settings, Workers
from digest.protocols import EditionStore
from digest.rendering import Rendering
from digest.reporting import Wait
from digest.watching import IDLE_AFTER, tell_of_store, watch

_NO_STORY: Final = {
    "daily": "none of the reader's topics has a story today",
    "weekly": "none of the reader's topics has a story this week",
    "special": "none of the reader's topics has a story",
}
_ZONES: Final = 1000  # there are some six hundred
_CHOICES: Final = 10_000  # of topics and languages, which repeat from reader to reader
_AT_HAND: Final = 16  # renditions, of some hundred kilobytes each


class Sending:
    """One newsletter's editions on their way to its readers."""

    def __init__(self, settings: Settings, ports: Ports, rendering: Rendering) -> None:
        """Nothing happens until `send` or `close`."""
        self._settings = settings
        self._ports = ports
        self._rendering = rendering

    def send(self, stored: StoredEdition, log: Log) -> str | None:
        """Plan and deliver; returns what stopped the sender before the end, if anything did."""
        ports = self._ports
        if stored.edition is None:
            return None
        if stored.state is EditionState.READY:
            if not self._is_wanted(stored.id, stored.edition):
                log.note("deliver", notes=["nobody to send it to"], planned=0)
                return None
            self._reread(stored.edition, log)
            stored = self._begin(stored)
            if stored.state is not EditionState.SENDING:
                return None
        ports.on_progress(ports.ledger.counts(stored.id))  # before anything leaves, and what was done before
        if ports.workers is not None and not self._leave_to_workers(stored, ports.workers, log):
            return None
        sent = self.sender(stored).run()
        counts = ports.ledger.counts(stored.id)
        ports.on_progress(counts)
        log.note("deliver", notes=_describe(sent), **counts)
        if not sent.fault:
            ports.ledger.finish(stored.id, now=ports.clock())
        return sent.fault

    def _leave_to_workers(self, stored: StoredEdition, workers: Workers, log: Log) -> bool:
        """Have workers deliver it; whether it is to be done here all the same."""
        ports = self._ports
        if ports.ledger.finish(stored.id, now=ports.clock()):
            # It was too late for all of them.
            log.note("deliver", notes=["nothing is left to deliver"], **ports.ledger.counts(stored.id))
            return False
        if not workers.is_waited_for:
            log.note("deliver", notes=["workers deliver it"], **ports.ledger.counts(stored.id))
            return False
        ports.on_stage(StageReport(stage="deliver", counts={}, notes=("workers deliver it",)))
        how = watch(stored.id, ports, workers)
        if how == "idle":
            note = f"no worker has done anything for {IDLE_AFTER:.0f} seconds; it is delivered here"
            ports.on_stage(StageReport(stage="deliver", counts={}, notes=(note,)))
            return True
        counts = ports.ledger.counts(stored.id)
        ports.on_progress(counts)
        log.note("deliver", notes=["by workers"], **counts)
        if how == "over":
            ports.ledger.finish(stored.id, now=ports.clock())
        return False

    def _is_wanted(self, number: int, edition: Edition) -> bool:
        """Whether anybody gets it, or was to get it when a run before this one was interrupted."""
        return any(plan.variant for plan in self._plan(edition)) or self._ports.ledger.next_due(number) is not None

    def _begin(self, stored: StoredEdition) -> StoredEdition:
        """Plan a ready edition, and let it be sent: as it is, with a rendition of all that was planned.

        What a person changes meanwhile, or another process plans, is taken up; until then nobody can claim anything.
        """
        ports, size = self._ports, deliver.batch_size(self._ports.lanes)
        while stored.state is EditionState.READY and stored.edition:
            ports.ledger.plan(stored.id, self._plan(stored.edition), batch_size=size, now=ports.clock())
            # As they were planned: a run before this one may have planned for topics that were others then.
            for name in sorted(ports.ledger.unrendered(stored.id)):
                self._add_rendition(stored, stored.edition, Variant.of(name))
            self._leave_out_late(stored)
            ports.ledger.begin(stored.id, as_of=stored.changed_at, now=ports.clock())
            stored = ports.editions.get(stored.id) or stored
        return stored

    def _leave_out_late(self, stored: StoredEdition) -> None:
        """Give up the zones for which an edition of the schedule's is too late; they can be planned again."""
        ports, now = self._ports, self._ports.clock()
        if ports.place is None or ports.max_lateness is None:
            return
        for timezone, due_at in ports.ledger.zones(stored.id).items():
            if reason := lateness.find_reason(stored, timezone, due_at, now, max_lateness=ports.max_lateness):
                ports.ledger.give_up(stored.id, reason, now=now, timezone=timezone)

    def find_wait(self, stored: StoredEdition) -> Wait | None:
        """Who waits for a time of their own, where anybody does."""
        ledger, now = self._ports.ledger, self._ports.clock()
        waiting = ledger.count_waiting(stored.id, now=now) if stored.state is EditionState.SENDING else {}
        if not waiting:
            return None
        first = next(iter(waiting))
        return Wait(readers=sum(waiting.values()), timezone=first, due_at=ledger.zones(stored.id)[first])

    def _add_rendition(self, stored: StoredEdition, edition: Edition, variant: Variant) -> None:
        present = {section.id for section in edition.sections}
        if not edition.items or (variant.topics and present.isdisjoint(variant.topics)):
            # A person took out its stories after it was planned, and before it was sent.
            self._ports.ledger.give_up(
                stored.id, _NO_STORY[edition.cadence], now=self._ports.clock(), variant=variant.key
            )
            return
        rendered = self._rendering.render(edition, [variant])
        self._ports.editions.add_renditions(stored.id, rendered, as_of=stored.changed_at)

    def _reread(self, edition: Edition, log: Log) -> None:
        """Look at the lead pages once more, and tell what is not as it was when they were read."""
        ports = self._ports
        known = {str(stored.number): stored for stored in ports.entries.get([int(item.id) for item in edition.items])}
        found = reread.reread(edition.items, known, ports.fetch_again, extract.read_page_star, ports.parallel)
        if found.asked:
            counts = {"pages": found.asked, "read": found.read, "gone": len(found.gone), "changed": len(found.changed)}
            log.note("reread", notes=[*found.gone, *found.changed], **counts)

    def close(self, stored: StoredEdition, reason: str, timezones: Collection[str] = ()) -> None:
        """End an edition that is too old, or give up what waits for some zones; see closing."""
        closing.close(self._ports, stored, reason, timezones, find_wait=self.find_wait)

    def members(self) -> Iterator[Subscriber]:
        """Those who get the editions of this cadence now."""
        ports, settings = self._ports, self._settings
        return (
            reader
            for reader in ports.subscribers.reached(settings.newsletter)
            if reader.frequency == settings.cadence and ports.is_member(reader)
        )

    def _plan(self, edition: Edition) -> Iterator[Planned]:
        """Who gets which variant, and why someone is left out."""

        @lru_cache(maxsize=_CHOICES)
        def choose(topics: tuple[str, ...], language: str | None) -> str | None:
            alike = Subscriber(email="", topics=topics, language=language)
            variant = self._rendering.choose_variant(edition, alike)
            return variant.key if variant else None

        @lru_cache(maxsize=_ZONES)
        def place(timezone: str | None) -> Place | None:
            return self._ports.place(edition.date, timezone) if self._ports.place else None

        now = self._ports.clock()
        for reader in self._ports.subscribers.reached(self._settings.newsletter):
            variant, reason = choose(reader.topics, reader.language), None
            if variant is None:
                reason = _NO_STORY[edition.cadence]
            if reader.frequency != edition.cadence:
                variant, reason = None, f"the reader asked for the {reader.frequency} edition"
            own = place(reader.timezone)
            # As it will be when it is due for them: a pause may end in between.
            at = max(now, own.due_at) if own else now
            if reader.paused_until and reader.paused_until > at:
                variant, reason = None, describe_pause(reader.paused_until)
            if not self._ports.is_member(reader):
                variant, reason = None, f'the reader is not of the segment "{self._settings.segment}"'
            send_key = self._ports.send_key(edition, reader.key)
            yield Planned(
                subscriber=reader,
                send_key=send_key,
                variant=variant,
                reason=reason,
                timezone=own.timezone if own else None,
                due_at=own.due_at if own else None,
            )

    def sender(self, stored: StoredEdition, *, on_stop: Callable[[str], None] = lambda _: None) -> deliver.Sender:
        """A sender of an edition; `on_stop` hears why, when it was this one that stopped the edition."""
        ports = self._ports

        def stop_edition(reason: str) -> None:
            if ports.editions.set_state(
                stored.id, EditionState.STOPPED, reason, now=ports.clock(), only_from=[EditionState.SENDING]
            ):
                on_stop(reason)

        def tell(note: str) -> None:
            ports.on_stage(StageReport(stage="deliver", counts={}, notes=(note,)))

        def tell_of_wait(why: str, until: datetime) -> None:
            tell(f"{why}; it goes on at {until.astimezone(ports.zone):%H:%M %Z}")

        zones, news_until = ports.ledger.zones(stored.id), {}
        if ports.max_lateness is not None:
            due_at = ports.due_at(stored.date, stored.cadence)
            news_until = lateness.list_ends(stored, zones, due_at, max_lateness=ports.max_lateness)
        mailing = deliver.Mailing(
            edition=stored.id,
            rendition=_Renditions(ports.editions, stored, self._rendering),
            letterhead=self._rendering.letterhead(stored),
            zones=zones,
            news_until=news_until,
            unsubscribe_url=ports.unsubscribe_url,
        )
        return deliver.Sender(
            mailing,
            ports.ledger,
            ports.rates,
            ports.lanes,
            ports.owner,
            clock=ports.clock,
            monotonic=ports.monotonic,
            wait=ports.wait,
            may_go_on=ports.may_go_on,
            is_open=lambda: ports.editions.state(stored.id) is EditionState.SENDING,
            stop_edition=stop_edition,
            on_progress=ports.on_progress,
            on_long_wait=tell_of_wait,
            on_away=partial(tell_of_store, ports),
            waits_for_rates=ports.waits_for_rates,
            limits=ports.limits,
            resumed_at=stored.resumed_at,
            zone=ports.zone,
        )


def _describe(sent: deliver.Sent) -> list[str]:
    """What a sender has to tell, for the report."""
    notes = [sent.fault] if sent.fault else []
    if len(sent.by_lane) > 1 or sent.fault:
        notes += [f"{name} took {count}" for name, count in sent.by_lane.items()]
    return [*notes, *(f"{why}: {count}" for why, count in sent.put_off.items())]


class _Renditions:
    """An edition's renditions by variant, as they are mailed; the last few are kept at hand."""

    def __init__(self, editions: EditionStore, stored: StoredEdition, rendering: Rendering) -> None:
        self._editions = editions
        self._stored = stored
        self._rendering = rendering
        self._read_once = lru_cache(maxsize=_AT_HAND)(self._read)

    def __call__(self, variant: str) -> Rendition:
        return self._read_once(variant)

    def _read(self, variant: str) -> Rendition:
        kept, edition = self._editions.rendition(self._stored.id, variant), self._stored.edition
        if kept is None:
            raise StoreError(
                f"edition {self._stored.reference}",
                f"variant {variant} is gone",
                remedy="restore a backup of the database",
            )
        return self._rendering.as_mailed(edition, kept) if edition else kept
