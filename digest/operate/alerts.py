"""The operator is told of each incident once, by mail and by webhook; and somebody else is told that all is well.

A dead process tells of nothing: who calls the heartbeat's address after each good edition is missed when it does not.
"""

import hashlib
import platform
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from digest.alerting import write_incident_alert
from digest.decisions import alert_addresses
from digest.models import ARRIVED, EditionState, Report
from digest.operate.calling import call
from digest.operate.events import mail_operator
from digest.operate.incidents import Incident, Kind, find_incidents, read_machine, read_standing

if TYPE_CHECKING:
    from digest.app import App

_GOOD_SHARE: Final = 0.95  # of those who were sent it: dead addresses are in every list
_SAID: Final = ("held", "empty", "stopped", "failed")  # in the log already, by the run that met it
_FAILED: Final = ("unknown", "refused", "bounced", "dropped", "complained")
_WEBHOOK: Final = "webhook"
_UNKNOWN: Final = "-"  # the scope of what nothing is known of here


def tell_incidents(app: "App") -> str | None:
    """Look, and tell what is new; lines for the log. Raises StoreError."""
    now, scopes = _now(app), find_scopes(app)
    return _tell_found(app, find_incidents(read_standing(app, now)), scopes, {"", *scopes.values()} - {_UNKNOWN}, now)


def tell_of_machine(app: "App") -> str | None:
    """The same of what is this machine's alone, where another looks for the rest. Raises StoreError."""
    scopes = find_scopes(app)
    return _tell_found(app, find_incidents(read_machine(app)), scopes, {scopes["journal"]}, _now(app))


def _now(app: "App") -> datetime:
    return app.store.clock() if app.is_on_system_clock else app.clock()


def _tell_found(
    app: "App", found: Sequence[Incident], scopes: Mapping[Kind, str], judged: Collection[str], now: datetime
) -> str | None:
    """Of what was found, what is new; `judged` are the scopes of which nothing else is the case."""
    store, slug = app.store, app.config.newsletter.slug
    incidents = {_name(one, scopes): one for one in found}
    seen = {name: scopes.get(one.kind, "") for name, one in incidents.items()}
    since = store.incidents.observe(slug, seen, scopes=judged, now=now)
    told = []
    for name, one in incidents.items():
        if now - since[name] < one.after:
            continue
        before = store.incidents.take(slug, name, now=now)
        if before is None:
            continue
        faults, ways = _tell(app, name, one, since[name], before)
        store.incidents.settle(slug, name, is_told=not faults, now=now)
        if ways or one.kind not in _SAID:
            told.append(f"digest: {one.words}" + "".join(f" {fault}" for fault in faults))
    return "\n".join(told) or None


def find_scopes(app: "App") -> Mapping[Kind, str]:
    """Who can judge of an incident of a kind, where that is not everybody who is at the same database.

    The journal is a file of this machine; which sources there are, and whether there is a queue, is in a configuration,
    and others may have another: what they find there passes or lasts without regard to what is found here.
    """
    place = hashlib.blake2b(str(app.config.path).encode(), digest_size=4).hexdigest()
    sources = " ".join(sorted(table.id for table in app.config.sources))
    return {
        "journal": f"{platform.node()[:200]} {place}",
        "sources": f"sources {hashlib.blake2b(sources.encode(), digest_size=8).hexdigest()}",
        "tasks": "queue" if app.queue else _UNKNOWN,
    }


def _name(incident: Incident, scopes: Mapping[Kind, str]) -> str:
    """Its identity. Pure."""
    return f"{incident.name} {scopes[incident.kind]}" if incident.kind in scopes else incident.name


def _tell(app: "App", name: str, incident: Incident, since: datetime, before: Collection[str]) -> tuple[list[str], int]:
    """What went wrong, and by how many ways it was to be told, but for `before`. Where there is none, the log tells."""
    alerts, faults, ways = app.config.alerts, [], 0
    store, slug = app.store.incidents, app.config.newsletter.slug
    rendition = write_incident_alert(app.config.newsletter.name, incident.words, incident.command)
    for email in () if incident.is_mailed else alert_addresses(app.config):
        # One by one: where one address is refused again and again, the others are told once all the same.
        way = f"mail:{hashlib.blake2b(email.encode(), digest_size=6).hexdigest()}"
        if way in before:
            continue
        ways += 1
        key = hashlib.blake2b(f"{name} {since.isoformat()} {way}".encode(), digest_size=16).hexdigest()
        if fault := mail_operator(app, rendition, key=f"incident-{key}", to=[email]):
            faults.append(f"No alert was mailed: {fault}")
        else:
            store.note(slug, name, way)
    if alerts.webhook and _WEBHOOK not in before:
        ways += 1
        if fault := call(alerts.webhook, write_payload(app.config.newsletter.name, incident, since), wait=app.wait):
            faults.append(f"The webhook was not told: {fault}")
        else:
            store.note(slug, name, _WEBHOOK)
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
    arrived = sum(report.deliveries.get(state, 0) for state in ARRIVED)
    return failed + arrived == 0 or arrived >= _GOOD_SHARE * (failed + arrived)


def beat(app: "App", report: Report) -> str | None:
    """Call the heartbeat's address after a good edition; a line for the log where nobody answered."""
    url = app.config.alerts.heartbeat
    if url is None or not is_good(report):
        return None
    fault = call(url, wait=app.wait)
    return f"digest: the heartbeat was not heard: {fault}" if fault else None
