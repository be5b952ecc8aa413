"""What a person gets wrong, and what the world does: one clear line, the right exit code, nothing half-sent."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.acceptance.conftest import Answer, Desk

STORY = (
    "The harbour council voted on Monday to close the old iron bridge number {n} for two weeks. "
    "The closure begins on 4 May and sends some 12,000 vehicles a day through tunnel {n}. "
)


def feed(*numbers: int) -> bytes:
    """A small RSS feed of today."""
    from datetime import UTC, datetime
    from email.utils import format_datetime

    now = format_datetime(datetime.now(UTC))
    words = ("Bridge", "Orchestra", "Harvest", "Library", "Striker", "Glacier", "Market", "Robot")
    items = "".join(
        f"<item><guid>{n}</guid><title>{words[n]} news {words[n]}</title><link>https://example.com/{n}</link>"
        f"<pubDate>{now}</pubDate><description>{STORY.format(n=n)} {words[n]} {words[n].lower()}.</description></item>"
        for n in numbers
    )
    return f"<rss version='2.0'><channel><title>Wire</title>{items}</channel></rss>".encode()


def source(name: str, url: str) -> str:
    """A [[sources]] table."""
    return f'[[sources]]\nid = "{name}"\nkind = "feed"\nurl = "{url}"\nfull_text = false\n'


PRIVATE = '[fetch]\nallow_private = ["127.0.0.0/8"]\n'


def one_line(text: str) -> str:
    """The single line of an error."""
    (line,) = text.strip().splitlines()
    return line


def test_sources_that_are_down_not_a_feed_or_empty_are_named_and_stop_nothing(
    desk: Desk, serve_web: Callable[[Callable[[str], Answer]], str]
) -> None:
    def answer(path: str) -> Answer:
        return {
            "/good": (200, {"Content-Type": "application/rss+xml"}, feed(0, 1, 2, 3)),
            "/html": (200, {"Content-Type": "text/html"}, b"<!doctype html><title>Are you human?</title><p>Wait.</p>"),
            "/empty": (200, {}, b""),
            "/none": (200, {}, feed()),
            "/broken": (500, {}, b"oops"),
        }.get(path, (404, {}, b"gone"))

    url = serve_web(answer)
    bad = ["html", "empty", "none", "broken", "missing"]
    desk.configure(
        PRIVATE,
        "[edition]\nmin_stories = 1\n",
        *(source(name, f"{url}/{name}") for name in ["good", *bad]),
        source("down", "http://127.0.0.1:9/x"),
    )
    desk.digest("subscribers", "add", "reader@rehearsal.test")
    done = desk.digest("run", "--json")
    assert done.code == 3, done.err
    report = done.rows[0]
    assert report["state"] == "sent"
    failed = {row["id"]: row["error"] for row in report["sources"] if not row["ok"]}
    assert set(failed) == {*bad, "down"}
    assert all(failed.values())
    assert len(desk.mails()) == 1


def test_no_source_at_all(desk: Desk) -> None:
    desk.configure()
    done = desk.digest("run")
    assert done.code == 2
    assert "no source is configured" in one_line(done.err)


def test_no_configuration(desk: Desk) -> None:
    done = desk.digest("run")
    assert done.code == 2
    assert "digest init" in one_line(done.err)


def test_an_unknown_key(desk: Desk) -> None:
    desk.configure("[edition]\nmax_storys = 3\n")
    done = desk.digest("run")
    assert done.code == 2
    assert 'did you mean "max_stories"' in one_line(done.err)


@pytest.mark.parametrize("address", ["nobody", "a@@b.org", "a b@mail.org", "a@mail..org"])
def test_a_bad_address(desk: Desk, address: str) -> None:
    desk.configure()
    done = desk.digest("subscribers", "add", address)
    assert done.code == 2
    assert "address" in one_line(done.err)
    assert desk.digest("subscribers", "list", "--json").rows == []


def test_a_reserved_address_is_taken_with_a_warning(desk: Desk) -> None:
    desk.configure()
    done = desk.digest("subscribers", "add", "reader@rehearsal.test")
    assert done.code == 0
    assert "reserved" in done.err


def test_a_template_with_a_syntax_error_is_named_with_its_line_and_nothing_is_sent(sample_desk: Desk) -> None:
    template = sample_desk.folder / "templates" / "email" / "edition.txt"
    template.write_text(template.read_text(encoding="utf-8") + "\n{% if %}\n", encoding="utf-8")
    done = sample_desk.digest("run")
    assert done.code == 1
    assert "edition.txt" in one_line(done.err)
    assert sample_desk.mails() == []


@pytest.mark.parametrize("name", ["edition.html", "edition.txt"])
def test_a_template_that_is_missing_is_named_and_nothing_is_sent(sample_desk: Desk, name: str) -> None:
    (sample_desk.folder / "templates" / "email" / name).unlink()
    done = sample_desk.digest("run")
    assert done.code == 1
    assert name in one_line(done.err)
    assert sample_desk.mails() == []


def test_without_templates_of_its_own_a_newsletter_uses_the_shipped_ones(sample_desk: Desk) -> None:
    shutil.rmtree(sample_desk.folder / "templates")
    assert sample_desk.digest("run").code == 0
    assert len(sample_desk.mails()) == 1


def test_a_template_that_asks_for_what_is_missing_is_named(sample_desk: Desk) -> None:
    template = sample_desk.folder / "templates" / "email" / "edition.txt"
    template.write_text('{% extends "email/nowhere.txt" %}', encoding="utf-8")
    done = sample_desk.digest("run")
    assert done.code == 1
    assert "nowhere.txt" in one_line(done.err)
    assert sample_desk.mails() == []


def test_an_outbox_that_cannot_be_written(sample_desk: Desk) -> None:
    (sample_desk.folder / "outbox").write_text("a file is in the way")
    done = sample_desk.digest("run", "--json")
    assert done.code in {1, 3}
    report = done.rows[0] if done.out.strip() else {}
    assert "outbox" in (done.err + str(report))
    again = sample_desk.digest("run")
    assert again.code == 1
    assert "check that it is a folder" in again.out
    assert "Maildir" not in again.out  # no mail lies there
    (sample_desk.folder / "outbox").unlink()
    again = sample_desk.digest("run", "--json")
    assert again.rows[0]["deliveries"] == {"accepted": 1}


def test_a_database_of_something_else_is_left_alone(desk: Desk) -> None:
    desk.configure()
    path = desk.folder / "digest.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("create table recipes (name text)")
    before = path.read_bytes()
    done = desk.digest("status")
    assert done.code == 1
    assert "digest.db" in one_line(done.err)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database(desk: Desk) -> None:
    desk.configure()
    (desk.folder / "digest.db").write_text("hello, this is a text file " * 100)
    done = desk.digest("status")
    assert done.code == 1
    assert "digest.db" in one_line(done.err)


def test_a_database_in_a_folder_that_is_not_there(desk: Desk) -> None:
    desk.configure('[store]\nurl = "sqlite:///nowhere/digest.db"\n')
    done = desk.digest("status")
    assert done.code == 1
    assert "nowhere" in one_line(done.err)


def test_a_locked_database_is_named_and_nothing_is_sent(sample_desk: Desk) -> None:
    with closing(sqlite3.connect(sample_desk.folder / "digest.db", isolation_level=None)) as database:
        database.execute("begin exclusive")
        done = sample_desk.digest("run")
        database.execute("rollback")
    assert done.code == 1
    assert "locked" in done.err.strip().splitlines()[-1]
    assert sample_desk.mails() == []


def test_a_subscriber_that_is_not_there(desk: Desk) -> None:
    desk.configure()
    done = desk.digest("subscribers", "remove", "nobody@mail.org")
    assert done.code == 2
    assert "nobody@mail.org" in one_line(done.err)


@pytest.mark.parametrize(
    "arguments", [["run", "--on", "yesterday"], ["editions", "show", "2020-01-01"], ["runn"], ["inspect", "feed"]]
)
def test_a_wrong_argument(desk: Desk, arguments: list[str]) -> None:
    desk.configure()
    done = desk.digest(*arguments)
    assert done.code == 2
    assert done.err.strip()


def test_a_document_that_is_not_there_does_not_stop_the_others(desk: Desk) -> None:
    good, missing = desk.folder / "good.xml", desk.folder / "missing.xml"
    good.write_bytes(feed(0, 1))
    done = desk.digest("inspect", "feed", "--json", str(missing), str(good))
    assert done.code == 3
    assert [("error" in row, row["path"]) for row in done.rows] == [(True, str(missing)), (False, str(good))]
    assert len(done.rows[1]["entries"]) == 2


def test_a_page_that_cannot_be_read_does_not_stop_the_others_in_worker_processes(desk: Desk) -> None:
    names = ["empty-1.html", "empty-2.html", "empty-3.html", "good.txt"]
    for name in names[:3]:
        (desk.folder / name).write_text("<html><body></body></html>")
    (desk.folder / "good.txt").write_text(STORY.format(n=1))
    done = desk.digest("inspect", "page", "--json", *names)
    assert done.code == 3
    assert [row["path"] for row in done.rows] == names
    assert ["error" in row for row in done.rows] == [True, True, True, False]
    assert "no article" in done.rows[0]["error"]


def test_a_manifest_with_bad_lines_gives_an_error_for_each_and_reads_the_others(desk: Desk) -> None:
    (desk.folder / "good.xml").write_bytes(feed(0, 1))
    manifest = desk.folder / "m.jsonl"
    manifest.write_text('not json\n{"nopath": 1}\n["a"]\n{"path": "good.xml", "url": "https://example.com/"}\n')
    done = desk.digest("inspect", "feed", "--json", "--manifest", str(manifest))
    assert done.code == 3
    assert ["error" in row for row in done.rows] == [True, True, True, False]
    assert done.rows[3]["path"] == "good.xml"


@pytest.mark.parametrize("kind", ["feed", "page", "stories", "summary", "email"])
def test_empty_and_binary_documents_are_errors_and_no_results(desk: Desk, kind: str) -> None:
    (desk.folder / "empty").touch()
    (desk.folder / "binary").write_bytes(bytes(range(256)) * 8)
    done = desk.digest("inspect", kind, "--json", "empty", "binary")
    assert done.code == 3
    assert len(done.rows) == 2
    assert "error" in done.rows[0]
    assert "error" in done.rows[1] or done.rows[1]["verdict"] == "fail"


@pytest.mark.parametrize("address", ["ftp://example.com/a", "javascript:alert(1)", "not-there", ""])
def test_what_is_neither_a_feed_nor_a_file_is_not_added(desk: Desk, address: str) -> None:
    desk.configure()
    before = (desk.folder / "config.toml").read_text()
    done = desk.digest("sources", "add", address)
    assert done.code == 2
    assert "neither" in one_line(done.err)
    assert (desk.folder / "config.toml").read_text() == before


def test_a_source_is_not_added_twice(desk: Desk) -> None:
    desk.configure()
    assert desk.digest("sources", "add", "https://example.org/feed").code == 0
    done = desk.digest("sources", "add", "https://example.org/feed")
    assert done.code == 2
    assert "configured already" in one_line(done.err)


def test_a_folder_of_which_a_part_cannot_be_read_is_used_and_reported(desk: Desk) -> None:
    folder = desk.folder / "inbox"
    folder.mkdir()
    (folder / "wire.xml").write_bytes(feed(0, 1, 2, 3))
    (folder / "broken.bin").write_bytes(b"\x89PNG\r\n" + bytes(200))
    desk.configure(
        "[edition]\nmin_stories = 1\n", '[[sources]]\nid = "inbox"\nkind = "file"\npath = "inbox"\nfull_text = false\n'
    )
    desk.digest("subscribers", "add", "reader@rehearsal.test")
    done = desk.digest("run", "--json")
    assert done.code == 3
    (row,) = done.rows[0]["sources"]
    assert (row["ok"], row["entries"]) == (False, 4)
    assert "broken.bin" in row["error"]
    assert len(desk.mails()) == 1


def test_check_says_why_a_transport_and_a_database_cannot_be_used_and_says_it_once(sample_desk: Desk) -> None:
    config = sample_desk.folder / "config.toml"
    smtp = 'kind = "smtp"\nhost = "mail.nowhere.invalid"\nport = 25\ntls = "none" #'
    text = config.read_text().replace('kind = "outbox"', smtp).replace('path = "outbox"\n', "")
    config.write_text(text.replace("sqlite:///digest.db", "sqlite:///nowhere/digest.db"))
    done = sample_desk.digest("check", "--json")
    assert done.code == 1
    failed = {row["subject"]: row for row in done.rows if row["result"] == "failure"}
    assert failed.keys() == {"database", "transport smtp"}
    assert "no connection: gaierror" in failed["transport smtp"]["message"]
    assert failed["transport smtp"]["remedy"] not in failed["transport smtp"]["message"]


def test_check_warns_of_a_signature_that_does_not_speak_for_the_sender(sample_desk: Desk) -> None:
    key = sample_desk.folder / "dkim.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True, capture_output=True)
    key.chmod(0o600)
    config = sample_desk.folder / "config.toml"
    before = config.read_text()
    for domain, is_warned in (("elsewhere.org", True), ("example.com", False), ("mail.example.com", False)):
        dkim = f'dkim = {{ domain = "{domain}", selector = "s1", key = "dkim.pem" }}'
        smtp = f'kind = "smtp"\nhost = "127.0.0.1"\nport = 9\ntls = "none"\n{dkim} #'
        config.write_text(before.replace('kind = "outbox"', smtp).replace('path = "outbox"\n', ""))
        rows = {row["subject"]: row for row in sample_desk.digest("check", "--json").rows}
        assert ("dkim" in rows) == is_warned, domain


def test_check_tries_the_subject_too(sample_desk: Desk) -> None:
    config = sample_desk.folder / "config.toml"
    config.write_text(config.read_text().replace("{{ lead.headline }}", "{{ lead.headline"))
    done = sample_desk.digest("check", "--json")
    assert done.code == 1
    assert {row["subject"] for row in done.rows if row["result"] == "failure"} == {"subject"}


def test_secrets_and_addresses_stay_out_of_what_is_printed(sample_desk: Desk) -> None:
    config = sample_desk.folder / "config.toml"
    config.write_text(
        config.read_text()
        .replace('kind = "outbox"', 'kind = "sendgrid"')
        .replace('path = "outbox"', 'host = "http://127.0.0.1:9"')
    )
    done = sample_desk.digest("run", DIGEST_SENDGRID_API_KEY="SG.very-secret")
    assert done.code in {1, 3}
    assert "very-secret" not in done.out + done.err
    assert "reader@rehearsal.test" not in done.out + done.err


def test_root_is_not_needed_to_see_an_unwritable_folder(desk: Desk, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        target = "/proc/digest"  # not even root can write there
    else:
        target = str(tmp_path / "closed" / "digest")
        (tmp_path / "closed").mkdir(mode=0o500)
    done = desk.digest("init", target)
    assert done.code == 2
    assert target in one_line(done.err)
