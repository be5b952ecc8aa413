"""Why an edition is held, and what a run says of itself."""

from datetime import UTC, date, datetime, timedelta

import pytest

from digest.cli.output import write_stage
from digest.models import EditionState, Finding, Report, SourceReport, StageReport, StoredEdition
from digest.reporting import Held, Wait, describe, describe_span, held_by

FAIL = Finding(rule="size", severity="fail", message="the HTML has 120,000 bytes")
WARN = Finding(rule="alt", severity="warn", message="a picture without words")


def hold(**changes: object) -> str | None:
    fields = {"stories": 5, "min_stories": 3, "findings": [], "approval": "none", "sent_before": 0}
    return held_by(**fields | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "kind", "by_machine"),
    [
        ({"stories": 2}, Held.FEW_STORIES, True),
        ({"findings": [WARN, FAIL]}, Held.PREFLIGHT, True),
        ({"approval": "required"}, Held.APPROVAL, False),
        ({"approval": "first:3", "sent_before": 2}, Held.APPROVAL, False),
    ],
)
def test_what_holds_an_edition_is_named(changes: dict[str, object], kind: Held, by_machine: bool) -> None:
    reason = hold(**changes)
    assert Held.of(reason) is kind
    assert kind.is_by_machine is by_machine


@pytest.mark.parametrize("changes", [{}, {"findings": [WARN]}, {"approval": "first:3", "sent_before": 3}])
def test_nothing_holds_a_sound_edition(changes: dict[str, object]) -> None:
    assert hold(**changes) is None


def test_an_unknown_reason_is_a_persons() -> None:
    assert Held.of("because I say so") is Held.OPERATOR
    assert not Held.of(None).is_by_machine


def report(state: EditionState, **changes: object) -> Report:
    stored = StoredEdition(
        id=1,
        newsletter="m",
        cadence="daily",
        date=date(2026, 3, 2),
        state=state,
        reason=changes.pop("reason", None),  # type: ignore[arg-type]
        dated_at=None,
        sent_at=datetime(2026, 3, 2, 7, 1, tzinfo=UTC),
        edition=None,
    )
    fields: dict[str, object] = {
        "sources": (), "stages": (), "findings": (), "deliveries": {}, "fault": None, "sending": True, "already": False
    }  # fmt: skip
    return describe(stored, **fields | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "changes", "status", "says"),
    [
        (EditionState.SENT, {"deliveries": {"accepted": 3}}, "done", "3 messages accepted"),
        (EditionState.SENT, {"deliveries": {"accepted": 1, "skipped": 1}}, "done", "1 message accepted"),
        (EditionState.SENT, {"already": True}, "done", "already sent at 2026-03-02 07:01"),
        (EditionState.SENT, {"deliveries": {"accepted": 1, "unknown": 1}}, "partial", "1 unknown"),
        (EditionState.SENT, {"deliveries": {"accepted": 1, "refused": 1}}, "partial", "1 refused"),
        (EditionState.SENDING, {"deliveries": {"accepted": 1, "deferred": 2}}, "partial", "2 deferred"),
        (EditionState.SENDING, {"fault": "smtp: no"}, "failed", "smtp: no"),
        (EditionState.SENDING, {"fault": "smtp: no", "deliveries": {"accepted": 1}}, "partial", "smtp: no"),
        (
            EditionState.SENT,
            {"deliveries": {"accepted": 1}, "given_up": "2 too late"},
            "partial",
            "accepted; 2 too late",
        ),
        (EditionState.MISSED, {"reason": "late", "given_up": "2 too late"}, "partial", "is missed: late"),
        (EditionState.READY, {"sending": False}, "done", "was not sent"),
        (EditionState.READY, {}, "done", "nobody is subscribed"),
        (EditionState.HELD, {"reason": "few stories: 1"}, "partial", "few stories"),
        (EditionState.WITHDRAWN, {"reason": "wrong"}, "partial", "withdrawn: wrong"),
    ],
)
def test_the_report_says_what_became_of_it(
    state: EditionState, changes: dict[str, object], status: str, says: str
) -> None:
    made = report(state, **changes)
    assert made.status == status
    assert says in made.message


def test_a_failed_source_makes_a_run_partial_and_is_named() -> None:
    sources = (SourceReport(id="wire", ok=True), SourceReport(id="radio", ok=False, error="down"))
    made = report(EditionState.SENT, deliveries={"accepted": 1}, sources=sources)
    assert made.status == "partial"
    assert "1 of 2 sources failed: radio" in made.message


def test_who_waits_for_their_own_time_is_no_fault_and_not_done_either() -> None:
    due_at = datetime(2026, 11, 26, 12, tzinfo=UTC)
    stored = StoredEdition(
        id=1,
        newsletter="morning",
        cadence="weekly",
        date=date(2026, 11, 26),
        state=EditionState.SENDING,
        reason=None,
        dated_at=None,
        sent_at=None,
        edition=None,
    )
    given = {"sources": [], "stages": [], "findings": [], "sending": True, "already": False}
    wait = Wait(readers=120, timezone="America/New_York", due_at=due_at)
    report = describe(stored, deliveries={"accepted": 300, "planned": 120}, fault=None, waits=wait, **given)  # type: ignore[arg-type]
    assert (report.status, report.waits_until) == ("partial", due_at)
    assert report.message == (
        "the weekly edition of 2026-11-26 is on its way: 300 messages accepted, 120 wait for their own time zones,"
        " the next at 07:00 in America/New_York (2026-11-26 12:00 UTC)"
    )
    more = describe(stored, deliveries={"accepted": 300, "planned": 125}, fault=None, waits=wait, **given)  # type: ignore[arg-type]
    assert more.waits_until is None  # five could go now
    assert ", 5 planned, 120 wait" in more.message
    broken = describe(stored, deliveries={"planned": 125}, fault="no connection", waits=wait, **given)  # type: ignore[arg-type]
    assert (broken.status, broken.waits_until) == ("failed", None)


def test_an_edition_that_nobody_got_is_not_said_to_have_gone_out() -> None:
    stored = StoredEdition(
        id=1,
        newsletter="morning",
        cadence="daily",
        date=date(2026, 11, 26),
        state=EditionState.SENT,
        reason=None,
        dated_at=None,
        sent_at=datetime(2026, 11, 26, 22, tzinfo=UTC),
        edition=None,
    )
    given = {"sources": [], "stages": [], "findings": [], "fault": None, "sending": True, "already": False}
    report = describe(stored, deliveries={"skipped": 4}, **given)  # type: ignore[arg-type]
    assert report.message == (
        "the edition of 2026-11-26 went to nobody: 4 skipped; `digest editions show 2026-11-26 --deliveries` says why"
    )
    some = describe(stored, deliveries={"accepted": 1, "skipped": 4}, **given)  # type: ignore[arg-type]
    assert (some.status, some.message) == ("done", "the edition of 2026-11-26 went out: 1 message accepted")


def test_a_stage_without_counts_says_its_notes_in_its_first_line() -> None:
    assert write_stage(StageReport(stage="deliver", counts={}, notes=("a", "b"))) == "deliver    a\n           b"
    assert (
        write_stage(StageReport(stage="deliver", counts={"sent": 2}, notes=("a",))) == "deliver    sent 2\n           a"
    )
    assert write_stage(StageReport(stage="deliver", counts={})) == "deliver"


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(), "0 s"),
        (timedelta(minutes=1), "1 min"),
        (timedelta(seconds=119), "119 s"),
        (timedelta(minutes=2), "2 min"),
        (timedelta(minutes=90, seconds=20), "1 h 30 min"),
        (timedelta(hours=4), "4 h"),
        (timedelta(hours=47, minutes=59), "47 h 59 min"),
        (timedelta(days=2, hours=3, minutes=59), "2 days 3 h"),
        (timedelta(days=400), "400 days"),
    ],
    ids=str,
)
def test_spans_are_told_in_words_of_their_size(span: timedelta, words: str) -> None:
    assert describe_span(span) == words
