"""The inbox from the command line and beside the server: who asks to leave by mail has left."""

import re
from pathlib import Path

import pytest

from tests.acceptance.conftest import Desk
from tests.acceptance.serving import serving, wait_for
from tests.unit.returned_mails import letter, postfix


def give_inbox(desk: Desk, kind: str = "maildir", **keys: object) -> Path:
    """Configure one; the Maildir, empty."""
    path = desk.folder / "config.toml"
    lines = [f'kind = "{kind}"', 'address = "bounces@rehearsal.test"', 'every = "10s"']
    lines += [f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value}" for name, value in keys.items()]
    text = re.sub(
        r"\[inbox\]\n.*?\n\n", "[inbox]\n" + "\n".join(lines) + "\n\n", path.read_text("utf-8"), flags=re.DOTALL
    )
    path.write_text(text, encoding="utf-8")
    maildir = desk.folder / "inbox"
    for part in ("new", "cur", "tmp"):
        (maildir / part).mkdir(parents=True, exist_ok=True)
    return maildir


def token_in(desk: Desk) -> str:
    """What the mail in the outbox offers as the subject of a mail to leave."""
    (mail,) = desk.mails()
    found = re.search(
        r"^List-Unsubscribe: <http\S+>, <mailto:bounces\+unsubscribe@rehearsal\.test\?subject=unsubscribe%20(\S+)>\r?$",
        mail.read_bytes().decode("ascii", "replace"),
        re.MULTILINE,
    )
    assert found
    return found[1]


def states(desk: Desk) -> list[str]:
    return [row["state"] for row in desk.digest("subscribers", "list", "--json").rows]


def test_a_mail_by_the_readers_own_link_lets_them_leave_and_nobody_elses_does(sample_desk: Desk) -> None:
    maildir = give_inbox(sample_desk)
    assert sample_desk.digest("run").code == 0
    token = token_in(sample_desk)
    ask = {"to": "bounces+unsubscribe@rehearsal.test", "sender": "reader@rehearsal.test"}
    (maildir / "new" / "1.forged").write_bytes(letter("unsubscribe", **ask))
    (maildir / "new" / "2.away").write_bytes(letter("Automatic reply: x"))
    said = sample_desk.digest("inbox", "read")
    assert said.out.startswith("inbox: 1 automatic replies, 1 for you to read; 1 of them ask to leave without")
    (maildir / "new" / "3.own").write_bytes(letter(f"unsubscribe {token}", **ask))
    assert sample_desk.digest("inbox", "read", "--json").rows[0]["left"] == 1
    assert states(sample_desk) == ["unsubscribed"]
    assert [path.name for path in maildir.glob("new/*")] == ["1.forged"]
    assert [path.name for path in maildir.glob(".Digest.left/cur/*")] == ["3.own:2,S"]


def test_the_server_reads_the_inbox_by_itself(sample_desk: Desk) -> None:
    maildir = give_inbox(sample_desk)
    assert sample_desk.digest("run").code == 0
    (maildir / "new" / "1.own").write_bytes(letter(f"unsubscribe {token_in(sample_desk)}"))
    with serving(sample_desk):
        wait_for(lambda: list(maildir.glob(".Digest.left/cur/*")), 30, "the mail was read")
    assert states(sample_desk) == ["unsubscribed"]


def test_check_tries_the_inbox(sample_desk: Desk) -> None:
    maildir = give_inbox(sample_desk)
    (maildir / "new" / "1.a").write_bytes(postfix())
    rows = {row["subject"]: row for row in sample_desk.digest("check", "--json").rows}
    assert (rows["inbox"]["result"], rows["inbox"]["message"][-12:]) == ("ok", "with 1 mails")


def test_a_dry_run_says_what_is_there_and_leaves_it(desk: Desk) -> None:
    desk.configure(INBOX + 'kind = "maildir"')
    for part in ("new", "cur"):
        (desk.folder / "inbox" / part).mkdir(parents=True)
    (desk.folder / "inbox" / "new" / "1.a").write_bytes(postfix(to=f"bounces+{'5e' * 16}@news.test"))
    (row,) = desk.digest("inbox", "read", "--dry-run", "--json").rows
    assert (row["bounces"], row["persons"], row["dry_run"]) == (1, 0, True)
    assert [path.name for path in (desk.folder / "inbox").rglob("*.a")] == ["1.a"]


INBOX = '[inbox]\naddress = "bounces@news.test"\n'


@pytest.mark.parametrize(
    ("inbox", "code", "words"),
    [
        ('kind = "none"', 2, "none is configured"),
        ('kind = "maildir"\npath = "elsewhere"', 1, "it cannot be read"),
        ('kind = "imap"\nhost = "127.0.0.1"\nport = 1\nusername = "jo"', 1, "no connection"),
    ],
)
def test_what_is_wrong_with_the_inbox_is_one_clear_line_without_the_password(
    desk: Desk, inbox: str, code: int, words: str
) -> None:
    desk.configure(INBOX + inbox)
    done = desk.digest("inbox", "read", DIGEST_IMAP_PASSWORD="letmein")
    assert (done.code, done.err.count("\n")) == (code, 1)
    assert words in done.err and "letmein" not in done.err


def test_reconciling_without_such_a_provider_is_one_clear_line(desk: Desk) -> None:
    desk.configure()
    done = desk.digest("subscribers", "reconcile")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "lists of its own" in done.err
