"""The whole program on one page.

    sources ─ collect ─> entries ─ extract ─> articles ─ cluster ─> stories ─ recall ─> new ones ─ rank ─> in order
        ─ summarize ─> items ─ compose ─> edition ─ render ─> renditions ─ preflight ─> ready (or held)
        ─ plan, deliver ─> sent

It calls the stages in order, hands each what it needs, and keeps what must outlive a crash: the entries, the edition
with its renditions, the ledger. It does not decide what a story is, who may be mailed, or when anything is due.
Running it again for the same day is safe at every point: what is there is taken up where it stood.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from digest import cluster, collect, compose, deliver, extract, preflight, rank, recall, summarize
from digest.earlier import Earlier
from digest.errors import RenderError
from digest.models import (
    Batch,
    Budget,
    Edition,
    EditionState,
    Finding,
    Item,
    Letterhead,
    Planned,
    Recipient,
    Rendition,
    Report,
    SourceReport,
    StageReport,
    StoredEdition,
    Subscriber,
    Variant,
)
from digest.ports import Composed, Ports, Preview, Settings
from digest.protocols import EditionStore
from digest.reporting import Held, describe, held_by

_OPEN = (EditionState.READY, EditionState.SENDING)


@dataclass(slots=True)
class _Log:
    """What has been done so far in this run."""

    ports: Ports
    started_at: datetime
    stages: list[StageReport] = field(default_factory=list)

    def note(self, stage: str, notes: Sequence[str] = (), **counts: int) -> None:
        now = self.ports.clock()
        seconds = (now - self.started_at).total_seconds() - sum(report.seconds for report in self.stages)
        report = StageReport(stage=stage, counts=counts, seconds=round(max(0.0, seconds), 3), notes=tuple(notes))
        self.stages.append(report)
        self.ports.on_stage(report)


class Pipeline:
    """One newsletter's way from its sources to its readers."""

    def __init__(self, settings: Settings, ports: Ports) -> None:
        """Nothing happens until `run` or `compose`."""
        self._settings = settings
        self._ports = ports
        self._earlier = Earlier(ports.editions, ports.entries, settings.newsletter, settings.cadence)

    def run(self, day: date, *, send: bool = True) -> Report:
        """The edition of `day`, from where it stands to its end. Raises RenderError, StoreError and TransportError."""
        ports, settings = self._ports, self._settings
        log = _Log(ports, ports.clock())
        stored = ports.editions.find(settings.newsletter, settings.cadence, day)
        composed = None
        already = stored is not None and stored.state is EditionState.SENT
        if stored is None or _may_compose_again(stored):
            composed = self.compose(day, log=log)
            stored = self._keep(composed)
        fault = None
        if send and stored.state in _OPEN:
            fault = self._send(stored, log)
            stored = ports.editions.get(stored.id) or stored
        report = describe(
            stored,
            sources=composed.sources if composed else (),
            stages=log.stages,
            findings=composed.findings if composed else (),
            deliveries=ports.ledger.counts(stored.id),
            fault=fault,
            sending=send,
            already=already,
        )
        ports.runs.record(report, started_at=log.started_at, finished_at=ports.clock())
        return report

    def close(self, stored: StoredEdition, reason: str) -> None:
        """End an edition that is too old: what waits is skipped with the reason, a ready one is missed."""
        ports, now = self._ports, self._ports.clock()
        if stored.state is EditionState.READY:
            ports.editions.set_state(stored.id, EditionState.MISSED, reason, now=now, only_from=[EditionState.READY])
            return
        ports.ledger.recover(stored.id, now=now)
        ports.ledger.give_up(stored.id, reason, now=now)
        if ports.ledger.leased_until(stored.id) is None:
            ports.editions.set_state(stored.id, EditionState.SENT, reason, now=now, only_from=[EditionState.SENDING])

    def compose(self, day: date, *, visit: bool = True, log: _Log | None = None) -> Composed:
        """Every stage up to preflight, keeping only entries and page texts. Without `visit`, of what is stored."""
        settings, ports = self._settings, self._ports
        log = log or _Log(ports, ports.clock())
        now = ports.clock()
        since = now - settings.window
        sources = self._collect(now, since, log) if visit else ()
        after = ports.editions.last_cutoff(settings.newsletter, settings.cadence)
        offered = ports.entries.offered(settings.newsletter, after=after, since=since, until=now)
        articles = extract.extract(
            offered,
            settings.profiles,
            settings.topics,
            ports.fetch_pages,
            ports.parallel,
            ports.entries.keep_page,
            since=since,
        )
        log.note("extract", entries=len(offered), articles=len(articles))
        found = cluster.cluster(
            articles,
            told=self._earlier.told(day, settings.memory),
            language=settings.language,
            across_languages=settings.mix_languages,
        )
        log.note("cluster", stories=len(found), told_by_several=sum(len(story.outlets) > 1 for story in found))
        stories = recall.recall(found)
        log.note("recall", told_before=len(found) - len(stories), updates=sum(bool(s.news) for s in stories))
        ranked = rank.rank(stories, now=now)[: settings.max_stories]
        log.note("rank", chosen=len(ranked))
        items = summarize.summarize(ranked, ports.summarizers, Budget(words=settings.words), language=settings.language)
        log.note(
            "summarize",
            summaries=sum(item.summary is not None for item in items),
            headlines_only=sum(item.summary is None for item in items),
        )
        edition = compose.compose(
            items,
            newsletter=settings.newsletter,
            name=settings.name,
            cadence=settings.cadence,
            day=day,
            language=settings.language,
            topics=settings.topics,
            max_stories=settings.max_stories,
            subject=lambda lead, count: ports.subject(day, lead, count),
            composed_at=now,
            cutoff_at=now,
            silent=[self._name(report.id) for report in sources if not report.ok and not report.entries],
            corrections=self._earlier.corrections(after),
        )
        log.note("compose", stories=len(edition.items), sections=len(edition.sections))
        renditions = self._render(edition, self._variants(edition, ports.subscribers.reached(settings.newsletter)))
        log.note(
            "render",
            variants=len(renditions),
            bytes=max((len(r.html.encode()) for r in renditions), default=0),
        )
        findings = self._inspect(renditions)
        log.note("preflight", notes=[preflight.verdict(findings)], findings=len(findings))
        return Composed(edition=edition, renditions=renditions, findings=findings, sources=tuple(sources))

    def revise(
        self,
        number: int,
        edition: Edition,
        *,
        only_from: Sequence[EditionState],
        state: EditionState | None = None,
        reason: str | None = None,
    ) -> bool:
        """Render a changed edition and keep it in the place of what was; False when it is no longer open.

        Into `state`, on a person's word; else as it is, but what preflight fails is held.
        """
        ports = self._ports
        variants = self._variants(edition, ports.subscribers.reached(self._settings.newsletter))
        renditions = self._render(edition, variants)
        failed = [finding for finding in self._inspect(renditions) if finding.severity == "fail"]
        if failed and state is None:
            state, reason = EditionState.HELD, f"{Held.PREFLIGHT}: {failed[0].message}"
        return ports.editions.revise(number, edition, renditions, state, reason, now=ports.clock(), only_from=only_from)

    def preview(self, day: date, reader: Subscriber) -> Preview:
        """The edition of `day` as `reader` would get it: as kept, else composed now, collecting when nothing is."""
        ports, settings = self._ports, self._settings
        stored = ports.editions.find(settings.newsletter, settings.cadence, day)
        kept = tuple(ports.editions.renditions(stored.id).values()) if stored else ()
        if stored and stored.edition and kept:
            composed = Composed(edition=stored.edition, renditions=kept, findings=self._inspect(kept))
        else:
            stored = None
            composed = self.compose(day, visit=False)
            if not composed.edition.items:
                composed = self.compose(day)
        if not composed.renditions:
            failed = "; ".join(f"{report.id}: {report.error}" for report in composed.sources if not report.ok)
            raise RenderError(
                f"the edition of {day}", "it has no story", remedy=failed or "nothing new came since the last"
            )
        variant = compose.choose_variant(composed.edition, reader.topics) or Variant()
        by_key = {rendition.variant: rendition for rendition in composed.renditions}
        if variant.key not in by_key:
            by_key |= {rendition.variant: rendition for rendition in self._render(composed.edition, [variant])}
        recipient = Recipient(
            delivery=0,
            send_key=ports.send_key(composed.edition, reader.key),
            subscriber_key=reader.key,
            email=reader.email,
            name=reader.name,
        )
        batch = Batch(
            rendition=by_key[variant.key],
            letterhead=self._letterhead(stored),
            messages=(deliver.address(recipient, ports.unsubscribe_url),),
        )
        return Preview(
            edition=composed.edition,
            rendition=by_key[variant.key],
            unsubscribe_url=batch.messages[0].unsubscribe_url,
            payload=ports.lanes[0].transport.render(batch)[0],
            findings=composed.findings,
            stored=stored is not None,
        )

    def _collect(self, now: datetime, since: datetime, log: _Log) -> Sequence[SourceReport]:
        ports = self._ports
        reports = ports.network(
            lambda fetch: collect.collect(
                ports.visits(fetch), ports.entries, self._settings.newsletter, now=now, since=since
            )
        )
        failed = [f"{report.id}: {report.error}" for report in reports if not report.ok and not report.is_told]
        remarks = [f"{report.id}: {report.note}" for report in reports if report.note]
        counts = {"sources": len(reports), "failed": len(failed)}
        log.note(
            "collect",
            notes=[*failed, *remarks],
            **counts,
            entries=sum(report.entries for report in reports),
            new=sum(report.new for report in reports),
        )
        return reports

    def _name(self, source: str) -> str:
        return self._settings.profiles[source].title or source

    def _variants(self, edition: Edition, readers: Sequence[Subscriber]) -> list[Variant]:
        """The variants that these readers need, and the whole edition."""
        wanted = {variant for reader in readers if (variant := compose.choose_variant(edition, reader.topics))}
        return sorted({Variant(), *wanted}, key=lambda variant: variant.topics)

    def _render(self, edition: Edition, variants: Sequence[Variant]) -> tuple[Rendition, ...]:
        if not edition.items:
            return ()

        def subject(lead: Item | None, count: int) -> str:
            return self._ports.subject(edition.date, lead, count)

        return tuple(self._ports.render(compose.narrow(edition, v, subject), v.key) for v in variants)

    def _inspect(self, renditions: Sequence[Rendition]) -> tuple[Finding, ...]:
        """The findings over all variants, each once."""
        broken = None if self._settings.rehearsal or not renditions else self._ports.probe_unsubscribe()
        found: dict[Finding, None] = {}
        for rendition in renditions:
            inspected = preflight.inspect(
                rendition.html,
                rendition.text,
                subject=rendition.subject,
                rehearsal=self._settings.rehearsal,
                unsubscribe_checked=broken,
            )
            found.update(dict.fromkeys(inspected))
        return tuple(found)

    def _keep(self, composed: Composed) -> StoredEdition:
        """Keep the edition: ready, or held with the reason."""
        ports, settings = self._ports, self._settings
        sent_before = sum(
            stored.state is EditionState.SENT for stored in ports.editions.newest(settings.newsletter, 1000)
        )
        reason = held_by(
            stories=len(composed.edition.items),
            min_stories=settings.min_stories,
            findings=composed.findings,
            approval=settings.approval,
            sent_before=sent_before,
        )
        state = EditionState.HELD if reason else EditionState.READY
        return ports.editions.save(composed.edition, composed.renditions, state, reason, now=ports.clock())

    def _send(self, stored: StoredEdition, log: _Log) -> str | None:
        """Plan and deliver; returns what stopped the sender before the end, if anything did."""
        ports, edition = self._ports, stored.edition
        if edition is None:
            return None
        if stored.state is EditionState.READY:
            planned = self._plan(edition)
            if not any(plan.variant for plan in planned):
                log.note("deliver", notes=["nobody to send it to"], planned=0)
                return None
            missing = {plan.variant for plan in planned if plan.variant} - ports.editions.renditions(stored.id).keys()
            variants = [v for v in self._variants(edition, [p.subscriber for p in planned]) if v.key in missing]
            ports.editions.add_renditions(stored.id, self._render(edition, variants))
            ports.ledger.plan(stored.id, planned, batch_size=deliver.batch_size(ports.lanes), now=ports.clock())
            ports.editions.set_state(
                stored.id, EditionState.SENDING, None, now=ports.clock(), only_from=[EditionState.READY]
            )
        sent = self._sender(stored).run()
        counts = ports.ledger.counts(stored.id)
        log.note("deliver", notes=[sent.fault] if sent.fault else (), **counts)
        is_open = ports.ledger.next_due(stored.id) or ports.ledger.leased_until(stored.id)
        if not sent.fault and not is_open:
            ports.editions.set_state(
                stored.id, EditionState.SENT, None, now=ports.clock(), only_from=[EditionState.SENDING]
            )
        return sent.fault

    def _plan(self, edition: Edition) -> list[Planned]:
        """Who gets which variant, and why someone is left out."""
        planned = []
        for reader in self._ports.subscribers.reached(self._settings.newsletter):
            variant = compose.choose_variant(edition, reader.topics)
            reason = None if variant else "none of the reader's topics has a story today"
            if reader.frequency != edition.cadence:
                variant, reason = None, f"the reader asked for the {reader.frequency} edition"
            send_key = self._ports.send_key(edition, reader.key)
            name = variant.key if variant else None
            planned.append(Planned(subscriber=reader, send_key=send_key, variant=name, reason=reason))
        return planned

    def _letterhead(self, stored: StoredEdition | None) -> Letterhead:
        """Dated when the edition became ready, so that every try and the preview give the same bytes."""
        settings = self._settings
        return Letterhead(
            sender=settings.sender,
            reply_to=settings.reply_to,
            list_id=settings.list_id,
            list_name=settings.name,
            dated_at=(stored.dated_at if stored else None) or self._ports.clock(),
        )

    def _sender(self, stored: StoredEdition) -> deliver.Sender:
        ports = self._ports

        def may_go_on() -> bool:
            return ports.may_go_on() and ports.editions.state(stored.id) is EditionState.SENDING

        mailing = deliver.Mailing(
            edition=stored.id,
            rendition=_Renditions(ports.editions, stored.id),
            letterhead=self._letterhead(stored),
            unsubscribe_url=ports.unsubscribe_url,
        )
        return deliver.Sender(
            mailing,
            ports.ledger,
            ports.lanes,
            ports.owner,
            clock=ports.clock,
            wait=ports.wait,
            may_go_on=may_go_on,
            on_progress=ports.on_progress,
        )


class _Renditions:
    """An edition's renditions by variant; read again when another process has planned one that was not there before."""

    def __init__(self, editions: EditionStore, edition: int) -> None:
        self._editions = editions
        self._edition = edition
        self._known = editions.renditions(edition)

    def __call__(self, variant: str) -> Rendition:
        if variant not in self._known:
            self._known = self._editions.renditions(self._edition)
        return self._known[variant]


def _may_compose_again(stored: StoredEdition) -> bool:
    """Whether a new attempt may replace it: what a machine held may be better now, what a person held stays."""
    if stored.edition and stored.edition.is_revised and stored.state is EditionState.HELD:
        return False
    if stored.state is EditionState.HELD:
        return Held.of(stored.reason).is_by_machine
    return stored.state in {EditionState.DRAFT, EditionState.MISSED}
