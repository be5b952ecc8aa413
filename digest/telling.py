"""What the operator is told by mail of an edition: that it is held, or that it has stopped by itself."""

from collections.abc import Sequence

from digest import alerting, aside
from digest.log import Log
from digest.models import Finding, StoredEdition
from digest.ports import Ports, Settings
from digest.rendering import Rendering


class Telling:
    """Mail to `[alerts] to`."""

    def __init__(self, settings: Settings, ports: Ports, rendering: Rendering) -> None:
        """Nothing is sent yet."""
        self._settings = settings
        self._ports = ports
        self._rendering = rendering

    def tell_of_hold(self, stored: StoredEdition, findings: Sequence[Finding], log: Log) -> None:
        """Tell the operator of a held edition; that this fails is a remark, for the edition is held either way."""
        _, last = self._ports.runs.last(self._settings.newsletter, edition=stored.id) or (None, None)
        if alerting.is_told(last, stored):
            log.note(alerting.STAGE, known=len(self._settings.alerts))
            return
        ports, now = self._ports, self._ports.clock()
        faults = []
        for number, email in enumerate(self._settings.alerts):  # each has a link of their own
            fault = aside.hand_over(
                [lane.transport for lane in ports.lanes],
                self._rendering.letterhead(stored),
                alerting.write_alert(self._settings.name, stored, findings, url=ports.approval_url(stored.id, email)),
                [email],
                key=f"alert-{stored.id}-{int(now.timestamp())}-{number}",
            )
            faults += [fault] if fault else []
        note = f"{len(faults)} of {len(self._settings.alerts)} alerts were not accepted: {faults[0]}" if faults else ""
        log.note(alerting.STAGE, notes=[note] if note else (), addresses=len(self._settings.alerts))

    def tell_of_stop(self, stored: StoredEdition, log: Log) -> None:
        """Tell the operator that an edition has stopped; that this fails is a remark.

        By each lane until one takes it: who refuses the edition may take a mail to the operator, or may not.
        """
        ports, now, settings = self._ports, self._ports.clock(), self._settings
        alert = alerting.write_stop_alert(settings.name, stored, ports.ledger.counts(stored.id))
        faults: list[str] = []
        for lane in ports.lanes:
            key = f"stop-{stored.id}-{int(now.timestamp())}"
            fault = aside.hand_over(
                [lane.transport], self._rendering.letterhead(stored), alert, settings.alerts, key=key
            )
            if fault is None:
                log.note(alerting.STAGE, addresses=len(settings.alerts))
                return
            faults.append(fault)
        log.note(
            alerting.STAGE, notes=[f"the alert was not accepted: {'; '.join(faults)}"], addresses=len(settings.alerts)
        )
