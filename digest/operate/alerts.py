"""The operator is told of each incident once, by mail and by webhook; and somebody else is told that all is well.

A dead process tells of nothing: who calls the heartbeat's address after each good edition is missed when it does not.
"""

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Final

from digest.alerting import write_incident_alert
from digest.decisions import alert_addresses
from digest.models import EditionState, Report
from digest.operate.calling import call
from digest.operate.events import mail_operator
from digest.operate.incidents import Incident, find_incidents, read_standing

if TYPE_CHECKING:
    from digest.app import App

_GOOD_SHARE: Final = 0.95  # of those who were sent it: dead addresses are in every list
_SAID: Final = ("held", "empty", "stopped", "failed")  # in the log already, by the run that met it
_FAILED: Final = ("unknown", "refused", "bounced", "dropped", "complained")
_HAVE_IT: Final = ("accepted", "delivered")


def tell_incidents(app: "App") -> str | None:
    """Look, and tell what is new; lines for the log. Raises StoreError."""
    store, slug = app.store, app.config.newsletter.slug
    now = store.clock() if app.is_on_system_clock else app.clock()
    incidents = {one.name: one for one in find_incidents(read_standing(app, now))}
    since = store.incidents.observe(slug, incidents.keys(), now=now)
    told = []
    for name, one in incidents.items():
        if now - since[name] < one.after or not store.incidents.take(slug, name, now=now):
            continue
        faults, ways = _tell(app, one, since[name])
        if faults and len(faults) == ways:
            store.incidents.give_back(slug, name)
        if ways or one.kind not in _SAID:
            told.append(f"digest: {one.words}" + "".join(f" {fault}" for fault in faults))
    return "\n".join(told) or None


def _tell(app: "App", incident: Incident, since: datetime) -> tuple[list[str], int]:
    """What went wrong, and by how many ways it was to be told. Where there is none, the log tells."""
    alerts, faults, ways = app.config.alerts, [], 0
    if alert_addresses(app.config) and not incident.is_mailed:
        ways += 1
        rendition = write_incident_alert(app.config.newsletter.name, incident.words, incident.command)
        key = hashlib.blake2b(f"{incident.name} {since.isoformat()}".encode(), digest_size=16).hexdigest()
        if fault := mail_operator(app, rendition, key=f"incident-{key}"):
            faults.append(f"No alert was mailed: {fault}")
    if alerts.webhook:
        ways += 1
        if fault := call(alerts.webhook, write_payload(app.config.newsletter.name, incident, since), wait=app.wait):
            faults.append(f"The webhook was not told: {fault}")
    return faults, ways


def write_payload(newsletter: str, incident: Incident, since: datetime) -> dict[str, object]:
    """What the webhook hears. `text` and `content` are what chat programs show. Pure."""
    line = f"{newsletter}: {incident.words} See it: {incident.command}"
    return {
        "newsletter": newsletter,
        "kind": incident.kind,
        "words": incident.words,
        "command": incident.command,
        "since": since.isoformat(),
        "text": line,
        "content": line,
    }


def is_good(report: Report) -> bool:
    """Whether an edition went out now, and to nearly all. Pure."""
    if report.state is not EditionState.SENT or all(stage.stage != "deliver" for stage in report.stages):
        return False
    failed = sum(report.deliveries.get(state, 0) for state in _FAILED)
    arrived = sum(report.deliveries.get(state, 0) for state in _HAVE_IT)
    return failed + arrived == 0 or arrived >= _GOOD_SHARE * (failed + arrived)


def beat(app: "App", report: Report) -> str | None:
    """Call the heartbeat's address after a good edition; a line for the log where nobody answered."""
    url = app.config.alerts.heartbeat
    if url is None or not is_good(report):
        return None
    fault = call(url, wait=app.wait)
    return f"digest: the heartbeat was not heard: {fault}" if fault else None
