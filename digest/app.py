"""The composition root: Config → everything else. The only module that owns a clock, randomness and the environment."""

import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from digest import __version__, decisions, due, mailing
from digest.about import about
from digest.adapters import Means, host_of, make_source, make_summarizers, profile_of
from digest.audience import approval
from digest.audience.addresses import parse_address
from digest.audience.links import Links, make_send_key
from digest.config import Config
from digest.errors import ConfigError
from digest.models import (
    ANYBODY,
    Cadence,
    Edition,
    Finding,
    Outcome,
    Report,
    StageReport,
    StoredEdition,
    Viewpoint,
)
from digest.network import GuardedNetwork
from digest.protocols import Clock, Fetch, Queue, Summarizer, Unwatched, Watch
from digest.timetable import Timetable
from digest.upkeep import make_engine_tables

if TYPE_CHECKING:
    from digest.audience.segments import Predicate
    from digest.collect import Pacing, Visit
    from digest.deliver import Lane
    from digest.engine import LocalEngine
    from digest.pipeline import Pipeline
    from digest.ports import CanaryMailbox, Preview, Workers
    from digest.render import Renderer
    from digest.stores.replaying import Replayed
    from digest.stores.sql import SqlStore
    from digest.sweeping import Sweeper

_PAGES_SECONDS = 300.0  # for all pages that are fetched at once
_LATELY = timedelta(minutes=20)  # a source that was visited within that is not visited again for an edition
_SETTLING = timedelta(seconds=10)  # that clocks may differ, and that keeping what a visit brought may take
_AGAIN_SECONDS = 30.0  # for the pages of an edition's stories, before it is sent


def system_clock() -> datetime:
    """Now, as aware UTC."""
    return datetime.now(UTC)


class App:
    """One newsletter's program, put together; nothing is opened before it is needed. Close it when done."""

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock = system_clock,
        wait: Callable[[float], None] | None = None,
        on_stage: Callable[[StageReport], None] = lambda _: None,
        on_progress: Callable[[Mapping[str, int]], None] = lambda _: None,
        answers: dict[str, str] | None = None,
    ) -> None:
        """`on_stage` hears of each stage as it ends, `on_progress` of deliveries by state as batches are settled.

        `wait` pauses for some seconds; else a pause is as long, or until somebody calls `stop`. `answers` is what a
        language model said before, where that is to outlive this program's stores.
        """
        self.config = config
        self.clock = clock
        self._on_stage = on_stage
        self._tell_progress = on_progress
        self._stopping = threading.Event()
        self.wait = wait or self._pause
        self._given_wait = wait
        # Who turns the clock by waiting turns this one, too.
        self.monotonic: Callable[[], float] = (lambda: self.clock().timestamp()) if wait else time.monotonic
        self.watch: Watch = Unwatched()  # what is in the way of this process
        self.is_sending = False  # or has been: from the first look at the ledger before anything leaves
        self.is_swept = False  # a scheduler looks each minute for what is left to send
        self.asked = threading.Event()  # somebody on a page asked for a mail
        # A preview works on copies of the store, and must not ask again each time.
        self._answers = answers if answers is not None else {}

    def __enter__(self) -> "App":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of connections and the database. May be called twice."""
        for lane in self.__dict__.pop("lanes", ()):
            lane.transport.close()
        engine = self.__dict__.pop("engine", None)
        if engine is not None:
            engine.rest()
        self.__dict__.pop("_sweeper", None)
        for name in ("store", "queue"):
            opened = self.__dict__.pop(name, None)
            if opened is not None:
                opened.close()

    def stop(self) -> None:
        """Ask a run in another thread to end with what it has under way; a pause of its ends at once."""
        self._stopping.set()

    def beside(self) -> "App":
        """The same program with connections of its own, for an edition in another thread; it stops with this one."""
        other = App(
            self.config,
            clock=self.clock,
            wait=self._given_wait,
            on_stage=self._on_stage,
            on_progress=self._on_progress,
            answers=self._answers,
        )
        other._stopping, other.is_swept, other.watch = self._stopping, self.is_swept, self.watch
        return other

    def _pause(self, seconds: float) -> None:
        self._stopping.wait(seconds)

    @property
    def is_on_system_clock(self) -> bool:
        """Whether nobody else turns the clock, so that another may be compared with it."""
        return self.clock is system_clock

    def may_go_on(self) -> bool:
        """Whether nobody asked to stop, and nothing is in the way of sending from here."""
        return not self.is_stopping and self.watch.may_send()

    @property
    def is_stopping(self) -> bool:
        """Whether somebody asked to stop."""
        return self._stopping.is_set()

    def _on_progress(self, counts: Mapping[str, int]) -> None:
        self.is_sending = True
        self._tell_progress(counts)

    @cached_property
    def store(self) -> "SqlStore":
        """The database. Raises StoreError, and ConfigError for an address that names none."""
        from digest.stores.sql import SqlStore

        store = SqlStore.open(
            self.config.store.url,
            on_made=partial(make_engine_tables, self.config),
            on_replayed=self._tell_replayed,
            connections=self.config.store.connections,
            journal=self.config.store.journal,
        )
        if self.queue is not None:
            from digest.sweeping import make_enqueue

            store.rounds.on_due = make_enqueue(self.queue, self.config.newsletter.slug)
        return store

    def _tell_replayed(self, replayed: "Replayed") -> None:
        note = f"the database is older than its journal, and was brought up to it: {replayed}"
        self._on_stage(StageReport(stage="restore", counts={}, notes=(note,)))

    @cached_property
    def network(self) -> GuardedNetwork:
        """The way out to the network."""
        newsletter = self.config.newsletter
        return GuardedNetwork(
            user_agent=f"Digest/{__version__} (+{newsletter.base_url}; {parse_address(newsletter.sender).email})",
            allow_private=self.config.fetch.allow_private,
        )

    @cached_property
    def links(self) -> Links:
        """The signed links of this newsletter's readers."""
        newsletter = self.config.newsletter
        return Links(base_url=newsletter.base_url, newsletter=newsletter.slug, keys=self._signing_keys)

    @cached_property
    def _signing_keys(self) -> list[str]:
        """Oldest first. The database's own key stays valid for ever: links that it signed lie in people's mailboxes."""
        configured = self.config.secrets.secret_key
        kept = self.store.keys.key("secret_key", lambda: secrets.token_urlsafe(32))
        return [kept, *(configured.get_secret_value().split() if configured else ())]

    @cached_property
    def renderer(self) -> "Renderer":
        """The templates: the operator's own folder first, then the shipped ones. Raises RenderError."""
        return decisions.make_renderer(self.config)

    @cached_property
    def segments(self) -> "Mapping[str, Predicate]":
        """Whether a subscriber is of a segment, by its id."""
        return decisions.make_segments(self.config)

    @cached_property
    def lanes(self) -> "list[Lane]":
        """The transports in order of preference, each with its rates. Raises ConfigError."""
        return decisions.make_lanes(self.config)

    def note_stage(self, stage: StageReport) -> None:
        """Say something beside the runs."""
        self._on_stage(stage)

    @cached_property
    def canary(self) -> "list[CanaryMailbox]":
        """The mailboxes in which the canary's copies arrive. Raises ConfigError."""
        return decisions.list_seeds(self.config)

    @cached_property
    def queue(self) -> Queue | None:
        """Where tasks wait for workers; None: all is done here."""
        engine = self.config.engine
        if engine.kind != "procrastinate":
            return None
        from digest.engine.queue import ProcrastinateQueue

        return ProcrastinateQueue(self.config.store.url, self.config.newsletter.slug, attempts=engine.attempts)

    @cached_property
    def engine(self) -> "LocalEngine":
        """What runs tasks."""
        from digest.engine import LocalEngine

        return LocalEngine()

    @cached_property
    def timetable(self) -> Timetable:
        """When editions are due."""
        return Timetable(self.config.schedule, lambda: self.store.subscribers.zones(self.config.newsletter.slug))

    def today(self) -> date:
        """The date in the newsletter's time zone."""
        return self.timetable.day_of(self.clock())

    def run(
        self,
        day: date | None = None,
        *,
        cadence: Cadence = "daily",
        send: bool = True,
        dry: bool = False,
        on_time: bool = False,
        by_workers: bool = False,
    ) -> Report:
        """One edition now. `by_workers`: where there are some, they are left alone with what is planned.

        `dry` works on a copy of the database and sends nothing.

        `on_time`: a zone for which it was made too late is left out; by hand nobody is too late. And what is held stays
        so; by hand it is composed anew.
        """
        self._require_sources()
        chosen = day or self.today()
        with (
            about(run=secrets.token_hex(4), edition=f"{chosen} {cadence}"),
            self.scratch() if dry else self._kept() as store,
        ):
            pipeline = self.pipeline(store, cadence, on_time=on_time, workers=self._find_workers(dry, by_workers))
            return pipeline.run(chosen, send=send and not dry, again=not on_time)

    def _find_workers(self, dry: bool, by_workers: bool) -> "Workers | None":
        """Who delivers what is planned; None: this process."""
        from digest.ports import Workers

        if self.queue is None or dry:
            return None
        return Workers(sweep=self._sweep_alone, is_waited_for=not by_workers)

    @cached_property
    def _sweeper(self) -> "Sweeper | None":
        from digest.sweeping import Sweeper

        if self.queue is None:
            return None
        return Sweeper(self.store, self.queue, self.config.newsletter.slug, monotonic=self.monotonic)

    def _sweep_alone(self) -> None:
        """As `sweep_sends`, by a run that closes its own edition."""
        if self._sweeper is not None:
            self._sweeper.sweep(self.clock())

    def sweep_sends(self) -> list[Report]:
        """Keep what workers deliver going, and close what they have done; the reports of that. Raises StoreError.

        Any number of processes may do it, and at once: each edition is closed, and told of, once.
        """
        if self._sweeper is None:
            return []
        reports = [self.conclude(number) for number in self._sweeper.sweep(self.clock())]
        return [report for report in reports if report is not None]

    def conclude(self, number: int) -> Report | None:
        """Close an edition of which nothing is left to send; None when another has."""
        stored = self.store.editions.get(number)
        return self.pipeline(self.store, stored.cadence).conclude(number) if stored else None

    def close_late(self, stored: StoredEdition, reason: str, *, timezones: Collection[str] = ()) -> None:
        """End an edition that is too old to be news: what is still to be sent of it is given up, and named.

        With `timezones` only what waits for those, and the edition when nothing else is left of it.
        """
        with self._kept() as store:
            self.pipeline(store, stored.cadence).close(stored, reason, timezones=timezones)

    def preview(
        self, day: date | None = None, viewpoint: Viewpoint = ANYBODY, *, cadence: Cadence = "daily"
    ) -> "Preview":
        """The edition of that day as one subscriber, or a reader of some topics, would get it. Writes nothing."""
        self._require_sources()
        from digest.previewing import find_reader

        reader = find_reader(self.store.subscribers, self.config.newsletter.slug, viewpoint)
        with self.scratch() as store:
            return self.pipeline(store, cadence).preview(day or self.today(), reader)

    def send_test(
        self, email: str, day: date | None = None, viewpoint: Viewpoint = ANYBODY, *, cadence: Cadence = "daily"
    ) -> Outcome:
        """One message to an address by the configured transport, outside the ledger: what `preview` shows from there.

        Its way out leads nobody out, for this is no subscription; also not that of the subscriber whom it is like.
        """
        self._require_sources()
        from digest.previewing import find_reader, stand_in

        like = find_reader(self.store.subscribers, self.config.newsletter.slug, viewpoint)
        reader = stand_in(email=parse_address(email).email, topics=like.topics, language=like.language)
        with self.scratch() as store:
            return self.pipeline(store, cadence).send_test(day or self.today(), reader)

    def pipeline(
        self,
        store: "SqlStore",
        cadence: Cadence = "daily",
        *,
        on_time: bool = False,
        workers: "Workers | None" = None,
        lanes: "Sequence[Lane] | None" = None,
        is_worker: bool = False,
    ) -> "Pipeline":
        """The pipeline of one cadence over a store: ours, or a scratch copy. `on_time`: see `run`.

        `workers` deliver what it plans, where there are some; `lanes`, where they are not those of this App.
        `is_worker`: this process shows signs of life for as long as it sends.
        """
        from digest.pipeline import Pipeline
        from digest.ports import Ports
        from digest.stores.owners import this_owner
        from digest.sweeping import WORKER

        ports = Ports(
            entries=store.entries,
            editions=store.editions,
            ledger=store.ledger,
            rates=store.rates,
            subscribers=store.subscribers,
            runs=store.runs,
            network=self.network.run,
            visits=self.list_visits,
            fetch_pages=partial(self.network.fetch_pages, seconds=_PAGES_SECONDS),
            fetch_again=partial(self.network.fetch_pages, seconds=_AGAIN_SECONDS),
            parallel=self.engine.in_processes,
            in_threads=self.engine.in_threads if self.config.summarizer.kind == "llm" else None,
            summarizers=self.summarizers(store),
            subject=partial(mailing.write_subject, self.config.newsletter, cadence),
            languages=self.renderer.languages,
            render=self.renderer.render,
            is_member=self.segments.get(self.config.edition.segment, lambda _: True),
            as_mailed=partial(mailing.count_readings, self.config, self.links),
            unsubscribe_url=self.links.unsubscribe_url,
            send_key=lambda edition, reader: make_send_key(
                self._signing_keys[0],
                newsletter=edition.newsletter,
                cadence=edition.cadence,
                day=edition.date.isoformat(),
                subscriber=reader,
            ),
            write_message=partial(mailing.write_message, self.links),
            probe_unsubscribe=lambda: self.network.probe_unsubscribe(self.links.unsubscribe_url("0" * 32)),
            approval_url=self.approval_url,
            lanes=self.lanes if lanes is None else lanes,
            canary=self.canary,
            owner=this_owner(f"{WORKER if is_worker else ''}{secrets.token_hex(8)}"),
            clock=self.clock,
            monotonic=self.monotonic,
            wait=self.wait,
            pacing=self.pace_visits(store, lately=_LATELY if on_time else None, takes_over=not on_time),
            settling=_SETTLING if on_time else timedelta(),
            zone=ZoneInfo(self.config.schedule.timezone),
            place=self.timetable.place if self.config.schedule.per_subscriber_timezone else None,
            max_lateness=self.config.schedule.max_lateness if on_time else None,
            due_at=partial(due.due_at, self.config.schedule),
            workers=workers,
            waits_for_rates=not self.is_swept,
            limits=decisions.make_limits(self.config),
            may_go_on=self.may_go_on,
            is_alone=isinstance(self.watch, Unwatched),
            on_stage=self._on_stage,
            on_progress=self._on_progress,
        )
        return Pipeline(decisions.make_settings(self.config, cadence), ports)

    def summarizers(self, store: "SqlStore") -> list[Summarizer]:
        """Who says stories, in order of preference; new for each run. Raises ConfigError."""
        from digest.stores.answers import RememberedAnswers

        means = Means(
            secrets=self.config.secrets,
            answers=RememberedAnswers(self._answers, store.answers),
            language=self.config.newsletter.language,
            clock=self.clock,
            monotonic=time.monotonic,
        )
        return make_summarizers(self.config.summarizer, means)

    def approval_url(self, edition: int, email: str) -> str:
        """Where an operator decides on an edition that is held; for that address, and for a while."""
        until = approval.expires_at(self.clock(), self.config.schedule.max_lateness)
        return self.links.url("approval", approval.write_value(edition, until, email))

    def require_ready(self) -> None:
        """Open what a server will need, so that its faults show at the start and not at the first edition."""
        self._require_sources()
        self.store.editions.newest(self.config.newsletter.slug, 1)
        self.links.sign("0" * 32)
        self.lanes  # noqa: B018 - built now

    def revise(self, number: int, edition: Edition, **arguments: Any) -> bool:
        """Render a changed edition and keep it; see Pipeline.revise."""
        return self.pipeline(self.store, edition.cadence).revise(number, edition, **arguments)

    def inspect(self, stored: StoredEdition) -> tuple[Finding, ...]:
        """What preflight finds in a kept edition, without asking the network."""
        return self.pipeline(self.store, stored.cadence).inspect(stored)

    def tell_again(self, stored: StoredEdition) -> Report:
        """Tell the operator of a held edition once more, when the last mail about it did not go."""
        with self._kept() as store:
            return self.pipeline(store, stored.cadence).tell_again(stored)

    def _require_sources(self) -> None:
        if not self.config.sources:
            remedy = "add a [[sources]] table, or run `digest sources add URL`"
            raise ConfigError(str(self.config.path), "no source is configured", remedy=remedy)

    def pace_visits(self, store: "SqlStore", **choices: Any) -> "Pacing":
        """How sources are visited beside other visits to them; see collect.Pacing."""
        from digest.collect import Pacing

        due_at = self.timetable.next_due_at(self.clock())
        return Pacing(store=store.visits, clock=self.clock, edition_due_at=due_at, **choices)

    def list_visits(self, fetch: Fetch, ids: Collection[str] | None = None) -> "list[Visit]":
        """The configured sources, or those of them with these ids, as visits."""
        from digest.collect import Visit

        return [
            Visit(
                profile=profile_of(table),
                source=make_source(table, fetch, self.clock),
                host=host_of(table),
            )
            for table in (
                self.config.sources if ids is None else [self._tables[one] for one in ids if one in self._tables]
            )
        ]

    @cached_property
    def _tables(self) -> dict[str, Any]:
        """The sources' tables by id: a worker looks for one among very many."""
        return {table.id: table for table in self.config.sources}

    @contextmanager
    def _kept(self) -> "Iterator[SqlStore]":
        yield self.store

    @contextmanager
    def scratch(self, *, takes_readers: bool = False) -> "Iterator[SqlStore]":
        """A copy of the database that is thrown away; its readers may be there to be looked at only."""
        scratch = self.store.scratch(takes_readers=takes_readers)
        try:
            yield scratch
        finally:
            scratch.close()
