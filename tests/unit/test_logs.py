"""What the long-running commands write: for people, or one JSON object a line; never an address or a secret."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from digest.about import about
from digest.cli.logs import Log, list_secrets, mask
from digest.config import Config, load_config
from digest.models import EditionState, Report, SourceReport, StageReport

SECRETS = {
    "DIGEST_SMTP_PASSWORD": "sesame-open",
    "DIGEST_SECRET_KEY": "first-key-0 second-key-1",
    "DIGEST_CANARY_PASSWORD_GMAIL": "a-seed-password",
}


def load(tmp_path: Path, form: str) -> Config:
    (tmp_path / "config.toml").write_text(
        '[newsletter]\nname = "M"\nslug = "brief"\nsender = "b@news.test"\n'
        f'[alerts]\nwebhook = "https://hooks.test/T0KEN"\n[log]\nformat = "{form}"\n'
    )
    return load_config(tmp_path / "config.toml", SECRETS)


@contextmanager
def opened(config: Config) -> Iterator[tuple[Log, io.StringIO]]:
    """A log that writes to where a test reads; the process's own logging is as it was afterwards."""
    root, kept, stderr = logging.getLogger(), logging.getLogger().handlers[:], sys.stderr
    level = root.level
    sys.stderr = io.StringIO()
    try:
        yield Log(config), sys.stderr
    finally:
        sys.stderr = stderr
        root.handlers[:] = kept
        root.setLevel(level)


def test_lines_for_people_are_as_they_were_said(tmp_path: Path) -> None:
    with opened(load(tmp_path, "console")) as (log, written):
        log.say("Serving http://127.0.0.1:8000/")
        log.note_stage(StageReport(stage="collect", counts={"sources": 3}, notes=("wire: no answer",)))
    assert written.getvalue() == "Serving http://127.0.0.1:8000/\ncollect    sources 3\n           wire: no answer\n"


def test_lines_for_programs_say_when_how_bad_and_what_it_is_about(tmp_path: Path) -> None:
    with opened(load(tmp_path, "json")) as (log, written):
        with about(run="3f9a61c2", edition="2026-11-27 daily"):
            log.note_stage(StageReport(stage="collect", counts={"sources": 3}, seconds=1.5))
        log.say("digest: wire: no answer")
    stage, fault = map(json.loads, written.getvalue().splitlines())
    assert (stage["level"], stage["event"], stage["stage"], stage["seconds"]) == ("info", "stage", "collect", 1.5)
    assert (stage["run"], stage["edition"], stage["newsletter"]) == ("3f9a61c2", "2026-11-27 daily", "brief")
    assert (fault["level"], fault["event"]) == ("warning", "wire: no answer")
    assert "run" not in fault
    assert fault["at"].endswith("Z")


def test_a_report_names_each_source_that_failed(tmp_path: Path) -> None:
    report = Report(
        newsletter="brief",
        date=date(2026, 11, 27),
        status="partial",
        message="the edition went out",
        state=EditionState.SENT,
        sources=(SourceReport(id="wire", ok=False, error="no answer"), SourceReport(id="post", ok=True)),
    )
    with opened(load(tmp_path, "json")) as (log, written):
        log.note_report(report)
    source, run = map(json.loads, written.getvalue().splitlines())
    assert (source["event"], source["source"], source["error"]) == ("source failed", "wire", "no answer")
    assert (run["event"], run["status"], run["state"]) == ("the edition went out", "partial", "sent")
    with opened(load(tmp_path, "console")) as (log, written):
        log.note_report(report)
    assert written.getvalue() == "2026-11-27: the edition went out\n"


@pytest.mark.parametrize("form", ["console", "json"])
def test_neither_address_nor_secret_is_written_whoever_says_it(tmp_path: Path, form: str) -> None:
    said = (
        "jo.doe+x@far.example.org: 535 sesame-open; second-key-1; a-seed-password; https://hooks.test/T0KEN; "
        "postgresql://me:pass@db.test/x; digest_abcdefghijklmnopqrstuvwxyz"
    )
    with opened(load(tmp_path, form)) as (log, written):
        log.say(said)
        log.note_stage(StageReport(stage="deliver", counts={}, notes=(said,)))
        logging.getLogger("some.library").warning("%s", said)
        try:
            raise ValueError(said)
        except ValueError:
            logging.getLogger("some.library").exception("it failed")
    text = written.getvalue()
    assert "j…@far.example.org" in text
    for secret in ("jo.doe", "sesame-open", "second-key-1", "a-seed-password", "T0KEN", "me:pass", "digest_abcdef"):
        assert secret not in text
    if form == "json":
        assert len([json.loads(line) for line in text.splitlines()]) == 4


def test_what_libraries_find_worth_no_warning_is_not_written(tmp_path: Path) -> None:
    with opened(load(tmp_path, "json")) as (_, written):
        logging.getLogger("some.library").info("chatter")
    assert written.getvalue() == ""


def test_a_short_secret_is_not_looked_for_in_words(tmp_path: Path) -> None:
    config = load(tmp_path, "json")
    assert "first-key-0" in list_secrets(config)
    assert mask("abc", ["longer"]) == "abc"
