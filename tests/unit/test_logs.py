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
from hypothesis import given
from hypothesis import strategies as st

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


def test_faults_that_are_told_together_are_an_event_each(tmp_path: Path) -> None:
    with opened(load(tmp_path, "json")) as (log, written):
        log.say("digest: the edition was missed\ndigest: a task was set aside:\n  odd\nvery")
    first, second = map(json.loads, written.getvalue().splitlines())
    assert (first["level"], first["event"]) == ("warning", "the edition was missed")
    assert (second["level"], second["event"]) == ("warning", "a task was set aside:\n  odd\nvery")
    with opened(load(tmp_path, "console")) as (log, written):
        log.say("digest: one\ndigest: two")
    assert written.getvalue() == "digest: one\ndigest: two\n"


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


LOCALS = st.from_regex(r"[a-z0-9](?:[a-z0-9.!#$&'*+/=?^_`{|}~-]|%2B){2,40}secret", fullmatch=True) | st.just(
    '"a secret"'
)
HOSTS = st.sampled_from(["example.org", "localhost", "news-2", "mail.far.example", "[192.0.2.1]", "[IPv6:2001:db8::1]"])
AROUND = st.sampled_from(["", " ", "<", ">", ",", "; ", "'", "(", "rcpt to:", "550 5.1.1 ", "\n", "mailto:", "é: "])


@given(before=AROUND, local=LOCALS, at=st.sampled_from(["@", "%40", "%2540"]), host=HOSTS, after=AROUND)
def test_an_address_is_masked_however_it_is_written_and_its_host_is_read(
    before: str, local: str, at: str, host: str, after: str
) -> None:
    told = mask(f"{before}{local}{at}{host}{after}")
    assert "secret" not in told
    assert host in told
    assert told.startswith(before) and told.endswith(after)
    assert mask(told) == told


@given(st.text().filter(lambda text: "@" not in text and "%" not in text and "_" not in text and "://" not in text))
def test_a_text_without_an_address_stays_as_it_is(text: str) -> None:
    assert mask(text) == text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("reader%40example.org", "r…%40example.org"),
        ('"a b"@x.org', "…@x.org"),
        (r'{"to": "\"a b\"@x.org"}', r'{"to": …@x.org"}'),
        ("jo@[192.0.2.1]: no", "j…@[192.0.2.1]: no"),
        ("jo@localhost.", "j…@localhost."),
        ("jo@far.test@news.test", "j…@news.test"),
        ("@jo@far.test", "@j…@far.test"),
        ("https://" + "a" * 400 + "?jo@x.org", "https:/…@x.org"),
        ("postgresql://me:pass@db.test/x", "postgresql://me:***@db.test/x"),
        ("at 50 % of 40 readers, 12:00 @ noon", "at 50 % of 40 readers, 12:00 @ noon"),
        ('said "yes" @ noon', 'said "yes" @ noon'),
        ("<202611.4f2a@news.test> was refused", "<2…@news.test> was refused"),
        ("https://news.test/edition?page=%41", "https://news.test/edition?page=%41"),
    ],
)
def test_a_mask_hides_who_it_is_and_no_more(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_a_long_line_is_masked_at_once() -> None:
    text = "a" * 200_000 + ' "' * 100_000 + "%" * 200_000 + "x@." * 100_000
    assert mask(text) == text


def test_what_stood_in_a_variable_is_a_secret(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        '[newsletter]\nname = "M"\nslug = "brief"\nsender = "b@news.test"\n'
        '[alerts]\nwebhook = "https://hooks.test/${HOOK}/x"\n'
        '[[sources]]\nid = "wire"\nkind = "feed"\nurl = "https://wire.test/"\n'
        'headers = { Authorization = "Bearer ${FEED_TOKEN}", Accept = "application/atom+xml" }\n'
    )
    config = load_config(path, {"FEED_TOKEN": "feed-t0ken", "HOOK": "hook-k3y", "OTHER": "something"})
    said = mask("Bearer feed-t0ken, hook-k3y, application/atom+xml, something", list_secrets(config))
    assert said == "Bearer ***, ***, application/atom+xml, something"
    assert "feed-t0ken" not in repr(config)


def test_what_libraries_find_worth_no_warning_is_not_written(tmp_path: Path) -> None:
    with opened(load(tmp_path, "json")) as (_, written):
        logging.getLogger("some.library").info("chatter")
    assert written.getvalue() == ""


def test_a_short_secret_is_not_looked_for_in_words(tmp_path: Path) -> None:
    load(tmp_path, "json")
    given = {"DIGEST_SMTP_PASSWORD": "queue", "DIGEST_SECRET_KEY": "first-key-0 short second-key-1"}
    config = load_config(tmp_path / "config.toml", given)
    assert set(list_secrets(config)) == {"first-key-0", "second-key-1", "https://hooks.test/T0KEN"}
