"""From the sources to an edition that nobody has got yet: every stage up to preflight, called in order.

    sources ─ collect ─> entries ─ extract ─> articles ─ cluster ─> stories ─ recall ─> new ones ─ rank ─> in order
        ─ summarize ─> items ─ compose ─> edition ─ render ─> renditions ─ preflight ─> findings

It keeps only the entries and their pages' texts, which are as good tomorrow. Whether the edition is kept, and sent,
is for the pipeline to say.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import partial

from digest import cluster, collect, compose, extract, preflight, rank, recall, summarize
from digest.earlier import Earlier
from digest.log import Log
from digest.models import Budget, SourceReport
from digest.ports import Composed, Ports, Settings
from digest.rendering import Rendering
from digest.sending import Sending


class Composing:
    """One newsletter's way from its sources to an edition."""

    def __init__(self, settings: Settings, ports: Ports, rendering: Rendering, sending: Sending) -> None:
        """Nothing happens until `compose`; `sending` knows for whom there are to be variants."""
        self._settings = settings
        self._ports = ports
        self._rendering = rendering
        self._sending = sending
        self._earlier = Earlier(ports.editions, ports.entries, settings.newsletter, settings.cadence)

    def compose(self, day: date, *, visit: bool = True, log: Log | None = None) -> Composed:
        """The edition of `day`. Without `visit`, of what is stored. Raises RenderError and StoreError."""
        settings, ports = self._settings, self._ports
        log = log or Log(ports, ports.clock())
        now = ports.clock()
        until = now - ports.settling
        since = now - settings.window
        waited: list[str] = []
        sources = self._collect(until, since, log, waited.append) if visit else ()
        if waited:  # what others brought meanwhile is of this edition, too
            ports.wait(ports.settling.total_seconds())
            until = ports.clock() - ports.settling
        after = ports.editions.last_cutoff(settings.newsletter, settings.cadence)
        offered = ports.entries.offered(settings.newsletter, after=after, since=since, until=until)
        extracted = extract.extract(
            offered,
            settings.profiles,
            settings.topics,
            ports.fetch_pages,
            ports.parallel,
            ports.entries.keep_page,
            since=since,
        )
        counts = {"pages": extracted.read, "without_page": extracted.wanted - extracted.read}
        log.note(
            "extract",
            notes=extracted.faults,
            entries=len(offered),
            articles=len(extracted.articles),
            **(counts if extracted.wanted else {}),
        )
        found = cluster.cluster(
            extracted.articles,
            told=self._earlier.told(day, settings.memory),
            language=settings.language,
            across_languages=settings.mix_languages,
        )
        log.note("cluster", stories=len(found), told_by_several=sum(len(story.outlets) > 1 for story in found))
        stories = recall.recall(found)
        log.note("recall", told_before=len(found) - len(stories), updates=sum(bool(s.news) for s in stories))
        ranked = rank.rank(stories, now=now, half_life=settings.half_life)[: settings.max_stories]
        log.note("rank", chosen=len(ranked))
        items = summarize.summarize(
            ranked,
            ports.summarizers,
            Budget(words=settings.words),
            language=settings.language,
            parallel=ports.in_threads,
        )
        replaced = sum(item.replaced is not None for item in items)
        by_model = sum(item.summary is not None and item.summary.kind == "llm" for item in items)
        log.note(
            "summarize",
            notes=summarize.count_replaced(items),
            **({"by_model": by_model, "fallbacks": replaced} if len(ports.summarizers) > 1 else {}),
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
            subject=partial(ports.subject, day),
            composed_at=now,
            cutoff_at=until,
            silent=self._list_silent(sources, {stored.source_id for stored in offered}),
            corrections=self._earlier.corrections(after),
        )
        log.note("compose", stories=len(edition.items), sections=len(edition.sections))
        renditions = self._rendering.render(edition, self._rendering.choose_variants(edition, self._sending.members()))
        log.note(
            "render",
            variants=len(renditions),
            bytes=max((len(r.html.encode()) for r in renditions), default=0),
        )
        findings = self._rendering.inspect(edition, renditions)
        log.note("preflight", notes=[preflight.verdict(findings)], findings=len(findings))
        return Composed(edition=edition, renditions=renditions, findings=findings, sources=tuple(sources))

    def _collect(
        self, now: datetime, since: datetime, log: Log, on_wait: Callable[[str], None]
    ) -> Sequence[SourceReport]:
        ports = self._ports
        reports = ports.network(
            lambda fetch: collect.collect(
                ports.visits(fetch),
                ports.entries,
                self._settings.newsletter,
                now=now,
                since=since,
                pacing=replace(ports.pacing, on_wait=on_wait) if ports.pacing else None,
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

    def _list_silent(self, reports: Sequence[SourceReport], heard: Collection[str]) -> list[str]:
        """Who cannot be read now, and has nothing from earlier visits here either."""
        return [self._name(one.id) for one in reports if not one.ok and not one.entries and one.id not in heard]

    def _name(self, source: str) -> str:
        return self._settings.profiles[source].title or source
