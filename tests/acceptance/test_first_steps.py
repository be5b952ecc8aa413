"""What a newcomer does: init, preview, add, run, run again."""

import email
import email.policy
import re
import subprocess
import sys
from email.message import EmailMessage

import pytest

from tests.acceptance.conftest import Desk


def _read(desk: Desk, number: int = 0) -> EmailMessage:
    message = email.message_from_bytes(desk.mails()[number].read_bytes(), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def test_init_and_run_give_one_mail_and_a_second_run_sends_nothing(sample_desk: Desk) -> None:
    first = sample_desk.digest("run")
    assert first.code == 0, first.err
    for stage in ("collect", "extract", "cluster", "rank", "summarize", "compose", "render", "preflight", "deliver"):
        assert re.search(rf"^{stage} +[a-z ]+\d", first.out, re.MULTILINE), stage
    assert str(sample_desk.folder / "outbox") in first.out
    assert "digest preview" in first.out
    assert len(sample_desk.mails()) == 1

    second = sample_desk.digest("run")
    assert second.code == 0
    assert "already sent" in second.out
    assert len(sample_desk.mails()) == 1


def test_the_mail_has_both_parts_all_headers_and_the_readers_own_way_out(sample_desk: Desk) -> None:
    sample_desk.digest("run")
    message = _read(sample_desk)
    assert message["To"] == "reader@rehearsal.test"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    for header in ("From", "Subject", "Date", "Message-ID", "List-ID", "Auto-Submitted", "Reply-To"):
        assert message[header], header
    link = str(message["List-Unsubscribe"]).strip("<>")
    assert re.fullmatch(r"https://news\.example\.com/morning/unsubscribe/[0-9a-f]{32}\.[\w-]{43}", link)
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text
    assert html
    assert link in text.get_content()
    assert link in html.get_content()
    assert "1 Example Street" in html.get_content()


def test_a_fresh_editions_preflight_is_ok_and_every_sentence_comes_from_its_source(sample_desk: Desk) -> None:
    (report,) = sample_desk.digest("run", "--json").rows
    assert report["verdict"] == "ok"
    assert report["status"] == "done"
    assert report["state"] == "sent"
    assert report["deliveries"] == {"accepted": 1}
    assert report["stages"][0]["stage"] == "collect"
    (shown,) = sample_desk.digest("editions", "show", "latest", "--json").rows
    items = [item for section in shown["stored"]["edition"]["sections"] for item in section["items"]]
    assert len(items) == 12
    assert all(item["summary"]["sentences"] for item in items)
    assert sum(len(item["also"]) > 0 for item in items) == 4
    assert any(item["direction"] == "rtl" for item in items)


def test_the_next_day_has_something_new_to_say(sample_desk: Desk) -> None:
    assert sample_desk.digest("run").code == 0
    (row,) = sample_desk.digest("editions", "list", "--json").rows
    assert row["state"] == "sent"
    # The samples are dated by the clock, so the next day's run is made from a copy of what a new day would bring.
    again = sample_desk.digest("run", "--on", "2035-01-01", "--json")
    assert again.code == 3
    assert again.rows[0]["state"] == "held"
    assert "few stories" in again.rows[0]["message"]


def test_a_dry_run_writes_nothing(sample_desk: Desk) -> None:
    report = sample_desk.digest("run", "--dry-run", "--json").rows[0]
    assert report["stories"] == 12
    assert sample_desk.digest("editions", "list", "--json").rows == []
    assert sample_desk.mails() == []


def test_no_send_leaves_the_edition_ready_and_the_next_run_sends_it(sample_desk: Desk) -> None:
    assert sample_desk.digest("run", "--no-send", "--json").rows[0]["state"] == "ready"
    assert sample_desk.mails() == []
    assert sample_desk.digest("run", "--json").rows[0]["state"] == "sent"
    assert len(sample_desk.mails()) == 1


def test_the_preview_of_a_ready_edition_is_the_very_mail_that_is_sent(sample_desk: Desk) -> None:
    sample_desk.digest("run", "--no-send")
    out = sample_desk.folder / "shown.eml"
    assert sample_desk.digest("preview", "--out", str(out), "--subscriber", "reader@rehearsal.test").code == 0
    sample_desk.digest("run")
    assert out.read_bytes() == sample_desk.mails()[0].read_bytes()


@pytest.mark.parametrize(("suffix", "expected"), [(".html", "<html"), (".txt", "Morning Brief"), (".eml", "List-ID")])
def test_preview_writes_a_file_and_nothing_else(sample_desk: Desk, suffix: str, expected: str) -> None:
    out = sample_desk.folder / f"shown{suffix}"
    done = sample_desk.digest("preview", "--out", str(out))
    assert done.code == 0, done.err
    assert expected in out.read_text(encoding="utf-8")
    assert "__DIGEST" not in out.read_text(encoding="utf-8")
    assert sample_desk.digest("editions", "list", "--json").rows == []


def test_without_readers_the_edition_is_ready_and_that_is_no_fault(desk: Desk) -> None:
    desk.digest("init")
    done = desk.digest("run", "--json")
    assert done.code == 0
    assert done.rows[0]["state"] == "ready"
    assert "nobody is subscribed" in done.rows[0]["message"]


def test_init_leaves_the_previews_page_to_the_program(desk: Desk) -> None:
    desk.digest("init")
    assert (desk.folder / "templates" / "web" / "base.html").is_file()
    assert list(desk.folder.rglob("preview.*")) == []
    assert desk.digest("check", "--json").rows


def test_help_waits_for_nothing_that_only_a_command_needs(desk: Desk) -> None:
    script = (
        "import sys\n"
        "from digest.cli import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "except SystemExit:\n"
        "    heavy = {'pydantic', 'sqlalchemy', 'psycopg', 'dkim', 'authres', 'aiosmtpd', 'sendgrid', 'jinja2'}\n"
        "    sys.stderr.write(' '.join(sorted(heavy & set(sys.modules))))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "Usage" in done.stdout
    assert done.stderr == ""


def test_init_overwrites_nothing(desk: Desk) -> None:
    desk.configure()
    before = (desk.folder / "config.toml").read_bytes()
    done = desk.digest("init")
    assert done.code == 2
    assert "nothing was written" in done.err
    assert (desk.folder / "config.toml").read_bytes() == before


def test_status_and_check_say_how_things_are(sample_desk: Desk) -> None:
    sample_desk.digest("run")
    (status,) = sample_desk.digest("status", "--json").rows
    assert status["editions"][0]["deliveries"] == {"accepted": 1}
    assert status["subscribers"] == {"active": 1}
    assert {source["failures"] for source in status["sources"]} == {0}
    assert status["next_due"] if "next_due" in status else status["next_due_at"]
    checked = sample_desk.digest("check", "--json")
    assert checked.code == 0
    results = {row["subject"]: row["result"] for row in checked.rows}
    assert results["database"] == results["templates"] == results["transport outbox"] == "ok"
    assert results["sender"] == "warning"
    assert results["rate"] == "ok"


def test_a_readers_topics_bound_what_the_reader_gets(sample_desk: Desk) -> None:
    sample_desk.digest("subscribers", "add", "sporty@rehearsal.test", "--topics", "sport")
    assert sample_desk.digest("run", "--json").rows[0]["deliveries"] == {"accepted": 2}
    by_reader = {str(_read(sample_desk, n)["To"]): _read(sample_desk, n) for n in range(2)}
    text = by_reader["sporty@rehearsal.test"].get_body(("plain",))
    assert text
    assert "SPORT" in text.get_content().upper()
    assert "BUSINESS" not in text.get_content().upper()


def test_a_reader_gets_the_mail_in_their_language_with_the_stories_as_they_were_told(sample_desk: Desk) -> None:
    added = sample_desk.digest("subscribers", "add", "wafaa@rehearsal.test", "--language", "ar-BH")
    assert added.code == 0, added.err
    shown = sample_desk.folder / "shown.html"
    assert sample_desk.digest("preview", "--subscriber", "wafaa@rehearsal.test", "--out", str(shown)).code == 0
    (report,) = sample_desk.digest("run", "--json").rows
    assert (report["verdict"], report["deliveries"]) == ("ok", {"accepted": 2})
    english, arabic = sorted((_read(sample_desk, n) for n in range(2)), key=lambda mail: str(mail["To"]))
    assert english["Subject"] == arabic["Subject"]  # the lead's own headline
    bodies = [body.get_content() for mail in (english, arabic) if (body := mail.get_body(("html",)))]
    assert '<html lang="en" dir="ltr"' in bodies[0]
    assert '<html lang="ar" dir="rtl"' in bodies[1]
    assert "إلغاء الاشتراك" in bodies[1]
    assert "?variant=all%40ar" in bodies[1]
    # Composed before, at another moment, and yet the same but for line ends.
    assert shown.read_text(encoding="utf-8").splitlines() == bodies[1].splitlines()


def test_what_too_few_stories_hold_goes_out_by_force_only_and_that_is_recorded(sample_desk: Desk) -> None:
    config = sample_desk.folder / "config.toml"
    config.write_text(config.read_text().replace("min_stories = 3 ", "min_stories = 99 "))
    assert sample_desk.digest("run").code == 3
    assert sample_desk.digest("editions", "approve").code == 2
    assert sample_desk.digest("editions", "approve", "--force").code == 0
    assert sample_desk.digest("run").code == 0
    assert len(sample_desk.mails()) == 1
    (row,) = sample_desk.digest("editions", "list", "--json").rows
    assert row["reason"].startswith("approved although held by few stories")


def test_an_edition_that_a_person_holds_stays_until_it_is_approved(sample_desk: Desk) -> None:
    sample_desk.digest("run", "--no-send")
    assert sample_desk.digest("editions", "hold", "--reason", "a doubt").code == 0
    done = sample_desk.digest("run", "--json")
    assert done.code == 3
    assert "a doubt" in done.rows[0]["message"]
    assert sample_desk.digest("editions", "approve").code == 0
    assert sample_desk.digest("run").code == 0
    assert len(sample_desk.mails()) == 1


def test_a_held_edition_goes_out_when_a_person_approves_it(sample_desk: Desk) -> None:
    config = sample_desk.folder / "config.toml"
    config.write_text(config.read_text().replace('approval = "none"', 'approval = "required"'))
    held = sample_desk.digest("run", "--json")
    assert held.code == 3
    assert held.rows[0]["state"] == "held"
    assert sample_desk.digest("run").code == 3
    assert sample_desk.mails() == []
    assert sample_desk.digest("editions", "approve").code == 0
    assert sample_desk.digest("run").code == 0
    assert len(sample_desk.mails()) == 1
