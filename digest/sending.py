"""A ready edition → planned, delivered, closed: the half of a run that may be interrupted anywhere and go on."""

from digest import deliver, extract, reread
from digest.log import Log
from digest.models import Edition, EditionState, Planned, Rendition, StoredEdition, Subscriber, describe_pause
from digest.ports import Ports, Settings
from digest.protocols import EditionStore
from digest.rendering import Rendering


class Sending:
    """One newsletter's editions on their way to its readers."""

    def __init__(self, settings: Settings, ports: Ports, rendering: Rendering) -> None:
        """Nothing happens until `send` or `close`."""
        self._settings = settings
        self._ports = ports
        self._rendering = rendering

    def send(self, stored: StoredEdition, log: Log) -> str | None:
        """Plan and deliver; returns what stopped the sender before the end, if anything did."""
        ports, edition = self._ports, stored.edition
        if edition is None:
            return None
        if stored.state is EditionState.READY:
            planned = self._plan(edition)
            if not any(plan.variant for plan in planned):
                log.note("deliver", notes=["nobody to send it to"], planned=0)
                return None
            self._reread(edition, log)
            missing = {plan.variant for plan in planned if plan.variant} - ports.editions.renditions(stored.id).keys()
            variants = [
                v for v in self._rendering.choose_variants(edition, [p.subscriber for p in planned]) if v.key in missing
            ]
            ports.editions.add_renditions(stored.id, self._rendering.render(edition, variants))
            ports.ledger.plan(stored.id, planned, batch_size=deliver.batch_size(ports.lanes), now=ports.clock())
            ports.editions.set_state(
                stored.id, EditionState.SENDING, None, now=ports.clock(), only_from=[EditionState.READY]
            )
        ports.on_progress(ports.ledger.counts(stored.id))  # before anything leaves, and what was done before
        sent = self._sender(stored).run()
        counts = ports.ledger.counts(stored.id)
        ports.on_progress(counts)
        log.note("deliver", notes=_describe(sent), **counts)
        is_open = ports.ledger.next_due(stored.id) or ports.ledger.leased_until(stored.id)
        if not sent.fault and not is_open:
            ports.editions.set_state(
                stored.id, EditionState.SENT, None, now=ports.clock(), only_from=[EditionState.SENDING]
            )
        return sent.fault

    def _reread(self, edition: Edition, log: Log) -> None:
        """Look at the lead pages once more, and tell what is not as it was when they were read."""
        ports = self._ports
        known = {str(stored.number): stored for stored in ports.entries.get([int(item.id) for item in edition.items])}
        found = reread.reread(edition.items, known, ports.fetch_again, extract.read_page_star, ports.parallel)
        if found.asked:
            counts = {"pages": found.asked, "read": found.read, "gone": len(found.gone), "changed": len(found.changed)}
            log.note("reread", notes=[*found.gone, *found.changed], **counts)

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

    def members(self) -> list[Subscriber]:
        """Those who get the editions now."""
        ports = self._ports
        return [reader for reader in ports.subscribers.reached(self._settings.newsletter) if ports.is_member(reader)]

    def _plan(self, edition: Edition) -> list[Planned]:
        """Who gets which variant, and why someone is left out."""
        planned, now = [], self._ports.clock()
        for reader in self._ports.subscribers.reached(self._settings.newsletter):
            variant = self._rendering.choose_variant(edition, reader)
            reason = None if variant else "none of the reader's topics has a story today"
            if reader.frequency != edition.cadence:
                variant, reason = None, f"the reader asked for the {reader.frequency} edition"
            if reader.paused_until and reader.paused_until > now:
                variant, reason = None, describe_pause(reader.paused_until)
            if not self._ports.is_member(reader):
                variant, reason = None, f'the reader is not of the segment "{self._settings.segment}"'
            send_key = self._ports.send_key(edition, reader.key)
            name = variant.key if variant else None
            planned.append(Planned(subscriber=reader, send_key=send_key, variant=name, reason=reason))
        return planned

    def _sender(self, stored: StoredEdition) -> deliver.Sender:
        ports = self._ports

        def stop_edition(reason: str) -> None:
            ports.editions.set_state(
                stored.id, EditionState.STOPPED, reason, now=ports.clock(), only_from=[EditionState.SENDING]
            )

        mailing = deliver.Mailing(
            edition=stored.id,
            rendition=_Renditions(ports.editions, stored, self._rendering),
            letterhead=self._rendering.letterhead(stored),
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
            waits_for_rates=ports.waits_for_rates,
            limits=ports.limits,
            resumed=(stored.reason or "").startswith("resumed"),
            zone=ports.zone,
        )


def _describe(sent: deliver.Sent) -> list[str]:
    """What a sender has to tell, for the report."""
    notes = [sent.fault] if sent.fault else []
    if len(sent.by_lane) > 1 or sent.fault:
        notes += [f"{name} took {count}" for name, count in sent.by_lane.items()]
    return [*notes, *(f"{why}: {count}" for why, count in sent.put_off.items())]


class _Renditions:
    """An edition's renditions by variant; read again when another process has planned one that was not there before."""

    def __init__(self, editions: EditionStore, stored: StoredEdition, rendering: Rendering) -> None:
        self._editions = editions
        self._stored = stored
        self._rendering = rendering
        self._known: dict[str, Rendition] = {}

    def __call__(self, variant: str) -> Rendition:
        if variant not in self._known:
            kept, edition = self._editions.renditions(self._stored.id), self._stored.edition
            self._known = {
                name: self._rendering.as_mailed(edition, rendition) if edition else rendition
                for name, rendition in kept.items()
            }
        return self._known[variant]
