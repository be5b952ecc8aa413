"""Every mailbox keeps the same promises, and what is read from it is acted upon once."""

import email
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

import pytest

from digest.app import App
from digest.audience.imap import ImapMailbox
from digest.audience.maildir import MaildirMailbox
from digest.config import load_config
from digest.errors import ConfigError, MailboxError
from digest.models import Event, EventKind, Heard, Subscriber, SubscriberState
from digest.operate.inbox import InboxRead, open_mailbox, read_inbox, say_read
from digest.operate.recurring import list_chores
from digest.protocols import Mailbox
from tests.doubles.certificates import make_certificate
from tests.doubles.imap_server import ImapServer
from tests.unit.returned_mails import ORIGINAL, SEND_KEY, TOKEN, complaint, letter, postfix

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ALL_PARTS = ("new", "cur")


@dataclass
class Box:
    """A mailbox that mail can be put into, and be looked for in."""

    path: Path  # of the Maildir that it is, or that a server serves
    open: Callable[[], Mailbox]
    own: Callable[[Path], None] = lambda file: None
    count: int = 0

    def put(self, *raws: bytes, part: str = "new") -> None:
        for raw in raws:
            self.count += 1
            name = f"{1_772_434_800 + self.count}.m{self.count}.mx{':2,' if part == 'cur' else ''}"
            (self.path / part / name).write_bytes(raw)
            self.own(self.path / part / name)

    def inbox(self) -> list[bytes]:
        """What lies in it."""
        return [path.read_bytes() for path in self._files()]

    def unread(self) -> int:
        """How many of these a person's program shows as not read."""
        return sum("S" not in path.name.partition(":2,")[2] for path in self._files())

    def _files(self) -> list[Path]:
        files = chain.from_iterable((self.path / part).glob("[0-9]*") for part in ALL_PARTS)
        # An old server only marks as deleted what was moved.
        return sorted(path for path in files if "T" not in path.name.partition(":2,")[2])

    def folder(self, name: str) -> list[bytes]:
        """What lies in one of our folders, where it is read already."""
        found = list(chain.from_iterable((self.path / f".Digest.{name}" / part).glob("[0-9]*") for part in ALL_PARTS))
        assert all("S" in path.name.partition(":2,")[2] for path in found)
        return [path.read_bytes() for path in found]


def make_maildir(path: Path) -> Path:
    for part in ("new", "cur", "tmp"):
        (path / part).mkdir(parents=True)
    return path


def imap(server: ImapServer, reader: str = "morning", **changes: object) -> ImapMailbox:
    options: dict[str, object] = {
        "host": "127.0.0.1", "port": server.port, "tls": "none", "username": "jo", "password": "letmein",
        "folder": "INBOX", "reader": reader,
    }  # fmt: skip
    return ImapMailbox(**(options | changes))  # type: ignore[arg-type]


@pytest.fixture(params=["maildir", "imap", "old imap"])
def box(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Box]:
    with ExitStack() as stack:
        if request.param == "maildir":
            path = make_maildir(tmp_path / "Maildir")
            yield Box(path, lambda: MaildirMailbox(path, reader="morning"))
        else:
            server = stack.enter_context(ImapServer(is_plain=request.param == "old imap"))
            yield Box(server.path, lambda: imap(server), server.own)


def read(box: Box) -> list[bytes]:
    with closing(box.open()) as mailbox:
        return [mail.content.replace(b"\r\n", b"\n") for batch in mailbox.batches() for mail in batch]


def test_everything_is_read_in_batches_and_nothing_is_changed_by_reading(box: Box) -> None:
    mails = [letter(f"Mail {number}") for number in range(60)]
    box.put(*mails[:30], part="cur")
    box.put(*mails[30:])
    with closing(box.open()) as mailbox:
        batches = list(mailbox.batches())
    assert max(len(batch) for batch in batches) <= 25
    assert sorted(read(box)) == sorted(mails)
    assert box.unread() == 60
    for mail in chain.from_iterable(batches):
        assert mail.received_at.tzinfo and mail.received_at <= datetime.now(UTC) + timedelta(seconds=1)


def test_what_was_moved_lies_in_a_folder_and_is_not_read_again(box: Box) -> None:
    box.put(letter("One"), letter("Two"), letter("Three"))
    with closing(box.open()) as mailbox:
        (batch,) = mailbox.batches()
        mailbox.move([mail.place for mail in batch[:2]], "bounces")
        mailbox.move([mail.place for mail in batch[2:]], "bounces")
        mailbox.move([], "auto")
    assert len(box.folder("bounces")) == 3
    assert read(box) == []


def test_what_was_passed_over_stays_unread_and_is_not_read_again(box: Box) -> None:
    box.put(letter("One"), letter("Two"))
    with closing(box.open()) as mailbox:
        for batch in mailbox.batches():
            mailbox.pass_over([mail.place for mail in batch])
    assert read(box) == []
    assert (len(box.inbox()), box.unread()) == (2, 2)
    box.put(letter("Three"))
    assert read(box) == [letter("Three")]


def test_of_a_huge_mail_the_beginning_is_read(box: Box) -> None:
    box.put(letter("Huge", "x" * 70 + "\n" + "words\n" * 500_000))
    (content,) = read(box)
    assert content.startswith(b"From: ") and 1_600_000 < len(content) <= 2_000_000


def test_it_says_what_is_in_it_when_it_is_tried(box: Box) -> None:
    box.put(letter("One"))
    with closing(box.open()) as mailbox:
        assert "1 mails" in mailbox.check()
        mailbox.close()


def test_another_newsletter_looks_for_itself(tmp_path: Path) -> None:
    with ImapServer() as server:
        for path, open_one in (
            (make_maildir(tmp_path / "m"), lambda reader: MaildirMailbox(tmp_path / "m", reader=reader)),
            (server.path, lambda reader: imap(server, reader)),
        ):
            box = Box(path, lambda: open_one("morning"), server.own)  # noqa: B023 - used within the turn
            box.put(letter("One"))
            with closing(box.open()) as mailbox:
                for batch in mailbox.batches():
                    mailbox.pass_over([mail.place for mail in batch])
            assert read(box) == []
            assert len(read(Box(path, lambda: open_one("evening")))) == 1  # noqa: B023


def test_pipes_links_and_folders_in_a_maildir_are_no_mail(tmp_path: Path) -> None:
    path = make_maildir(tmp_path / "m")
    os.mkfifo(path / "new" / "1.pipe")
    (path / "new" / "2.link").symlink_to("/etc/hostname")
    (path / "cur" / "3.folder").mkdir()
    assert list(MaildirMailbox(path, reader="m").batches()) == []


def test_what_somebody_else_took_meanwhile_stays_gone(tmp_path: Path) -> None:
    path = make_maildir(tmp_path / "m")
    mailbox = MaildirMailbox(path, reader="m")
    for name in ("1.a", "2.b"):
        (path / "new" / name).write_bytes(letter("x"))
    (batch,) = mailbox.batches()
    (path / "new" / "1.a").rename(path / "cur" / "1.a:2,S")
    mailbox.move([mail.place for mail in batch], "bounces")
    assert sorted(file.name for file in path.rglob("[12].*")) == ["1.a:2,S", "2.b:2,S"]


def test_a_person_who_reads_a_mail_does_not_make_it_new_again(tmp_path: Path) -> None:
    path = make_maildir(tmp_path / "m")
    (path / "new" / "1.a").write_bytes(letter("x"))
    mailbox = MaildirMailbox(path, reader="m")
    mailbox.pass_over([mail.place for batch in mailbox.batches() for mail in batch])
    (path / "new" / "1.a").rename(path / "cur" / "1.a:2,RS")
    assert list(mailbox.batches()) == []


def test_what_was_looked_at_is_forgotten_once_many_of_them_are_gone(tmp_path: Path) -> None:
    path = make_maildir(tmp_path / "m")
    mailbox = MaildirMailbox(path, reader="m")
    mailbox.pass_over([f"new/{number}.gone" for number in range(3000)])
    (path / "new" / "1.a").write_bytes(letter("x"))
    for _ in range(2):
        mailbox.pass_over([mail.place for batch in mailbox.batches() for mail in batch])
    assert (path / "digest-m.looked-at").read_text().split() == ["1.a"]


def test_a_maildir_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(MailboxError, match=r"it cannot be read.*check \[inbox\] path"):
        list(MaildirMailbox(tmp_path / "none", reader="m").batches())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"port": 1}, "no connection"),
        ({"password": "wrong"}, "login was refused.*DIGEST_IMAP_PASSWORD"),
        ({"password": "wröng"}, "login was refused"),
        ({"folder": "None"}, r"cannot open None|does not open None"),
        ({"tls": "tls"}, "no connection"),
        ({"tls": "starttls"}, "start TLS"),
    ],
)
def test_what_is_wrong_with_a_server_is_one_clear_error_without_the_password(
    changes: dict[str, object], words: str
) -> None:
    with ImapServer() as server, closing(imap(server, **changes)) as mailbox:
        with pytest.raises(MailboxError, match=words) as caught:
            mailbox.check()
        assert str(changes.get("password", "letmein")) not in str(caught.value)
        assert "letmein" not in repr(mailbox)


def test_a_certificate_that_nobody_vouches_for_is_refused_and_one_that_is_known_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path)
    with ImapServer(certificate=certificate) as server:
        ways = ({"tls": "tls", "port": server.tls_port}, {"tls": "starttls"})
        for changes in ways:
            with closing(imap(server, **changes)) as mailbox, pytest.raises(MailboxError, match=r"connection|TLS"):
                mailbox.check()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        for changes in ways:
            with closing(imap(server, **changes)) as mailbox:
                assert "0 mails" in mailbox.check()


def test_a_folder_may_have_any_name_and_a_lost_connection_is_made_anew() -> None:
    with ImapServer() as server:
        with closing(imap(server)) as first:
            first.check()
            name = first._make('Rück & "läufe"')
        folder = 'Digest/Rück & "läufe"'
        with closing(imap(server, folder=folder)) as mailbox:
            assert "0 mails" in mailbox.check()
            assert mailbox._imap._connection is not None
            mailbox._imap._connection.shutdown()
            with pytest.raises(MailboxError, match="the connection was lost"):
                mailbox.check()
            assert "0 mails" in mailbox.check()
        assert name.isascii()


@dataclass
class Hearing:
    """What events are handed over to, and remembers them; it may be broken off."""

    events: list[Event] = field(default_factory=list)
    fails: bool = False

    def __call__(self, app: App, events: Sequence[Event]) -> Heard:
        if self.fails:
            raise MailboxError("test", "broken off")
        new = [event for event in events if event.event_id not in {known.event_id for known in self.events}]
        self.events += new
        return Heard(new=len(new), repeated=len(events) - len(new), ended=len(new))


@pytest.fixture
def app(own_folder: Path) -> Iterator[App]:
    (own_folder / "config.toml").write_text(
        '[newsletter]\nname = "Morning"\nslug = "morning"\nsender = "Morning <brief@news.test>"\n'
        'reply_to = "bounces@news.test"\n'
        '[inbox]\nkind = "maildir"\naddress = "bounces@news.test"\npath = "Maildir"\n',
        encoding="utf-8",
    )
    with App(load_config(own_folder / "config.toml", {}), clock=lambda: NOW) as app:
        for name in ("jo", "al"):
            reader = Subscriber(email=f"{name}@far.test", state=SubscriberState.ACTIVE)
            app.store.subscribers.add("morning", reader, now=NOW)
        yield app


def token_of(app: App, name: str) -> str:
    reader = app.store.subscribers.find("morning", f"{name}@far.test")
    assert reader is not None
    return app.links.sign(reader.key)


def state_of(app: App, name: str) -> SubscriberState:
    reader = app.store.subscribers.find("morning", f"{name}@far.test")
    assert reader is not None
    return reader.state


def post_day(app: App) -> list[bytes]:
    """A bit of everything."""
    hidden = ORIGINAL.replace(SEND_KEY, "another").replace(TOKEN, token_of(app, "jo"))
    return [
        postfix(),
        complaint(original=hidden),
        letter(f"unsubscribe {token_of(app, 'al')}", to="bounces+unsubscribe@news.test"),
        letter("Automatic reply: x"),
        letter("A tip for you"),
        letter("unsubscribe", to="bounces+unsubscribe@news.test", sender="jo@far.test"),
        postfix(to="bounces@news.test", original="Subject: not ours\n"),
        b"\xff\x00" * 50,
    ]


WHOLE = InboxRead(
    bounces=1, complaints=1, left=1, automatic=1, persons=4, ask_to_leave=1, unmatched=1, unreadable=0, ended=2
)


def test_each_kind_of_mail_has_its_effect_and_its_place_and_peoples_stay(app: App, box: Box) -> None:
    box.put(*post_day(app))
    hearing = Hearing()
    with closing(box.open()) as mailbox:
        assert read_inbox(app, mailbox, take=hearing) == WHOLE
    by_kind = {event.kind: event for event in hearing.events}
    assert set(by_kind) == {EventKind.BOUNCED, EventKind.COMPLAINED}
    assert (by_kind[EventKind.BOUNCED].send_key, by_kind[EventKind.BOUNCED].email) == (SEND_KEY, None)
    assert (by_kind[EventKind.COMPLAINED].send_key, by_kind[EventKind.COMPLAINED].email) == (None, "jo@far.test")
    assert (state_of(app, "al"), state_of(app, "jo")) == (SubscriberState.UNSUBSCRIBED, SubscriberState.ACTIVE)
    for folder in ("bounces", "complaints", "left", "auto"):
        assert len(box.folder(folder)) == 1
    subjects = {str(email.message_from_bytes(raw)["Subject"]) for raw in box.inbox()}
    assert subjects == {"A tip for you", "unsubscribe", "Undelivered Mail Returned to Sender", "None"}
    assert box.unread() == 4
    with closing(box.open()) as mailbox:
        assert read_inbox(app, mailbox, take=hearing) == InboxRead()
    assert len(hearing.events) == 2


def test_a_dry_run_counts_and_changes_nothing(app: App, box: Box) -> None:
    box.put(*post_day(app))
    for _ in range(2):
        with closing(box.open()) as mailbox:
            read = read_inbox(app, mailbox, take=Hearing(fails=True), dry=True)
        assert (read.bounces, read.left, read.persons, read.ended) == (1, 1, 4, 0)
    assert state_of(app, "al") is SubscriberState.ACTIVE
    assert (len(box.inbox()), box.unread()) == (8, 8)


class Dying:
    """A mailbox whose reader is killed at its n-th act."""

    def __init__(self, mailbox: Mailbox, acts: int) -> None:
        self._mailbox, self._acts = mailbox, acts
        self.batches = mailbox.batches

    def move(self, places: Sequence[str], folder: str) -> None:
        self._count()
        self._mailbox.move(places[:1], folder)
        self._count()
        self._mailbox.move(places[1:], folder)

    def pass_over(self, places: Sequence[str]) -> None:
        self._count()
        self._mailbox.pass_over(places)

    def _count(self) -> None:
        self._acts -= 1
        if self._acts < 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("acts", range(9))
def test_after_a_crash_at_any_point_the_next_reader_goes_on_and_nothing_counts_twice(
    app: App, tmp_path: Path, acts: int
) -> None:
    path = make_maildir(tmp_path / "Maildir")
    box = Box(path, lambda: MaildirMailbox(path, reader="morning"))
    box.put(*post_day(app))
    hearing = Hearing()
    with pytest.raises(KeyboardInterrupt):
        read_inbox(app, Dying(box.open(), acts), take=hearing)  # type: ignore[arg-type]
    read_inbox(app, take=hearing)
    assert sorted(event.kind for event in hearing.events) == [EventKind.BOUNCED, EventKind.COMPLAINED]
    assert state_of(app, "al") is SubscriberState.UNSUBSCRIBED
    assert [len(box.folder(name)) for name in ("bounces", "complaints", "left", "auto")] == [1, 1, 1, 1]
    assert (len(box.inbox()), read(box)) == (4, [])


def test_what_could_not_be_written_down_is_not_put_away(app: App, tmp_path: Path) -> None:
    path = make_maildir(tmp_path / "Maildir")
    box = Box(path, lambda: MaildirMailbox(path, reader="morning"))
    box.put(postfix())
    with pytest.raises(MailboxError):
        read_inbox(app, take=Hearing(fails=True))
    assert len(box.inbox()) == 1
    assert read_inbox(app, take=Hearing()).bounces == 1


def test_leaving_twice_or_after_being_erased_is_harmless(app: App, tmp_path: Path) -> None:
    path = make_maildir(tmp_path / "Maildir")
    box = Box(path, lambda: MaildirMailbox(path, reader="morning"))
    ask = letter(f"unsubscribe {token_of(app, 'al')}")
    box.put(ask, ask)
    hidden = complaint(original=ORIGINAL.replace(SEND_KEY, "x").replace(TOKEN, token_of(app, "al")))
    assert read_inbox(app, take=Hearing()).left == 2
    app.store.subscribers.erase("al@far.test", now=NOW)
    box.put(ask, hidden)
    hearing = Hearing()
    assert read_inbox(app, take=hearing).left == 1
    assert hearing.events == [] and box.inbox() == []


def test_an_opt_out_report_lets_its_reader_leave_this_newsletter(app: App, tmp_path: Path) -> None:
    path = make_maildir(tmp_path / "Maildir")
    box = Box(path, lambda: MaildirMailbox(path, reader="morning"))
    hidden = ORIGINAL.replace(SEND_KEY, "another").replace(TOKEN, token_of(app, "jo"))
    box.put(complaint(kind="opt-out", original=hidden))
    read_inbox(app, take=Hearing())
    assert state_of(app, "jo") is SubscriberState.UNSUBSCRIBED


def test_without_an_inbox_there_is_nothing_to_read(tmp_path: Path) -> None:
    newsletter = '[newsletter]\nname = "M"\nslug = "m"\nsender = "b@news.test"\n'
    imap = '[inbox]\nkind = "imap"\naddress = "b@news.test"\nhost = "mail.test"\nusername = "jo"\n'
    for inbox, words in (("", "none is configured"), (imap, "DIGEST_IMAP_PASSWORD")):
        (tmp_path / "config.toml").write_text(newsletter + inbox, encoding="utf-8")
        with App(load_config(tmp_path / "config.toml", {})) as app, pytest.raises(ConfigError, match=words):
            open_mailbox(app)


def test_the_server_reads_again_and_again_by_one_reader_also_over_lost_connections(tmp_path: Path) -> None:
    with ImapServer() as server:
        (tmp_path / "config.toml").write_text(
            '[newsletter]\nname = "M"\nslug = "m"\nsender = "b@news.test"\n'
            '[inbox]\nkind = "imap"\naddress = "bounces@news.test"\nhost = "127.0.0.1"\n'
            f'port = {server.port}\ntls = "none"\nusername = "jo"\n',
            encoding="utf-8",
        )
        box = Box(server.path, lambda: imap(server), server.own)
        with App(load_config(tmp_path / "config.toml", {"DIGEST_IMAP_PASSWORD": "letmein"})) as app:
            chore = next(one for one in list_chores(app) if one.name == "inbox")
            said = []
            for number in range(3):
                box.put(letter(f"Mail {number}"))
                said += [chore.work(), chore.work()]
    assert said == ["inbox: 1 for you to read", None] * 3


def test_what_was_read_is_said_in_one_line_and_nothing_when_nothing_came() -> None:
    assert say_read(InboxRead()) is None
    said = say_read(InboxRead(bounces=2, persons=3, ask_to_leave=1, quarantined=4))
    assert said is not None
    assert said.startswith("inbox: 2 bounces, 3 for you to read; 1 of them ask to leave")
    assert "4 bounces were set aside" in said
