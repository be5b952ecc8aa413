"""From a message that was sent to what its bounce does: the mailbox and the effect of events, together."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from digest.app import App
from digest.config import load_config
from digest.models import Event, EventKind, Listed, ProviderList, Subscriber, SubscriberState
from digest.operate.events import take_events
from digest.operate.inbox import InboxRead, read_inbox
from digest.operate.reconciling import reconcile
from tests.acceptance.conftest import Desk
from tests.acceptance.test_inbox import give_inbox
from tests.doubles.smtp_server import Received, SmtpServer
from tests.unit.returned_mails import complaint, gmail, letter, postfix

NAMES = ("al", "jo", "mo", "vi")


class Post:
    """An edition that went out by SMTP, and the inbox that answers to it come to."""

    def __init__(self, desk: Desk, maildir: Path, sent: list[Received]) -> None:
        self._desk, self._maildir = desk, maildir
        self.sent = {one.recipient.partition("@")[0]: one for one in sent}
        self._count = 0

    def original(self, name: str) -> str:
        """The headers that a server sends back."""
        head = self.sent[name].content.partition(b"\r\n\r\n")[0].decode("ascii").replace("\r\n", "\n")
        return f"Return-Path: <{self.sent[name].sender}>\n{head}\n"

    def come(self, raw: bytes, *, days_ago: float = 0) -> None:
        """A mail that came so long ago, unlike every other."""
        self._count += 1
        raw = re.sub(rb"(?im)^(message-id: <)", rb"\g<1>%d." % self._count, raw, count=1)
        path = self._maildir / "new" / f"{self._count}.mail"
        path.write_bytes(raw)
        at = (datetime.now(UTC) - timedelta(days=days_ago)).timestamp()
        os.utime(path, (at, at))

    def read(self) -> InboxRead:
        with self._app() as app:
            return read_inbox(app)

    def state(self, name: str) -> SubscriberState:
        with self._app() as app:
            reader = app.store.subscribers.find("morning", f"{name}@far.test")
            assert reader is not None
            return reader.state

    def is_suppressed(self, name: str, newsletter: str = "another") -> bool:
        with self._app() as app:
            return app.store.subscribers.is_suppressed(newsletter, f"{name}@far.test")

    @contextmanager
    def _app(self) -> Iterator[App]:
        with App(load_config(self._desk.folder / "config.toml", {})) as app:
            yield app


@pytest.fixture
def post(desk: Desk) -> Post:
    assert desk.digest("init").code == 0
    maildir = give_inbox(desk)
    with SmtpServer() as server:
        path = desk.folder / "config.toml"
        smtp = f'[transport]\nkind = "smtp"\nhost = "127.0.0.1"\nport = {server.port}\ntls = "none"\n'
        text = re.sub(r"\[transport\]\n.*?\n\n", f"{smtp}\n", path.read_text("utf-8"), flags=re.DOTALL)
        path.write_text(text, encoding="utf-8")
        with App(load_config(path, {})) as app:
            for name in NAMES:
                reader = Subscriber(email=f"{name}@far.test", state=SubscriberState.ACTIVE)
                app.store.subscribers.add("morning", reader, now=app.clock())
            app.run()
        return Post(desk, maildir, list(server.messages))


def test_no_such_mailbox_on_two_days_ends_it_and_on_one_day_does_not(post: Post) -> None:
    dsn = postfix(to=post.sent["al"].sender, original=post.original("al"))
    post.come(dsn, days_ago=2)
    post.come(dsn, days_ago=2)
    post.read()
    assert post.state("al") is SubscriberState.ACTIVE
    post.come(dsn, days_ago=0)
    assert post.read().ended == 1
    assert post.state("al") is SubscriberState.BOUNCED
    assert post.is_suppressed("al")
    assert post.state("jo") is SubscriberState.ACTIVE


def test_a_complaint_ends_it_at_once_and_for_every_newsletter(post: Post) -> None:
    post.come(complaint(original=post.original("jo")))
    assert post.read().ended == 1
    assert post.state("jo") is SubscriberState.COMPLAINED
    assert post.is_suppressed("jo")


def test_delays_refused_policies_and_automatic_replies_are_held_against_nobody(post: Post) -> None:
    sender = post.sent["mo"].sender
    key = sender.partition("+")[2].partition("@")[0]
    for days in (3, 2, 1):
        post.come(postfix(to=sender, status="5.7.1", code="550 5.7.1 policy", original=""), days_ago=days)
        delayed = re.sub(rb"bounces\+[0-9a-f]{32}@news\.test", sender.encode(), gmail())
        post.come(re.sub(rb"<[0-9a-f]{32}@news\.test>", f"<{key}@news.test>".encode(), delayed), days_ago=days)
        post.come(letter("Automatic reply: x", to=sender, headers="Auto-Submitted: auto-replied\n"), days_ago=days)
    read = post.read()
    assert (read.bounces, read.automatic, read.ended) == (6, 3, 0)
    assert post.state("mo") is SubscriberState.ACTIVE


def test_forged_reports_are_held_against_nobody(post: Post) -> None:
    for days in (3, 2, 1, 0):
        post.come(postfix(to=f"bounces+{'0' * 32}@rehearsal.test", original=""), days_ago=days)
        post.come(postfix(to="bounces@rehearsal.test", original="To: vi@far.test\n"), days_ago=days)
        post.come(complaint(to="bounces@rehearsal.test", original="To: vi@far.test\n"), days_ago=days)
    read = post.read()
    assert (read.ended, read.unmatched) == (0, 8)
    assert {post.state(name) for name in NAMES} == {SubscriberState.ACTIVE}


class Lists:
    """A provider's list of bounces."""

    def __init__(self, *bounces: Listed) -> None:
        self.bounces = {one.email: one for one in bounces}

    def read(self, name: ProviderList) -> Iterator[Listed]:
        yield from self.bounces.values() if name is ProviderList.BOUNCES else ()

    def add(self, emails: Sequence[str]) -> None:
        assert not emails

    def remove(self, name: ProviderList, emails: Sequence[str]) -> None:
        for email in emails:
            del self.bounces[email]

    def close(self) -> None:
        pass


def test_what_the_operator_restored_after_a_wave_is_not_ended_by_the_providers_list(desk: Desk) -> None:
    assert desk.digest("init").code == 0
    now = datetime.now(UTC)
    names = [f"reader{number}@far.test" for number in range(22)]
    with App(load_config(desk.folder / "config.toml", {})) as app:
        readers = [Subscriber(email=name, state=SubscriberState.ACTIVE) for name in names]
        app.store.subscribers.add_many("morning", readers, now=now - timedelta(days=9))
        events = [
            Event(
                provider="sendgrid",
                event_id=name,
                kind=EventKind.BOUNCED,
                occurred_at=now - timedelta(minutes=5),
                email=name,
                status="5.1.1",
                answer="550 5.1.1 no such user",
            )
            for name in names
        ]
        assert take_events(app, events).quarantined == 22
        lists = Lists(*(Listed(email=name, listed_at=now - timedelta(minutes=5)) for name in names))
        assert reconcile(app, lists).set_aside == 22
        assert reconcile(app, lists, with_waves=True).set_aside == 22  # heard of, and so decided by what was heard
    assert desk.digest("subscribers", "restore", "--since", f"{now - timedelta(days=1):%Y-%m-%d}").code == 0
    with App(load_config(desk.folder / "config.toml", {})) as app:
        assert (reconcile(app, lists).removed, lists.bounces) == (22, {})
        active = app.store.subscribers.everyone("morning", SubscriberState.ACTIVE)
        assert {reader.email for reader in active} == set(names)
