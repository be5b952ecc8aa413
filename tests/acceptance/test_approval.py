"""An operator decides on an edition from the link in a mail: what is shown, and what a press does and never does."""

import email
import email.policy
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from html import unescape
from pathlib import Path

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser
from starlette.testclient import TestClient

from digest.app import App
from digest.audience import approval
from digest.compose.revising import rename
from digest.config import load_config
from digest.models import EditionState, StoredEdition, Subscriber, SubscriberState
from digest.operate.revising import revise_edition
from digest.schedule import ensure_due
from digest.web.public import create_public
from tests.acceptance.conftest import Desk
from tests.acceptance.serving import wait_for
from tests.doubles.clock import Clock
from tests.doubles.smtp_server import SmtpServer

BEGIN = datetime.fromisoformat("2026-03-02T07:01:00+00:00")
OPERATORS = ["desk@rehearsal.test", "second@rehearsal.test"]


class Office:
    """A newsletter that is served, its operators' mailboxes, and a clock that the test turns."""

    def __init__(self, folder: Path, server: SmtpServer, clock: Clock, changes: dict[str, str]) -> None:
        self.config = folder / "config.toml"
        text = self.config.read_text()
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        outbox = text[text.index("[transport]") : text.index("[alerts]")]
        smtp = f'[transport]\nkind = "smtp"\nhost = "127.0.0.1"\nport = {server.port}\ntls = "none"\n\n'
        self.config.write_text(text.replace(outbox, smtp))
        self.server, self.clock = server, clock
        self.app = App(load_config(self.config, {}), clock=clock, wait=clock.wait)
        self.client = TestClient(create_public(self.app), follow_redirects=False)

    @property
    def stored(self) -> StoredEdition:
        (newest, *_) = self.app.store.editions.newest("morning")
        return newest

    def mails(self, to: str) -> list[str]:
        """The plain words of what an address got."""
        found = [email.message_from_bytes(m.content, policy=email.policy.default) for m in self.server.messages]
        bodies = [message.get_body(("plain",)) for message in found if message["To"] == to]
        return [body.get_content() for body in bodies if body]

    def path(self, to: str = OPERATORS[0]) -> str:
        """Where the newest mail to an operator leads."""
        found = re.search(r"https://[^/]+(/morning/approval/\S+)", self.mails(to)[-1])
        assert found
        return found[1]

    def look(self, path: str | None = None) -> str:
        answer = self.client.get(path or self.path())
        assert answer.status_code == 200
        return unescape(answer.text)

    def press(self, act: str, path: str | None = None, **fields: str) -> tuple[int, str]:
        """Press a button of the page as it is now, by the name of Ann Bee unless another is given."""
        path = path or self.path()
        shown = re.search(r'name="shown" value="(\w+)"', self.client.get(path).text)
        form = {"act": act, "name": "Ann Bee", "shown": shown[1] if shown else ""} | fields
        answer = self.client.post(path, data=form)
        return answer.status_code, unescape(answer.text)


APPROVAL = {'approval = "none"': 'approval = "required"'}
FEW = {"min_stories = 3 ": "min_stories = 90 "}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that `digest init` filled, with a reader and operators, in which nothing ran yet."""
    desk = Desk(tmp_path_factory.mktemp("office"))
    assert desk.digest("init").code == 0
    config = desk.folder / "config.toml"
    operators = ", ".join(f'"{one}"' for one in OPERATORS)
    config.write_text(config.read_text().replace("to = []", f"to = [{operators}]"))
    with App(load_config(config, {})) as app:
        reader = Subscriber(email="reader@rehearsal.test", state=SubscriberState.ACTIVE, consent_at=BEGIN)
        app.store.subscribers.add("morning", reader, now=BEGIN)
    return desk.folder


def make_held(prepared: Path, folder: Path, changes: dict[str, str]) -> Path:
    """The same where an edition is held, and nobody was told."""
    shutil.copytree(prepared, folder)
    with SmtpServer() as server:
        office = Office(folder, server, Clock(BEGIN), changes)
        office.app.run(send=False)
        office.app.close()
    text = office.config.read_text()
    smtp = text[text.index("[transport]") : text.index("[alerts]")]
    office.config.write_text(text.replace(smtp, '[transport]\nkind = "outbox"\npath = "outbox"\nrate = "50/s"\n\n'))
    return folder


@pytest.fixture(scope="module")
def waiting(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_held(prepared, tmp_path_factory.mktemp("waiting") / "office", APPROVAL)


@pytest.fixture(scope="module")
def few(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_held(prepared, tmp_path_factory.mktemp("few") / "office", FEW)


@pytest.fixture
def clock() -> Clock:
    return Clock(BEGIN)


Opened = Callable[..., Office]


@pytest.fixture
def open_office(tmp_path: Path, clock: Clock) -> Iterator[Opened]:
    """Open a copy of a folder."""
    offices: list[Office] = []
    with SmtpServer() as server:

        def start(folder: Path, **changes: str) -> Office:
            shutil.copytree(folder, tmp_path / "office")
            offices.append(Office(tmp_path / "office", server, clock, changes))
            return offices[-1]

        yield start
        for office in offices:
            office.app.close()


@pytest.fixture
def office(open_office: Opened, waiting: Path) -> Office:
    """An edition that waits for approval, of which the operators were told."""
    opened = open_office(waiting)
    opened.app.run()
    return opened


# -- the mail --------------------------------------------------------------------------------------------------------


def test_each_operator_is_told_once_by_a_link_of_their_own(office: Office) -> None:
    links = [office.path(to) for to in OPERATORS]
    assert len(set(links)) == 2
    assert "waits for approval" in office.mails(OPERATORS[0])[0]
    assert not any("@" in link or "desk" in link for link in links)
    for _ in range(3):
        office.clock.wait(600)
        office.app.run()
        ensure_due(office.app, office.clock())
    assert [len(office.mails(to)) for to in OPERATORS] == [1, 1]


def test_a_mail_that_could_not_go_is_tried_again_and_then_no_more(open_office: Opened, waiting: Path) -> None:
    office = open_office(waiting)
    office.server.on_rcpt = lambda _: "451 4.3.0 not now"
    report = office.app.run()
    assert "2 of 2 alerts were not accepted" in str(report.stages)
    assert "@" not in str(report.stages)
    office.clock.wait(60)
    assert ensure_due(office.app, office.clock()) is None  # not each minute
    office.server.on_rcpt = lambda _: "250 2.1.5 ok"
    office.clock.wait(300)
    assert ensure_due(office.app, office.clock()) is not None
    office.clock.wait(600)
    assert ensure_due(office.app, office.clock()) is None
    assert [len(office.mails(to)) for to in OPERATORS] == [1, 1]


# -- the page --------------------------------------------------------------------------------------------------------


def test_it_shows_each_story_with_its_sentences_beside_their_source(office: Office) -> None:
    page = office.look()
    edition = office.stored.edition
    assert edition
    for item in edition.items:
        assert item.headline in page
        assert f'href="{item.link}"' in page
        assert item.outlet in page
        for sentence in item.summary.sentences if item.summary else ():
            assert page.count(sentence.text) >= 2  # in our words, and in theirs
    assert "Preflight" in page
    assert "1 reader is active" in page
    assert edition.subject in page


def test_a_look_changes_nothing_whoever_looks(office: Office) -> None:
    before = office.stored
    for _ in range(3):
        answer = office.client.get(office.path())
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "set-cookie" not in answer.headers
        office.client.head(office.path())
        office.client.get(f"{office.path()}/mail")
    assert office.client.put(office.path()).status_code == 405
    assert office.stored == before


def test_the_mail_itself_is_shown_without_anybodys_link_and_can_do_nothing(office: Office) -> None:
    answer = office.client.get(f"{office.path()}/mail", params={"variant": "all"})
    assert answer.status_code == 200
    assert "__DIGEST" not in answer.text
    policy = answer.headers["content-security-policy"]
    assert "sandbox" in policy and "script-src" not in policy and "form-action 'none'" in policy
    assert office.client.get(f"{office.path()}/mail?variant=nope").status_code == 404


def test_a_headline_is_text_whatever_it_holds(office: Office) -> None:
    def spoil(edition, subject):  # type: ignore[no-untyped-def]
        section, *rest = edition.sections
        lead, *others = section.items
        lead = replace(lead, headline="<script>alert(1)</script>", link="javascript:alert(1)", edited=("headline",))
        return replace(edition, sections=(replace(section, items=(lead, *others)), *rest))

    revise_edition(office.app, office.stored, spoil)
    raw = office.client.get(office.path()).text
    assert "<script" not in raw
    assert 'href="javascript' not in raw


# -- deciding --------------------------------------------------------------------------------------------------------


def test_who_approves_is_recorded_and_the_next_look_of_serve_sends_it(office: Office) -> None:
    status, _ = office.press("approve", name="  Ann \n Bee ")
    assert status == 303
    stored = office.stored
    assert (stored.state, stored.edition and stored.edition.approved_by) == (EditionState.READY, "Ann Bee")
    assert stored.reason == "approved by Ann Bee, from the link mailed to alert address 1"
    page = office.look()
    assert "Approved by Ann Bee" in page
    assert "digest serve" in page and "within a minute" in page
    report = ensure_due(office.app, office.clock())
    assert report
    assert report.state is EditionState.SENT
    assert "approved by Ann Bee" in str(report.stages)
    assert len(office.mails("reader@rehearsal.test")) == 1
    page = office.look(office.path(OPERATORS[1]))
    assert "Approved by Ann Bee" in page and "Sent at" in page
    assert "<form" not in page
    assert office.press("approve", shown="x")[0] == 409
    assert len(office.mails("reader@rehearsal.test")) == 1


def test_what_a_machine_holds_takes_a_second_word(open_office: Opened, few: Path) -> None:
    office = open_office(few)
    office.app.run()
    assert "few stories" in office.look()
    status, page = office.press("approve")
    assert status == 409
    assert "Nothing was done" in page and 'value="Ann Bee"' in page
    assert office.stored.state is EditionState.HELD
    assert office.press("approve", force="yes")[0] == 303
    reason = office.stored.reason or ""
    assert reason.startswith(
        "approved by Ann Bee, from the link mailed to alert address 1 although held by few stories"
    )


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "\x00", "Ann\u202eBee"])
def test_nobody_without_a_name_decides(office: Office, name: str) -> None:
    for act in ("approve", "hold"):
        status, page = office.press(act, name=name)
        assert status == 409
        assert "your name" in page or "name" in page
    assert office.stored.state is EditionState.HELD
    assert (office.stored.reason or "").startswith("approval")


def test_nothing_is_done_to_an_edition_that_was_changed_since_it_was_shown(office: Office) -> None:
    shown = re.search(r'name="shown" value="(\w+)"', office.look())
    assert shown
    office.clock.wait(1)
    revise_edition(office.app, office.stored, lambda edition, _: rename(edition, "Another subject"))
    before = office.stored
    for act in ("approve", "hold"):
        status, page = office.press(act, shown=shown[1])
        assert status == 409
        assert "was changed while you looked" in page
        assert "Another subject" in page
    assert office.stored == before
    assert office.press("approve")[0] == 303


def test_an_edition_that_was_composed_anew_is_another_one(open_office: Opened, few: Path) -> None:
    office = open_office(few)
    office.app.run()
    shown = re.search(r'name="shown" value="(\w+)"', office.look())
    assert shown
    office.clock.wait(60)
    office.app.run()
    assert office.press("approve", shown=shown[1], force="yes")[0] == 409
    assert office.stored.state is EditionState.HELD


def test_of_two_who_decide_at_once_the_second_is_told_of_the_first(office: Office) -> None:
    shown = re.search(r'name="shown" value="(\w+)"', office.look())
    assert shown
    office.clock.wait(5)
    assert office.press("approve", office.path(OPERATORS[1]), name="Cy Dee")[0] == 303
    status, page = office.press("hold", shown=shown[1])
    assert status == 409
    assert "Approved by Cy Dee, from the link mailed to alert address 2" in page
    assert office.stored.state is EditionState.READY


def test_who_holds_keeps_it_from_everybody_until_somebody_approves(office: Office) -> None:
    office.press("approve")
    assert office.press("hold", name="Cy Dee")[0] == 303
    stored = office.stored
    assert stored.state is EditionState.HELD
    assert stored.reason == "operator: held by Cy Dee, from the link mailed to alert address 1"
    assert stored.edition and stored.edition.approved_by is None
    assert ensure_due(office.app, office.clock()) is None
    office.app.run()
    assert office.mails("reader@rehearsal.test") == []
    assert "Held by Cy Dee" in office.look()
    assert office.press("approve")[0] == 303


def test_a_sending_is_stopped_and_goes_on_and_nobody_gets_it_twice(office: Office) -> None:
    office.press("approve")
    office.server.on_data = lambda _: "451 4.3.0 not now"
    office.app.run()
    assert office.stored.state is EditionState.SENDING
    assert "Being sent" in office.look()
    # Who stops need not have seen the newest.
    assert office.press("stop", shown="")[0] == 303
    assert office.stored.state is EditionState.STOPPED
    assert "Stopped by Ann Bee, from the link" in office.look()
    office.server.on_data = lambda _: "250 2.0.0 queued"
    office.clock.wait(3600)
    ensure_due(office.app, office.clock())
    office.app.run()
    assert office.mails("reader@rehearsal.test") == []
    assert office.press("resume", name="Cy Dee")[0] == 303
    ensure_due(office.app, office.clock())
    assert office.stored.state is EditionState.SENT
    assert len(office.mails("reader@rehearsal.test")) == 1
    assert office.press("stop")[0] == 409


def test_an_edition_that_is_approved_late_is_sent_all_the_same(office: Office) -> None:
    office.clock.wait(23.5 * 3600)
    assert office.press("approve")[0] == 303
    office.clock.wait(45 * 60)  # the next one is due by now
    for _ in range(2):
        ensure_due(office.app, office.clock())
    sent = office.app.store.editions.find("morning", "daily", BEGIN.date())
    assert sent
    assert sent.state is EditionState.SENT
    assert len(office.mails("reader@rehearsal.test")) == 1


@pytest.mark.parametrize("act", ["", "withdraw", "stop", "resume"])
def test_what_cannot_be_done_is_not(office: Office, act: str) -> None:
    before = office.stored
    assert office.press(act)[0] in {400, 409}
    assert office.stored == before


# -- links -----------------------------------------------------------------------------------------------------------


def test_a_link_runs_out_and_says_so(office: Office) -> None:
    path = office.path()
    office.clock.wait(48 * 3600 - 1)
    assert office.client.get(path).status_code == 200
    office.clock.wait(1)
    for answer in (
        office.client.get(path),
        office.client.get(f"{path}/mail"),
        office.client.post(path, data={"act": "approve", "name": "Ann Bee", "shown": ""}),
    ):
        assert answer.status_code == 410
        assert "run out" in answer.text
        assert "Selwick" not in answer.text
    assert office.stored.state is EditionState.HELD


def test_it_works_as_long_as_the_edition_may_be_sent() -> None:
    for lateness, hours in ((timedelta(hours=4), 48), (timedelta(hours=72), 72)):
        assert approval.expires_at(BEGIN, lateness) == BEGIN + timedelta(hours=hours)


def test_who_is_told_no_more_decides_no_more(open_office: Opened, waiting: Path, office: Office) -> None:
    path = office.path(OPERATORS[1])
    office.config.write_text(office.config.read_text().replace(f', "{OPERATORS[1]}"', ""))
    with App(load_config(office.config, {}), clock=office.clock) as app:
        client = TestClient(create_public(app))
        assert client.get(path).status_code == 410
        assert client.get(office.path()).status_code == 200


def test_no_altered_link_is_taken(office: Office) -> None:
    path = office.path()
    place, _, token = path.rpartition("/")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
    altered = [
        token[:at] + letter + token[at + 1 :] for at in range(len(token)) for letter in alphabet[:: len(alphabet) - 1]
    ]
    altered += [token[:-1] + letter for letter in alphabet] + [token + "=", token[:-1], token + "A", token.upper()]
    altered += [office.app.links.sign("0" * 32), office.app.links.sign("1", "open"), "x", "1-1-1", "9" * 300]
    for one in altered[-12:]:
        assert office.client.post(f"{place}/{one}", data={"act": "approve", "name": "A"}).status_code == 404, one
    for one in set(altered) - {token}:
        assert office.client.get(f"{place}/{one}").status_code == 404, one
    assert office.stored.state is EditionState.HELD


# -- in a browser ----------------------------------------------------------------------------------------------------


@contextmanager
def served(app: App) -> Iterator[str]:
    """The public app on a socket."""
    config = uvicorn.Config(create_public(app), host="127.0.0.1", port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started, 20, "the server")
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def test_it_is_decided_on_a_phone_without_javascript(office: Office, phone: Browser) -> None:
    with served(office.app) as url:
        context = phone.new_context(java_script_enabled=False, viewport={"width": 375, "height": 700})
        page = context.new_page()
        page.goto(url + office.path())
        assert "Waits for approval" in page.locator(".state").inner_text()
        page.get_by_role("button", name="Approve").click()  # the browser asks for the name
        assert office.stored.state is EditionState.HELD
        page.locator("#name-approve").fill("Ann Bee")
        page.get_by_role("button", name="Approve").click()
        page.get_by_text("Approved by Ann Bee").wait_for()
        assert office.stored.state is EditionState.READY
        page.locator("#name-hold").fill("Cy Dee")
        page.get_by_role("button", name="Hold").click()
        page.get_by_text("Held by Cy Dee").wait_for()
        context.close()
    assert office.stored.state is EditionState.HELD


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(office: Office, phone: Browser, scheme: str) -> None:
    with served(office.app) as url:
        context = phone.new_context(
            color_scheme=scheme,  # type: ignore[arg-type]
            viewport={"width": 375, "height": 700},
            bypass_csp=True,  # for axe's own script
        )
        page = context.new_page()
        page.goto(url + office.path())
        found = Axe().run(page).response["violations"]
        wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        context.close()
    assert [one["id"] for one in found if one["impact"] in {"serious", "critical"}] == []
    assert not wide
