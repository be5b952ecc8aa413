"""Everything that a run needs, tried one after the other: what is right, what is not, and what to do about it."""

import zoneinfo
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from digest.audience.addresses import is_reserved, parse_address
from digest.audience.canary import is_aligned, normalize_domain
from digest.config.delivering import SmtpTable
from digest.decisions import is_rehearsal
from digest.due import find_zone
from digest.errors import DigestError
from digest.mailing import try_subject
from digest.operate.check.checked import Checked, attempt, words_of
from digest.operate.check.machine import check_machine, find_zone_data
from digest.operate.check.mail_domain import check_mail_domain
from digest.operate.check.sources import check_sources
from digest.operate.inbox import check_inbox
from digest.operate.lateness import check_rate
from digest.operate.presence import find_wrong_clock
from digest.operate.segments import count_segments
from digest.records import make_ask
from digest.upkeep import check_store

if TYPE_CHECKING:
    from digest.app import App
    from digest.ports import CanaryMailbox


_MOST_NAMED = 5


def check_everything(app: "App") -> list[Checked]:
    """Every check, in the order in which a run would meet them. Sends nothing and keeps nothing."""
    return [
        Checked(subject="configuration", result="ok", message=str(app.config.path)),
        *_check_newsletter(app),
        *_check_database(app),
        *check_machine(app),
        attempt("templates", lambda: app.renderer.check()),
        attempt("subject", lambda: try_subject(app.config.newsletter, app.today(), app.clock())),
        *_check_segments(app),
        *_check_zones(app),
        *_check_weekly(app),
        *check_sources(app),
        *_check_summarizers(app),
        *(attempt(f"transport {lane}", check) for lane, check in _transport_checks(app)),
        *_check_rate(app),
        *_check_alignment(app),
        *_check_domain(app),
        *_check_events(app),
        *_check_canary(app),
        *([attempt("inbox", lambda: check_inbox(app))] if app.config.inbox.kind != "none" else []),
    ]


def _check_database(app: "App") -> Iterator[Checked]:
    yield attempt(
        "database", lambda: "; ".join(f"{key} {value}" for key, value in check_store(app.config, app.store).items())
    )
    try:
        risk = app.store.find_risk()
    except DigestError:
        return  # which the line before says
    yield from _check_clock(app)
    if risk:
        yield Checked(subject="durability", result="warning", message=risk, remedy="see docs/postgresql.md")


def _check_clock(app: "App") -> Iterator[Checked]:
    try:
        fault, ahead = find_wrong_clock(app)
    except DigestError:
        return  # which the database's line says
    if fault:
        yield Checked(subject="clock", result="failure", message=fault)
    elif ahead is not None:
        yield Checked(subject="clock", result="ok", message=f"as the database server's, within {abs(ahead):.0f} s")


def _check_newsletter(app: "App") -> Iterator[Checked]:
    newsletter = app.config.newsletter
    sender = parse_address(newsletter.sender)
    if is_reserved(_find_sender_domain(app)):
        yield Checked(
            subject="sender",
            result="warning",
            message=f"{sender.email} is under a name reserved for tests and examples",
            remedy="write your own address before mailing real readers",
        )
    if not newsletter.postal_address:
        yield Checked(
            subject="postal_address",
            result="warning",
            message="there is none",
            remedy="many countries' laws ask for one in every newsletter",
        )
    if not is_rehearsal(app.config):
        try:
            way_out = app.links.unsubscribe_url("0" * 32)
        except DigestError:
            return  # its key lies in the database, whose own check says it
        broken = app.network.probe_unsubscribe(way_out)
        yield Checked(
            subject="base_url",
            result="failure" if broken else "ok",
            message=broken or f"{newsletter.base_url} answers the readers' way out",
            remedy="run `digest serve` behind HTTPS at that address" if broken else None,
        )
        if newsletter.base_url.startswith("https://") and not app.config.web.proxies:
            yield Checked(
                subject="proxies",
                result="warning",
                message="base_url is https, so a proxy stands before `digest serve`, and [web] proxies names none",
                remedy="name its network, or all visitors count as one in the limits; docs/serving.md says how",
            )


def _check_segments(app: "App") -> Iterator[Checked]:
    try:
        counted = count_segments(app)
    except DigestError:
        return  # the database's own check says it
    for one in counted:
        subject, message = f"segment {one.segment}", f"{one.members} subscribers, {one.active} of them active"
        if one.active:
            yield Checked(subject=subject, result="ok", message=message)
            continue
        is_chosen = app.config.edition.segment == one.segment
        message += ": nobody gets the edition" if is_chosen else ""
        yield Checked(subject=subject, result="warning", message=message, remedy="see `digest subscribers list`")


def _check_zones(app: "App") -> Iterator[Checked]:
    """Whether this machine knows by whose clocks readers are to be mailed."""
    if not app.config.schedule.per_subscriber_timezone:
        return
    try:
        counted = app.store.subscribers.zones(app.config.newsletter.slug)
    except DigestError:
        return  # the database's own check says it
    unknown = {name: number for name, number in counted.items() if name and find_zone(name) is None}
    data = find_zone_data(zoneinfo.TZPATH)
    if not unknown:
        known = sum(name is not None for name in counted)
        told = f"active readers chose {known}, all of them known; {data}"
        yield Checked(subject="time zones", result="ok", message=told)
        return
    most = sorted(unknown.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f'"{name}" ({number})' for name, number in most[:_MOST_NAMED])
    more = f" and {len(most) - _MOST_NAMED} more" if len(most) > _MOST_NAMED else ""
    own = app.config.schedule.timezone
    yield Checked(
        subject="time zones",
        result="warning",
        message=f"this machine does not know the zones that active readers chose: {named}{more};"
        f" those {sum(unknown.values())} are mailed by the clock of {own}; the data are {data}",
        remedy=f"bring {data.place} up to date, or correct them: find them with `digest subscribers list --json`",
    )


def _check_weekly(app: "App") -> Iterator[Checked]:
    """Whether readers wait for an edition that is never made."""
    if app.config.schedule.weekly is not None:
        return
    try:
        has_weekly = app.store.subscribers.has_weekly(app.config.newsletter.slug)
    except DigestError:
        return  # the database's own check says it
    if has_weekly:
        yield Checked(
            subject="weekly edition",
            result="warning",
            message='active readers chose weekly, and [schedule] weekly is "off": they get nothing on schedule',
            remedy='name its day there, such as "sun", or find them with `digest subscribers list --json`',
        )


def _check_summarizers(app: "App") -> Iterator[Checked]:
    """Those that need a service; the extract needs none."""
    try:
        store = app.store
    except DigestError:
        return  # the database's own check says it
    try:
        summarizers = app.summarizers(store)
    except DigestError as error:
        yield Checked(subject="summarizer", result="failure", message=words_of(error), remedy=error.remedy)
        return
    for summarizer in summarizers:
        if check := getattr(summarizer, "check", None):
            yield attempt(f"summarizer {app.config.summarizer.kind}", check)


def _check_rate(app: "App") -> Iterator[Checked]:
    """Whether everybody can be mailed before the edition is too old."""
    try:
        found = check_rate(app)
    except DigestError:
        return  # the database's own check says it, or the transport's
    if found:
        result, message, remedy = found
        yield Checked(subject="rate", result=result, message=message, remedy=remedy)


def _check_alignment(app: "App") -> Iterator[Checked]:
    """Whether signatures of ours speak for the domain that readers see (RFC 7489 §3.1.1)."""
    sender = _find_sender_domain(app)
    for table in app.config.transports:
        if not isinstance(table, SmtpTable) or not table.dkim:
            continue
        if not is_aligned(normalize_domain(table.dkim.domain), sender):
            message = f"signed for {table.dkim.domain}, while the sender is of {sender}: DMARC does not count that"
            remedy = "name the domain of [newsletter] sender, or one above it, in [transport.dkim]"
            yield Checked(subject="dkim", result="warning", message=message, remedy=remedy)


def _check_domain(app: "App") -> Iterator[Checked]:
    """What the DNS tells receivers of the sender's domain."""
    through_sendgrid = any(table.kind == "sendgrid" for table in app.config.transports)
    ask = make_ask(app.config.check.servers)
    yield from check_mail_domain(_find_sender_domain(app), through_sendgrid=through_sendgrid, ask=ask)


def _find_sender_domain(app: "App") -> str:
    """As the DNS has it."""
    return normalize_domain(parse_address(app.config.newsletter.sender).email)


def _check_events(app: "App") -> Iterator[Checked]:
    """Whether what the provider says later is taken."""
    if not any(table.kind == "sendgrid" for table in app.config.transports):
        return
    newsletter = app.config.newsletter
    if app.config.bounces.sendgrid_key:
        address = f"{newsletter.base_url.rstrip('/')}/{newsletter.slug}/events/sendgrid"
        yield Checked(subject="events", result="ok", message=f"SendGrid's signed events are taken at {address}")
        return
    yield Checked(
        subject="events",
        result="warning",
        message="SendGrid's events are not taken: bounces and complaints stay unknown here",
        remedy="switch on its signed event webhook, and set [bounces] sendgrid_key; docs/events.md says how",
    )


def _check_canary(app: "App") -> Iterator[Checked]:
    """Whether the seeds' mailboxes can be read. By number: their addresses are nobody's business."""
    try:
        mailboxes = app.canary
    except DigestError as error:
        yield Checked(subject="canary", result="failure", message=words_of(error), remedy=error.remedy)
        return
    for number, mailbox in enumerate(mailboxes, 1):

        def check(mailbox: "CanaryMailbox" = mailbox) -> str:
            with closing(mailbox.open()) as reader:
                return f"{len(mailbox.seeds)} seeds; {reader.check()}"

        yield attempt("canary" if len(mailboxes) == 1 else f"canary {number}", check)
    if mailboxes and is_rehearsal(app.config) and not all(mailbox.is_local for mailbox in mailboxes):
        remedy = "name a [transport] that mails, once you are ready"
        message = "none is sent: this is a rehearsal, whose mail stays on this machine"
        yield Checked(subject="canary", result="warning", message=message, remedy=remedy)


def _transport_checks(app: "App") -> list[tuple[str, Callable[[], str]]]:
    try:
        return [(lane.transport.name, lane.transport.check) for lane in app.lanes]
    except DigestError as error:
        fault = error

        def fail() -> str:
            raise fault

        return [(app.config.transport.kind, fail)]
