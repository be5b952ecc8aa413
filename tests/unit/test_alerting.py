"""What the operator is told by mail: what happened, in the subject already, and what to type."""

from datetime import date

import pytest

from digest.alerting import is_news, write_alert, write_stop_alert
from digest.models import EditionState, Finding, StoredEdition

URL = "https://news.test/morning/approval/token"


def stored(reason: str, state: EditionState = EditionState.HELD) -> StoredEdition:
    return StoredEdition(
        id=1,
        newsletter="m",
        cadence="daily",
        date=date(2026, 3, 2),
        state=state,
        reason=reason,
        dated_at=None,
        sent_at=None,
        edition=None,
    )


def test_of_a_canary_each_finding_is_told_and_how_another_is_sent() -> None:
    held = stored("canary: 1 of 2 seeds: dkim=fail (at mx.b.test); 1 of 2 seeds: did not arrive within 5 minutes")
    assert is_news(held)
    alert = write_alert("Brief", held, [], url=URL)
    assert alert.subject == "[Brief] The edition of 2026-03-02 is held by its canary"
    for told in ("1 of 2 seeds: dkim=fail (at mx.b.test)", "1 of 2 seeds: did not arrive within 5 minutes"):
        assert f"\n- {told}\n" in alert.text and f"<li>{told}</li>" in alert.html
    for command in ("digest run --on 2026-03-02", "digest editions approve 2026-03-02 --force", "digest check"):
        assert f"\n    {command}\n" in alert.text and f"<code>{command}</code>" in alert.html
    assert f"\n{URL}\n" in alert.text and f'href="{URL}"' in alert.html


def test_of_an_edition_that_waits_nothing_is_to_be_mended() -> None:
    alert = write_alert("Brief", stored("approval: waits"), [], url=URL)
    assert "--force" not in alert.text and "digest run" not in alert.text
    assert 'digest editions approve 2026-03-02 --by "Your name"' in alert.text


def test_what_preflight_failed_is_listed_up_to_a_point() -> None:
    findings = [Finding(rule="size", severity="fail", message=f"number {number}") for number in range(22)]
    alert = write_alert("Brief", stored("preflight: size"), findings, url=URL)
    assert "- size: number 19\n- and 2 more\n" in alert.text


@pytest.mark.parametrize(
    ("reason", "why", "words"),
    [
        ("policy: smtp a.test:25: 554 5.7.1 no", ": our mail is not wanted", "smtp a.test:25: 554 5.7.1 no"),
        ("breakers: bounces, 12 of 100", ": too much of it fails", "bounces, 12 of 100"),
        ("something else: <b>", "", "something else: <b>"),
    ],
)
def test_of_an_edition_that_has_stopped_it_is_said_why_how_far_it_came_and_how_it_goes_on(
    reason: str, why: str, words: str
) -> None:
    counts = {"accepted": 1200, "delivered": 3, "planned": 8790, "deferred": 7, "unknown": 1}
    alert = write_stop_alert("Brief", stored(reason, EditionState.STOPPED), counts)
    assert alert.subject == f"[Brief] The edition of 2026-03-02 has stopped{why}"
    assert f"\n- {words}\n- Of its readers 1,203 have it, 8,797 wait for it, 1 may have it or not\n" in alert.text
    assert "\n    digest editions resume 2026-03-02\n" in alert.text
    assert "<b>" not in alert.html
