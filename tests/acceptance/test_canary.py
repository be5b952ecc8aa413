"""Seeds get an edition first, over a real server into a real mailbox, and readers when the seeds' receiver agrees."""

import email
import email.policy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import pytest

from digest.app import App
from digest.config import load_config
from digest.errors import ConfigError
from digest.models import EditionState, Report, StageReport, Subscriber, SubscriberState
from digest.operate.check import check_everything
from digest.operate.revising import approve_edition, hold_edition, revise_edition
from digest.schedule import Ticker
from tests.acceptance.conftest import Desk
from tests.doubles.clock import Clock
from tests.doubles.imap_server import ImapServer
from tests.doubles.smtp_server import Received, SmtpServer

SEEDS = ("seed-one@box.test", "seed-two@box.test")
READER = "reader@rehearsal.test"
DESK = "desk@rehearsal.test"
GOOD = (
    "Authentication-Results: mx.box.test;\r\n"
    "\tdkim=pass (2048-bit key) header.d=news.test header.s=main;\r\n"
    "\tspf=pass smtp.mailfrom=brief@news.test; dmarc=pass (p=none) header.from=news.test\r\n"
)
BAD = GOOD.replace("dkim=pass", "dkim=fail").replace("dmarc=pass", "dmarc=fail")


def make_folder(server: ImapServer, folder: Path) -> Path:
    for part in (folder, folder / "new", folder / "cur", folder / "tmp"):
        part.mkdir(exist_ok=True)
        server.own(part)
    return folder


@pytest.fixture(scope="module")
def imap() -> Iterator[ImapServer]:
    with ImapServer() as server:
        make_folder(server, server.path / ".Junk")
        yield server


@dataclass
class Receiver:
    """The server that the seeds' mail comes to: it writes what it found above each message, and puts it away."""

    imap: ImapServer
    says: dict[str, str] = field(default_factory=dict)  # by address; GOOD for others
    folders: dict[str, str] = field(default_factory=dict)  # "": it loses the message
    kept_back: list[Received] | None = None  # what is delivered later
    count: int = 0

    def deliver(self, received: Received) -> None:
        if received.recipient not in SEEDS:
            return
        if self.kept_back is not None:
            self.kept_back.append(received)
            return
        self.lay(received)

    def lay(self, received: Received) -> None:
        folder = self.folders.get(received.recipient, ".")
        if not folder:
            return
        self.count += 1
        trace = f"Received: from news.test by mx.box.test; {self.count}\r\n"
        path = self.imap.path / folder / "new" / f"{time.time_ns()}.{self.count}"
        head = trace + self.says.get(received.recipient, GOOD)
        path.write_bytes(head.encode() + received.content)
        self.imap.own(path)


@dataclass
class House:
    """A newsletter with one reader, over SMTP, whose seeds' mail is read over IMAP; waiting takes no time."""

    folder: Path
    imap: ImapServer
    smtp: SmtpServer
    receiver: Receiver
    clock: Clock
    stages: list[StageReport] = field(default_factory=list)
    on_wait: Callable[[], None] = lambda: None
    on_stage: Callable[[StageReport], None] = lambda stage: None
    environment: dict[str, str] = field(default_factory=lambda: {"DIGEST_CANARY_PASSWORD": "letmein"})

    def configure(self, canary: str | None = None, *, transport: str | None = None) -> None:
        own = f'host = "127.0.0.1"\nport = {self.imap.port}\ntls = "none"\nusername = "seeds"\n'
        seeds = ", ".join(f'"{seed}"' for seed in SEEDS)
        (self.folder / "config.toml").write_text(
            '[newsletter]\nname = "Morning Brief"\nslug = "morning"\nsender = "Morning Brief <brief@news.test>"\n'
            'base_url = "https://news.test"\n'
            f'[[sources]]\nid = "herald"\nkind = "file"\npath = "{self.folder / "herald.xml"}"\nfull_text = false\n'
            'rights = "own"\n[edition]\nmin_stories = 1\n'
            + (transport or f'[transport]\nkind = "smtp"\nhost = "127.0.0.1"\nport = {self.smtp.port}\ntls = "none"\n')
            + f'[alerts]\nto = ["{DESK}"]\n'
            + (canary if canary is not None else f"[canary]\nto = [{seeds}]\n{own}"),
            encoding="utf-8",
        )

    def open(self) -> App:
        def wait(seconds: float) -> None:
            self.clock.wait(seconds)
            self.on_wait()

        def note(stage: StageReport) -> None:
            self.stages.append(stage)
            self.on_stage(stage)

        config = load_config(self.folder / "config.toml", self.environment)
        return App(config, clock=self.clock, wait=wait, on_stage=note)

    def run(self) -> Report:
        with self.open() as app:
            return app.run()

    def mailed(self) -> list[str]:
        """Who got what by now, in order; forgotten by it."""
        mailed = [message.recipient for message in self.smtp.messages]
        self.smtp.messages.clear()
        return mailed

    def canary(self) -> StageReport:
        return [stage for stage in self.stages if stage.stage == "canary"][-1]


FEED = """<rss version="2.0"><channel><title>Herald</title><item><title>The harbour opens on Monday</title>
<guid>1</guid><pubDate>Mon, 02 Mar 2026 06:00:00 GMT</pubDate><description>The harbour opens again on Monday, the
council said. Ships wait outside since Friday, when the storm broke the lock. Divers work on it by day and by
night.</description></item></channel></rss>"""


@pytest.fixture
def house(own_folder: Path, imap: ImapServer) -> Iterator[House]:
    receiver = Receiver(imap)
    (own_folder / "herald.xml").write_text(FEED, encoding="utf-8")
    with SmtpServer(deliver=receiver.deliver) as smtp:
        clock = Clock(datetime.fromisoformat("2026-03-02T07:01:00+00:00"))
        house = House(own_folder, imap, smtp, receiver, clock)
        house.configure()
        with house.open() as app:
            reader = Subscriber(email=READER, state=SubscriberState.ACTIVE, consent_at=clock())
            app.store.subscribers.add_many("morning", [reader], now=clock())
        yield house


def test_seeds_get_it_first_as_readers_do_and_when_all_is_well_readers_get_it(house: House) -> None:
    report = house.run()
    assert (report.state, report.status) == (EditionState.SENT, "done")
    stage = house.canary()
    assert stage.counts == {"seeds": 2, "arrived": 2, "passed": 2}
    assert stage.notes == ("dkim, spf, dmarc passed at mx.box.test",)
    messages = list(house.smtp.messages)
    assert house.mailed() == [*SEEDS, READER]
    own = ("To", "Message-ID", "List-Unsubscribe")
    mails = [email.message_from_bytes(message.content) for message in messages]
    seen = [[(name, str(value)) for name, value in mail.items() if name not in own] for mail in mails]
    assert seen[0] == seen[1] == seen[2]
    assert messages[0].sender == messages[2].sender
    assert len({mail["Message-ID"] for mail in mails}) == 3
    with house.open() as app:
        for mail in mails[:2]:
            link = mail["List-Unsubscribe"].strip("<>")
            assert app.store.subscribers.by_key("morning", app.links.verify(link.rpartition("/")[2])) is None
    assert house.run().message.startswith("the edition of 2026-03-02 was already sent")


def test_copies_stay_in_the_mailbox_and_are_marked_as_read(house: House) -> None:
    before = {path.name for path in (house.imap.path / "cur").iterdir()}
    house.run()
    copies = [path for path in (house.imap.path / "cur").iterdir() if path.name not in before]
    assert [path.name.partition(":2,")[2] for path in copies] == ["S", "S"]


def refuse(house: House) -> None:
    house.smtp.on_rcpt = lambda address: f"550 5.1.1 <{address}> unknown" if address == SEEDS[1] else "250 2.1.5 ok"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(
            lambda house: house.receiver.says.update({SEEDS[1]: BAD}),
            "1 of 2 seeds: dkim=fail, dmarc=fail (at mx.box.test)",
            id="it-fails",
        ),
        pytest.param(
            lambda house: house.receiver.folders.update({SEEDS[1]: ".Junk"}),
            "1 of 2 seeds: lies in Junk, among the junk (at mx.box.test)",
            id="junk",
        ),
        pytest.param(
            lambda house: house.receiver.folders.update({SEEDS[0]: "", SEEDS[1]: ""}),
            "2 of 2 seeds: did not arrive within 5 minutes",
            id="lost",
        ),
        pytest.param(
            lambda house: house.receiver.says.update({SEEDS[1]: ""}),
            "1 of 2 seeds: no Authentication-Results of its receiver",
            id="nothing-said",
        ),
        pytest.param(refuse, "1 of 2 seeds: was refused: 550 5.1.1", id="refused"),
    ],
)
def test_what_a_seed_finds_holds_the_edition_and_the_operator_is_told(
    house: House, change: Callable[[House], None], words: str
) -> None:
    change(house)
    report = house.run()
    assert (report.state, report.status) == (EditionState.HELD, "partial")
    assert report.message == f"the edition of 2026-03-02 is held: canary: {words}"
    assert house.canary().counts["passed"] < 2
    alert = email.message_from_bytes(house.smtp.messages[-1].content, policy=email.policy.default)
    body = alert.get_body(("plain",))
    assert body is not None
    assert [address for address in house.mailed() if address not in SEEDS] == [DESK]
    assert alert["Subject"] == "[Morning Brief] The edition of 2026-03-02 is held by its canary"
    said = body.get_content()
    assert f"- {words}" in said and "digest editions approve 2026-03-02 --force" in said
    said += report.message + str(report.stages)
    assert not [seed for seed in SEEDS if seed in said]


def test_a_person_lets_it_go_against_a_canary_and_no_other_is_sent(house: House) -> None:
    house.receiver.says.update(dict.fromkeys(SEEDS, BAD))
    house.run()
    house.mailed()
    with house.open() as app:
        (stored,) = app.store.editions.newest("morning")
        with pytest.raises(ConfigError, match="--force"):
            approve_edition(app, stored)
        approve_edition(app, stored, by="Ann Bee", force=True)
        (stored,) = app.store.editions.newest("morning")
        assert "although held by canary: 2 of 2 seeds" in (stored.reason or "")
    assert house.run().state is EditionState.SENT
    assert house.mailed() == [READER]
    assert house.canary().notes == ("not sent: a person let the edition go without",)


def test_what_was_mended_is_tried_by_the_next_run_and_the_same_edition_goes(house: House) -> None:
    house.receiver.says.update(dict.fromkeys(SEEDS, BAD))
    subject = house.run().subject
    assert house.run().state is EditionState.HELD
    assert house.mailed() == [*SEEDS, DESK, *SEEDS]  # the operator knows already
    house.receiver.says.clear()
    (house.folder / "herald.xml").write_text(FEED.replace("harbour", "airport").replace("<guid>1", "<guid>2"))
    report = house.run()
    assert (report.state, report.subject) == (EditionState.SENT, subject)
    assert house.mailed() == [*SEEDS, READER]


def test_a_copy_that_comes_late_is_waited_for(house: House) -> None:
    house.receiver.kept_back = kept = []
    waits: list[float] = []

    def arrive() -> None:
        waits.append(1)
        if len(waits) == 20:
            for received in kept:
                house.receiver.lay(received)

    house.on_wait = arrive
    assert house.run().state is EditionState.SENT
    assert len(waits) == 20


def test_what_a_seeds_server_puts_off_is_tried_again_within_the_wait(house: House) -> None:
    replies = iter(["451 4.7.1 greylisted"] * 2)
    house.smtp.on_rcpt = lambda address: next(replies, "250 2.1.5 ok") if address in SEEDS else "250 2.1.5 ok"
    assert house.run().state is EditionState.SENT
    assert house.mailed() == [*SEEDS, READER]


def test_what_is_put_off_for_good_holds_it(house: House) -> None:
    house.smtp.on_rcpt = lambda address: "451 4.7.1 not now" if address == SEEDS[0] else "250 2.1.5 ok"
    assert "1 of 2 seeds: was not taken: 451 4.7.1" in house.run().message


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            'username = "seeds"',
            'username = "seeds"\nfolder = "Nowhere"',
            "does not open Nowhere (check [canary] folder)",
        ),
        ("port = {imap}", "port = 1", "no connection"),
    ],
)
def test_a_mailbox_that_cannot_be_read_holds_it_before_anything_is_sent(
    house: House, old: str, new: str, words: str
) -> None:
    path = house.folder / "config.toml"
    path.write_text(path.read_text().replace(old.format(imap=house.imap.port), new))
    report = house.run()
    assert report.state is EditionState.HELD
    assert "canary: 2 of 2 seeds: the mailbox cannot be read" in report.message and words in report.message
    assert house.mailed() == [DESK]


def test_a_login_that_is_refused_holds_it_and_no_secret_is_said(house: House) -> None:
    house.environment["DIGEST_CANARY_PASSWORD"] = "let-me-out"
    report = house.run()
    assert "the login was refused (check [canary] username and DIGEST_CANARY_PASSWORD)" in report.message
    assert "let-me-out" not in str(report) and house.mailed() == [DESK]
    with house.open() as app:
        (checked,) = [one for one in check_everything(app) if one.subject == "canary"]
    assert (checked.result, checked.remedy) == ("failure", "check [canary] username and DIGEST_CANARY_PASSWORD")


def test_a_run_that_is_stopped_leaves_it_ready_and_the_next_sends_the_canary_again(house: House) -> None:
    house.receiver.folders.update(dict.fromkeys(SEEDS, ""))
    with house.open() as app:
        house.on_wait = app.stop
        report = app.run()
    assert (report.state, report.status) == (EditionState.READY, "failed")
    assert report.message.endswith("was not sent: the canary was stopped while it was waited for")
    house.on_wait = lambda: None
    house.receiver.folders.clear()
    assert house.run().state is EditionState.SENT
    assert house.mailed() == [*SEEDS, *SEEDS, READER]


@dataclass
class Dying:
    """Breaks off a run when a stage has counted something, once."""

    at: str
    count: str
    is_done: bool = False

    def __call__(self, stage: StageReport) -> None:
        if stage.stage == self.at and self.count in stage.counts and not self.is_done:
            self.is_done = True
            raise KeyboardInterrupt


def test_that_it_waits_is_said_before_it_waits(house: House) -> None:
    told: list[StageReport] = []
    house.on_wait = lambda: told.append(house.stages[-1])
    house.receiver.folders.update({SEEDS[0]: ""})
    report = house.run()
    assert told[0].notes == ("waits for their copies, up to 5 minutes",)
    assert "waits" not in str(report.stages)


def test_a_run_that_dies_after_it_passed_sends_no_second_canary(house: House) -> None:
    house.on_stage = Dying("canary", "passed")
    with pytest.raises(KeyboardInterrupt):
        house.run()
    assert house.mailed() == [*SEEDS]
    assert house.run().state is EditionState.SENT
    assert house.mailed() == [READER]
    assert house.canary().notes == ("not sent: it passed before",)


def test_a_run_that_dies_while_it_waits_sends_it_again(house: House) -> None:
    def die() -> None:
        raise KeyboardInterrupt

    house.receiver.folders.update(dict.fromkeys(SEEDS, ""))
    house.on_wait = die
    with pytest.raises(KeyboardInterrupt):
        house.run()
    house.on_wait = lambda: None
    house.receiver.folders.clear()
    assert house.run().state is EditionState.SENT
    assert house.mailed() == [*SEEDS, *SEEDS, READER]


def act_once(act: Callable[[], None]) -> Callable[[], None]:
    done: list[bool] = []

    def once() -> None:
        if not done:
            done.append(True)
            act()

    return once


def test_what_a_person_decides_meanwhile_stands(house: House) -> None:
    house.receiver.folders.update(dict.fromkeys(SEEDS, ""))
    with house.open() as app:

        def hold() -> None:
            hold_edition(app, app.store.editions.newest("morning")[0], "operator: not today")

        house.on_wait = act_once(hold)
        report = app.run()
    assert (report.state, report.message) == (
        EditionState.HELD, "the edition of 2026-03-02 is held: operator: not today"
    )  # fmt: skip
    assert house.mailed() == [*SEEDS]


def test_who_finds_that_another_process_is_sending_by_now_joins_in(house: House) -> None:
    house.receiver.folders.update(dict.fromkeys(SEEDS, ""))
    with house.open() as app:

        def begin() -> None:
            stored = app.store.editions.newest("morning")[0]
            ready, sending = EditionState.READY, EditionState.SENDING
            assert app.store.editions.set_state(stored.id, sending, None, now=house.clock(), only_from=[ready])

        house.on_wait = act_once(begin)
        assert app.run().state is EditionState.SENT
    assert house.mailed() == [*SEEDS]  # the other one plans, and mails the readers


def test_of_an_edition_that_was_edited_meanwhile_the_canary_says_nothing(house: House) -> None:
    house.receiver.kept_back = kept = []
    with house.open() as app:

        def edit_and_deliver() -> None:
            stored = app.store.editions.newest("morning")[0]
            revise_edition(app, stored, lambda edition, _: replace(edition, subject="Another", has_own_subject=True))
            for received in kept:
                house.receiver.lay(received)
            house.receiver.kept_back = None

        house.on_wait = act_once(edit_and_deliver)
        report = app.run()
        assert (report.state, report.status) == (EditionState.READY, "failed")
        assert "it was changed while the canary was waited for" in report.message
        assert app.run().state is EditionState.SENT
    assert house.mailed() == [*SEEDS, *SEEDS, READER]


def test_while_the_first_transport_is_away_nothing_is_held_and_the_next_run_tries_again(house: House) -> None:
    path = house.folder / "config.toml"
    path.write_text(path.read_text().replace(f"port = {house.smtp.port}", "port = 1"))
    report = house.run()
    assert (report.state, report.status) == (EditionState.READY, "failed")
    assert "the canary could not be handed over" in report.message
    told: list[str] = []
    with house.open() as app:
        ticker = Ticker(app, on_report=lambda report: None, on_fault=told.append)
        ticker.tick()
        ticker.tick()
    assert len(told) == 1 and "next try in 1 minutes" in told[0]


def test_seeds_at_several_receivers_are_each_judged_by_their_own(house: House) -> None:
    common = f'host = "127.0.0.1"\nport = {house.imap.port}\ntls = "none"\n'
    house.configure(
        f'[canary]\nto = ["{SEEDS[0]}"]\n{common}username = "seeds"\nreceiver = "box.test"\n'
        f'[[canary.mailboxes]]\nname = "far-away"\nto = ["{SEEDS[1]}"]\n{common}username = "b"\nreceiver = "far.test"\n'
    )
    with house.open() as app, pytest.raises(ConfigError, match="DIGEST_CANARY_PASSWORD_FAR_AWAY"):
        app.run()
    house.environment["DIGEST_CANARY_PASSWORD_FAR_AWAY"] = "letmein"
    report = house.run()
    assert report.message.endswith("canary: 1 of 2 seeds: no Authentication-Results of far.test, only of mx.box.test")
    house.receiver.says[SEEDS[1]] = GOOD.replace("mx.box.test", "mx7.far.test")
    assert house.run().state is EditionState.SENT
    assert house.canary().notes == ("dkim, spf, dmarc passed at mx.box.test, mx7.far.test",)
    with house.open() as app:
        checked = [one for one in check_everything(app) if one.subject.startswith("canary")]
    assert [(one.subject, one.result) for one in checked] == [("canary 1", "ok"), ("canary 2", "ok")]
    assert "1 seeds; 127.0.0.1" in checked[0].message and "INBOX and Junk" in checked[0].message


def test_a_rehearsal_sends_no_canary_to_a_mailbox_elsewhere_and_says_so(house: House) -> None:
    canary = f'[canary]\nto = ["{SEEDS[0]}"]\nhost = "imap.box.test"\nusername = "seeds"\n'
    house.configure(canary, transport=f'[transport]\nkind = "outbox"\npath = "{house.folder / "out"}"\n')
    assert house.run().state is EditionState.SENT
    assert house.canary().notes[0].startswith("not sent: this is a rehearsal")


def test_without_a_reader_no_canary_is_sent(house: House) -> None:
    with house.open() as app:
        app.store.subscribers.erase(READER, now=house.clock())
    assert house.run().state is EditionState.READY
    assert house.mailed() == []


def test_who_only_looks_on_sends_none(house: House) -> None:
    with house.open() as app:
        assert app.run(send=False).state is EditionState.READY
        assert app.run(dry=True).state is EditionState.READY
    assert house.mailed() == []


def test_on_the_command_line_it_is_a_stage_of_the_run(house: House) -> None:
    desk = Desk(house.folder)
    feed = house.folder / "herald.xml"
    config = house.folder / "config.toml"
    config.write_text(config.read_text().replace("full_text = false", "full_text = false\nrelative_dates = true"))
    feed.write_text(FEED)
    house.receiver.says[SEEDS[0]] = BAD
    held = desk.digest("run", **house.environment)
    assert held.code == 3, held.err
    assert "canary     seeds 2, arrived 2, passed 1" in held.out
    assert "canary: 1 of 2 seeds: dkim=fail, dmarc=fail (at mx.box.test)" in held.out
    assert desk.digest("editions", "approve", **house.environment).code == 2
    assert desk.digest("editions", "approve", "--force", **house.environment).code == 0
    sent = desk.digest("run", **house.environment)
    assert sent.code == 0, sent.err
    everything = "".join([held.out, held.err, sent.out, sent.err])
    assert not [seed for seed in SEEDS if seed in everything]
    assert [address for address in house.mailed() if address != DESK] == [*SEEDS, READER]
