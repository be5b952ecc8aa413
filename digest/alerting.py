"""What the operator is told by mail, once: an edition that is held, waits or has stopped; a wave of refusals."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from html import escape

from digest.models import ARRIVED, UNSETTLED, EditionState, Finding, Rendition, Report, StoredEdition, Wave, Weight
from digest.reporting import Held

_MOST = 20  # findings in a mail; the rest is counted
_DECIDE = "Read it, and approve or hold it"
_YOURS = "The link is yours: whoever has it may decide on this edition. It works for two days at least."
_BUTTON = (
    "display:inline-block;padding:14px 24px;border-radius:4px;background:#1d4ed8;color:#ffffff;font-weight:bold;"
    "text-decoration:none"
)


_WHY_STOPPED = {"policy": "our mail is not wanted", "breakers": "too much of it fails"}  # by a reason's first word

STAGE = "alert"  # as it stands in a run's report; with notes it did not go


AGAIN = timedelta(minutes=5)  # a mail that did not go is tried again


def is_news(stored: StoredEdition) -> bool:
    """Whether the operator is to be told of it: held, and not by a person, who knows. Pure."""
    return stored.state is EditionState.HELD and Held.of(stored.reason) is not Held.OPERATOR


def is_stopped_by(stored: StoredEdition, fault: str) -> bool:
    """Whether the sender itself stopped the edition, for that reason, and not a person. Pure."""
    return stored.state is EditionState.STOPPED and stored.reason == fault


def has_stopped_itself(stored: StoredEdition) -> bool:
    """Whether a sender stopped the edition, and not a person. Pure."""
    word, colon, _ = (stored.reason or "").partition(":")
    return stored.state is EditionState.STOPPED and bool(colon) and word in _WHY_STOPPED


def is_owed(last: tuple[datetime, Report] | None, stored: StoredEdition, now: datetime) -> bool:
    """Whether the newest run meant to tell of it, and could not, and that was a while ago. Pure."""
    if has_stopped_itself(stored):
        if stored.changed_at and (last is None or last[0] < stored.changed_at):
            return now - stored.changed_at >= AGAIN  # the run that stopped it was killed before it told anybody
    elif not is_news(stored):
        return False
    if last is None or last[1].edition != stored.id or now - last[0] < AGAIN:
        return False
    return is_untold(last[1], stored)


def is_untold(last: Report | None, stored: StoredEdition) -> bool:
    """Whether the newest run meant to tell that it is held, or that the sender stopped it, and could not. Pure."""
    if last is None or last.edition != stored.id:
        return False
    is_same_stop = stored.state is EditionState.STOPPED and (stored.reason or "") in last.message
    return (is_news(stored) or is_same_stop) and any(stage.stage == STAGE and stage.notes for stage in last.stages)


def is_told(last: Report | None, stored: StoredEdition) -> bool:
    """Whether the newest run before this one told of the same edition for the same reason, or knew that. Pure."""
    if last is None or last.edition != stored.id or (stored.reason or "") not in last.message:
        return False
    return any(stage.stage == STAGE and not stage.notes for stage in last.stages)


def write_alert(name: str, stored: StoredEdition, findings: Sequence[Finding], *, url: str) -> Rendition:
    """The mail about an edition that is held; `url` is its reader's own way to decide on it. Pure."""
    failed = [finding for finding in findings if finding.severity == "fail"]
    told = [f"{one.rule}: {one.message}" + (f" ({one.where})" if one.where else "") for one in failed[:_MOST]]
    if len(failed) > _MOST:
        told.append(f"and {len(failed) - _MOST} more")
    which, kind = stored.reference, Held.of(stored.reason)
    commands = [("See it", f"digest preview {stored.options}")]
    if kind is Held.APPROVAL:
        state, first = "waits for approval", f"The {stored.title} waits for approval and goes to nobody before."
        commands += [("Let it go", f'digest editions approve {which} --by "Your name"')]
    elif kind is Held.CANARY:
        state, first = (
            "is held by its canary",
            f"The {stored.title} is held, and no reader gets it. Its canary found:",
        )
        told = [*(stored.reason or "").removeprefix(f"{Held.CANARY}: ").split("; "), *told]
        commands += [
            ("See whether the seeds' mailboxes can be read", "digest check"),
            (
                "Mend what is wrong, and send another canary; the edition goes when that passes",
                f"digest run {stored.options}",
            ),
            ("Or send it as it is, without another canary", f"digest editions approve {which} --force"),
        ]
    else:
        state, first = "is held", f"The {stored.title} is held and goes to nobody: {stored.reason}."
        commands += [
            ("Mend what is wrong, and try again", f"digest run {stored.options}"),
            ("Or send it as it is", f"digest editions approve {which} --force"),
        ]
    html = _write_html(name, f"the {stored.title} {state}", first, told, commands, url=url)
    text = _write_text(first, told, commands, url=url)
    return Rendition(variant="alert", subject=f"[{name}] The {stored.title} {state}", html=html, text=text)


def write_stop_alert(name: str, stored: StoredEdition, counts: Mapping[str, int]) -> Rendition:
    """The mail about an edition that the sender itself has stopped. Pure."""
    which, (word, _, words) = stored.reference, (stored.reason or "").partition(": ")
    why = _WHY_STOPPED.get(word, "")
    words = words if why else stored.reason or ""
    state = "has stopped" + (f": {why}" if why else "")
    first = f"The {stored.title} {state}. It goes to nobody else until you let it go on."
    told = [words, _count_readers(counts)]
    commands = [
        ("See who has it, and what was answered", f"digest editions show {which} --deliveries"),
        ("See who has not", f"digest editions show {which} --missing"),
        ("Once the cause is mended, try a message to yourself", f"digest send-test YOUR@ADDRESS {stored.options}"),
        ("Then let it go on; nobody gets it twice", f"digest editions resume {which}"),
        ("And where no `digest serve` runs, send the rest of it", f"digest run {stored.options}"),
    ]
    return Rendition(
        variant="alert",
        subject=f"[{name}] The {stored.title} {state}",
        html=_write_html(name, f"the {stored.title} {state}", first, told, commands),
        text=_write_text(first, told, commands),
    )


def _count_readers(counts: Mapping[str, int]) -> str:
    """How far it came, in words for people. Pure."""
    kinds = {
        "have it": ARRIVED,
        "wait for it": UNSETTLED,
        "may have it or not": ("unknown",),
        "were refused": ("refused",),
        "bounced": ("bounced", "dropped"),
        "complained": ("complained",),
        "were left out": ("skipped",),
    }
    told = [(what, sum(counts.get(state, 0) for state in states)) for what, states in kinds.items()]
    return "Of its readers " + ", ".join(f"{number:,} {what}" for what, number in told if number or what == "have it")


def write_wave_alert(name: str, wave: Wave) -> Rendition:
    """The mail about refusals that came too much at once to be true. Pure."""
    says = "that there is no such mailbox" if wave.weight is Weight.HARD else "that our mail is not wanted"
    first = (
        f"{wave.domain} said {says}, of {wave.readers} readers, {wave.events} times, "
        f"from {wave.first_at:%Y-%m-%d %H:%M} to {wave.last_at:%H:%M} UTC."
    )
    told = [
        "That many at once are rarely true: more often a server there is broken, or refuses all that we send.",
        "They are set aside, and so is what follows: nobody is mailed less for them.",
    ]
    commands = [
        ("See them", "digest events list --effect quarantined"),
        ("If it is true, let them count", f"digest events apply --domain {wave.domain}"),
        ("Undo what such refusals did before", f"digest subscribers restore --since INSTANT --domain {wave.domain}"),
    ]
    return Rendition(
        variant="alert",
        subject=f"[{name}] {wave.domain} refuses {wave.readers} readers at once",
        html=_write_html(name, "a wave of refusals", first, told, commands),
        text=_write_text(first, told, commands),
    )


def write_incident_alert(name: str, words: str, command: str) -> Rendition:
    """The mail about something that goes wrong while nobody looks. Pure."""
    commands = [("See it, or mend it", command), ("How all of it does", "digest status")]
    return Rendition(
        variant="alert",
        subject=f"[{name}] {words[:120]}",
        html=_write_html(name, "something needs you", words, (), commands),
        text=_write_text(words, (), commands),
    )


def _write_text(first: str, told: Sequence[str], commands: Sequence[tuple[str, str]], *, url: str | None = None) -> str:
    lines = [first, "", *(f"- {line}" for line in told), *([""] if told else [])]
    if url:
        lines += [f"{_DECIDE}:", url, "", _YOURS, "", "Or on the command line:", ""]
    return "\n".join([*lines, *(f"{what}:\n    {command}" for what, command in commands)]) + "\n"


def _write_html(
    name: str,
    heading: str,
    first: str,
    told: Sequence[str],
    commands: Sequence[tuple[str, str]],
    *,
    url: str | None = None,
) -> str:
    """A story of today may be in the subject and the findings: their words are text here, and nothing else."""
    items = "".join(f"<li>{escape(line)}</li>" for line in told)
    way = (
        f'<p><a href="{escape(url)}" style="{_BUTTON}">{_DECIDE}</a></p>\n<p>{_YOURS}</p>\n'
        "<p>Or on the command line:</p>\n"
        if url
        else ""
    )
    return (
        '<!DOCTYPE html>\n<html lang="en" dir="ltr"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(name)}</title></head>\n"
        '<body style="font:16px/1.5 sans-serif">\n'
        f'<h1 style="font-size:20px">{escape(name)}: {escape(heading)}</h1>\n<p>{escape(first)}</p>\n'
        + (f"<ul>{items}</ul>\n" if items else "")
        + way
        + "".join(f"<p>{escape(what)}:<br><code>{escape(command)}</code></p>\n" for what, command in commands)
        + "</body></html>\n"
    )
