"""What the operator is told by mail: an edition that a machine holds or that waits for them, and why. Once."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape

from digest.models import EditionState, Finding, Rendition, Report, StoredEdition
from digest.reporting import Held

_MOST = 20  # findings in a mail; the rest is counted
_DECIDE = "Read it, and approve or hold it"
_YOURS = "The link is yours: whoever has it may decide on this edition. It works for two days at least."
_BUTTON = (
    "display:inline-block;padding:14px 24px;border-radius:4px;background:#1d4ed8;color:#ffffff;font-weight:bold;"
    "text-decoration:none"
)

STAGE = "alert"  # as it stands in a run's report; with notes it did not go
AGAIN = timedelta(minutes=5)  # a mail that did not go is tried again


def is_news(stored: StoredEdition) -> bool:
    """Whether the operator is to be told of it: held, and not by a person, who knows. Pure."""
    return stored.state is EditionState.HELD and Held.of(stored.reason) is not Held.OPERATOR


def is_owed(last: tuple[datetime, Report] | None, stored: StoredEdition, now: datetime) -> bool:
    """Whether the newest run meant to tell of it, and could not, and that was a while ago. Pure."""
    if last is None or last[1].edition != stored.id or now - last[0] < AGAIN or not is_news(stored):
        return False
    return any(stage.stage == STAGE and stage.notes for stage in last[1].stages)


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
    day, waits = stored.date, Held.of(stored.reason) is Held.APPROVAL
    # A story of today may be in the subject and the findings: their words are text here, and nothing else.
    if waits:
        state, first = "waits for approval", f"The edition of {day} waits for approval and goes to nobody before."
    else:
        state, first = "is held", f"The edition of {day} is held and goes to nobody: {stored.reason}."
    what = [
        ("See it", f"digest preview --on {day}"),
        *([] if waits else [("Mend what is wrong, and try again", f"digest run --on {day}")]),
        ("Let it go", f'digest editions approve {day} --by "Your name"')
        if waits
        else ("Or send it as it is", f"digest editions approve {day} --force"),
    ]
    lines = [first, "", *(f"- {line}" for line in told), *([""] if told else [])]
    lines += [f"{_DECIDE}:", url, "", _YOURS, "", "Or on the command line:", ""]
    html = _write_html(name, state, first, told, what, url=url)
    text = _write_text(lines, what)
    return Rendition(variant="alert", subject=f"[{name}] The edition of {day} {state}", html=html, text=text)


def _write_text(lines: Sequence[str], what: Sequence[tuple[str, str]]) -> str:
    return "\n".join([*lines, *(f"{label}:\n    {command}" for label, command in what)]) + "\n"


def _write_html(
    name: str, heading: str, first: str, told: Sequence[str], what: Sequence[tuple[str, str]], *, url: str = ""
) -> str:
    """`url` is where to decide, if there is something to decide on."""
    items = "".join(f"<li>{escape(line)}</li>" for line in told)
    button = (
        f'<p><a href="{escape(url)}" style="{_BUTTON}">{_DECIDE}</a></p>\n<p>{_YOURS}</p>\n'
        "<p>Or on the command line:</p>\n"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en" dir="ltr"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(name)}</title></head>\n"
        '<body style="font:16px/1.5 sans-serif">\n'
        f'<h1 style="font-size:20px">{escape(name)}: {escape(heading)}</h1>\n<p>{escape(first)}</p>\n'
        + (f"<ul>{items}</ul>\n" if items else "")
        + (button if url else "")
        + "".join(f"<p>{escape(label)}:<br><code>{escape(command)}</code></p>\n" for label, command in what)
        + "</body></html>\n"
    )
