"""What the operator is told by mail, once, when it becomes so: an edition that a machine holds; a wave of refusals."""

from collections.abc import Sequence
from html import escape

from digest.models import EditionState, Finding, Rendition, Report, StoredEdition, Wave, Weight
from digest.reporting import Held

_MOST = 20  # findings in a mail; the rest is counted


STAGE = "alert"  # as it stands in a run's report; with notes it did not go


def is_held_by_machine(stored: StoredEdition) -> bool:
    """Whether the operator is to be told of it. Pure."""
    return stored.state is EditionState.HELD and Held.of(stored.reason).is_by_machine


def is_told(last: Report | None, stored: StoredEdition) -> bool:
    """Whether the newest run before this one told of the same edition for the same reason, or knew that. Pure."""
    if last is None or last.edition != stored.id or (stored.reason or "") not in last.message:
        return False
    return any(stage.stage == STAGE and not stage.notes for stage in last.stages)


def write_alert(name: str, stored: StoredEdition, findings: Sequence[Finding]) -> Rendition:
    """The mail about an edition that is held. Pure."""
    failed = [finding for finding in findings if finding.severity == "fail"]
    told = [f"{one.rule}: {one.message}" + (f" ({one.where})" if one.where else "") for one in failed[:_MOST]]
    if len(failed) > _MOST:
        told.append(f"and {len(failed) - _MOST} more")
    # A story of today may be in the subject and the findings: their words are text here, and nothing else.
    first = f"The edition of {stored.date} is held and goes to nobody: {stored.reason}."
    what = [
        ("See it", f"digest preview --on {stored.date}"),
        ("Mend what is wrong, and try again", f"digest run --on {stored.date}"),
        ("Or send it as it is", f"digest editions approve {stored.date} --force"),
    ]
    lines = [first, "", *(f"- {line}" for line in told), *([""] if told else [])]
    html = _write_html(name, "held", first, told, what)
    text = _write_text(lines, what)
    return Rendition(variant="alert", subject=f"[{name}] The edition of {stored.date} is held", html=html, text=text)


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
    what = [
        ("See them", "digest events list --effect quarantined"),
        ("If it is true, let them count", f"digest events apply --domain {wave.domain}"),
        ("Undo what such refusals did before", f"digest subscribers restore --since INSTANT --domain {wave.domain}"),
    ]
    return Rendition(
        variant="alert",
        subject=f"[{name}] {wave.domain} refuses {wave.readers} readers at once",
        html=_write_html(name, "a wave of refusals", first, told, what),
        text=_write_text([first, "", *(f"- {line}" for line in told), ""], what),
    )


def _write_text(lines: Sequence[str], what: Sequence[tuple[str, str]]) -> str:
    return "\n".join([*lines, *(f"{label}:\n    {command}" for label, command in what)]) + "\n"


def _write_html(name: str, heading: str, first: str, told: Sequence[str], what: Sequence[tuple[str, str]]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in told)
    return (
        f'<!DOCTYPE html>\n<html lang="en" dir="ltr"><head><meta charset="utf-8"><title>{escape(name)}</title></head>\n'
        '<body style="font:16px/1.5 sans-serif">\n'
        f'<h1 style="font-size:20px">{escape(name)}: {escape(heading)}</h1>\n<p>{escape(first)}</p>\n'
        + (f"<ul>{items}</ul>\n" if items else "")
        + "".join(f"<p>{escape(label)}:<br><code>{escape(command)}</code></p>\n" for label, command in what)
        + "</body></html>\n"
    )
