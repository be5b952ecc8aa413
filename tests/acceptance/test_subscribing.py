"""Subscribe, confirm, choose, pause, leave and come back: over real sockets, and what strangers try there."""

import email
import email.policy
import re
import shutil
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from digest.app import App
from digest.decisions import shipped
from digest.errors import RenderError
from digest.models import Choices, Subscriber, SubscriberState
from digest.operate import signing_up
from digest.operate.answering import Answering, answer_requests
from digest.web.api.asking import ask_to_confirm
from tests.acceptance.conftest import Desk
from tests.acceptance.pages import NOW, Pages, html_of, serving_pages, text_of
from tests.acceptance.serving import serving, wait_for

ACTIVE, LEFT = SubscriberState.ACTIVE, SubscriberState.UNSUBSCRIBED
ADA = "ada@rehearsal.test"


@pytest.fixture
def pages(own_folder: Path) -> Iterator[Pages]:
    """A newsletter, served."""
    with serving_pages(own_folder) as served:
        yield served


def add(pages: Pages, address: str, **changes: object) -> Subscriber:
    reader = replace(Subscriber(email=address, state=ACTIVE, consent_at=NOW), **changes)  # type: ignore[arg-type]
    assert pages.app.store.subscribers.add("morning", reader, now=pages.clock())
    found = pages.find(address)
    assert found
    return found


def confirm_link(pages: Pages, address: str = ADA, *more: tuple[str, str]) -> str:
    assert pages.subscribe(address, *more)[0] == 200
    (mail,) = pages.answer()
    (link,) = pages.links_of(mail)
    assert "/confirm/" in link
    return link


def test_who_asks_and_presses_the_button_is_subscribed_with_what_they_chose(pages: Pages) -> None:
    status, page = pages.subscribe(ADA, ("topic", "world"), ("topic", "sport"), ("language", "ar"))
    assert status == 200
    assert ADA not in page
    assert pages.state_of(ADA) is None
    (mail,) = pages.answer()
    assert mail["To"] == ADA
    assert pages.state_of(ADA) is None
    (link,) = pages.links_of(mail)
    assert html_of(mail).count(link) >= 1 and len(set(re.findall(r'href="([^"]+)"', html_of(mail)))) == 1
    status, page, _ = pages.ask(link)
    assert status == 200 and page.count("<button") == 1
    assert "تأكيد" in text_of(mail) and '<html lang="ar" dir="rtl">' in page  # as they chose
    pages.clock.wait(3600)
    assert pages.ask(link, [])[0] == 200
    reader = pages.find(ADA)
    assert reader
    assert (reader.state, reader.topics, reader.language) == (ACTIVE, ("world", "sport"), "ar")
    assert reader.consent_at == NOW + timedelta(hours=1)
    assert reader.consent_from == "127.0.0.1"
    assert reader.consent_text and "Morning Brief" in reader.consent_text


def test_the_mail_is_to_one_person_and_holds_nothing_that_a_stranger_typed(pages: Pages) -> None:
    fields = ("name", "Buy now http://evil.test"), ("consent", "http://evil.test"), ("frequency", "weekly")
    pages.subscribe("buy-now@rehearsal.test", *fields)
    (mail,) = pages.answer()
    assert not {"List-ID", "List-Unsubscribe", "Precedence"} & set(mail.keys())
    assert mail["Auto-Submitted"] == "auto-generated"
    words = f"{mail['Subject']} {text_of(mail)} {html_of(mail)}".lower()
    assert "evil" not in words and "buy" not in words


def test_scanners_that_open_every_link_change_nothing(pages: Pages) -> None:
    link = confirm_link(pages)
    add(pages, "bob@rehearsal.test")
    bob = pages.find("bob@rehearsal.test")
    assert bob
    leave = pages.app.links.unsubscribe_url(bob.key)
    pages.subscribe("bob@rehearsal.test")
    (known,) = pages.answer()
    (preferences,) = pages.links_of(known)
    for _ in range(2):
        for url in (link, leave, f"{leave}/preferences", preferences, "/morning/subscribe"):
            assert pages.ask(url)[0] == 200
    assert pages.state_of(ADA) is None
    assert pages.find("bob@rehearsal.test") == bob
    assert pages.answer() == []
    assert pages.ask(link, [])[0] == 200
    assert pages.state_of(ADA) is ACTIVE


def test_the_answer_is_the_same_whoever_is_known(pages: Pages) -> None:
    add(pages, "active@rehearsal.test")
    add(pages, "pending@rehearsal.test", state=SubscriberState.PENDING)
    for state in ("unsubscribed", "bounced", "complained"):
        reader = Subscriber(email=f"{state}@rehearsal.test", state=SubscriberState(state))
        pages.app.store.subscribers.take("morning", [reader], now=pages.clock())
    asked = [
        f"{who}@rehearsal.test" for who in ("nobody", "active", "pending", "unsubscribed", "bounced", "complained")
    ]
    answers = [pages.subscribe(address) for address in asked]
    answers += [pages.subscribe("often@rehearsal.test") for _ in range(5)]  # over the limit of an address
    answers += [pages.subscribe(f"{number}@rehearsal.test") for number in range(15)]  # and of a network
    assert {status for status, _ in answers} == {200}
    assert len({page for _, page in answers}) == 1
    kinds = {str(mail["To"]).partition("@")[0]: str(mail["Subject"]) for mail in pages.answer()}
    assert kinds["active"] == "You are subscribed to Morning Brief already"
    assert {kinds[who] for who in kinds if who != "active"} == {"Please confirm: Morning Brief"}


def test_mails_to_an_address_and_from_a_network_are_limited_by_the_day(tmp_path: Path) -> None:
    with serving_pages(tmp_path, audience="confirmations_per_network = 5") as pages:
        for address in (ADA, ADA.upper(), "ada+one@rehearsal.test", "ada+two@rehearsal.test"):
            pages.subscribe(address)
        assert len(pages.answer()) == 3  # what stands behind a plus reaches the same mailbox
        for number in range(4):
            pages.subscribe(f"bob{number}@rehearsal.test")
        assert len(pages.answer()) == 2
        pages.clock.wait(86_401)
        pages.subscribe(ADA)
        assert len(pages.answer()) == 1


def test_a_known_reader_keeps_their_choices_whoever_subscribes_them_again(pages: Pages) -> None:
    before = add(pages, ADA, topics=("world",), language="ar")
    pages.subscribe(ADA, ("topic", "sport"), ("language", "en"))
    (mail,) = pages.answer()
    assert "مشترك" in mail["Subject"]  # in their own language
    assert pages.find(ADA) == before
    # Also where they became active while a link was on its way.
    link = confirm_link(pages, "bob@rehearsal.test", ("topic", "sport"))
    bob = add(pages, "bob@rehearsal.test", topics=("world",))
    assert pages.ask(link, [])[0] == 200
    assert pages.find("bob@rehearsal.test") == bob


def test_who_left_comes_back_by_a_confirmed_request_and_by_nothing_else(pages: Pages) -> None:
    first, second = confirm_link(pages), confirm_link(pages)
    pages.ask(first, [])
    reader = pages.find(ADA)
    assert reader
    leave = pages.app.links.unsubscribe_url(reader.key)
    pages.clock.wait(60)
    assert pages.ask(leave, b"List-Unsubscribe=One-Click")[0] == 200
    # Neither the link that was used nor another that was asked for before revives them.
    for link in (first, second):
        assert pages.ask(link, [])[0] == 410
        assert pages.ask(link)[0] == 410
    assert pages.state_of(ADA) is LEFT
    assert pages.app.store.subscribers.is_suppressed("morning", ADA)
    pages.clock.wait(60)
    pages.ask(confirm_link(pages), [])
    back = pages.find(ADA)
    assert back and back.state is ACTIVE
    assert not pages.app.store.subscribers.is_suppressed("morning", ADA)
    assert back.key == reader.key  # the links of old mails lead out as before
    assert list(pages.app.store.subscribers.reached("morning")) == [back]


def test_the_page_after_leaving_has_a_way_back(pages: Pages) -> None:
    reader = add(pages, ADA, topics=("world",))
    page = pages.ask(pages.app.links.unsubscribe_url(reader.key), b"List-Unsubscribe=One-Click")[1]
    action = re.search(r'<form method="post" action="([^"]+)"', page)
    assert action
    pages.clock.wait(1)
    pages.ask(action[1], [])
    (mail,) = pages.answer()
    (link,) = pages.links_of(mail)
    assert pages.ask(link, [])[0] == 200
    back = pages.find(ADA)
    assert back and (back.state, back.topics) == (ACTIVE, ("world",))


@pytest.mark.parametrize("state", ["bounced", "complained"])
def test_who_bounced_or_complained_comes_back_to_one_newsletter_and_is_asked_once_a_week(
    pages: Pages, state: str
) -> None:
    gone = Subscriber(email=ADA, state=SubscriberState(state))
    store = pages.app.store.subscribers
    store.take("morning", [gone], now=pages.clock())
    store.add("evening", Subscriber(email="b@rehearsal.test", state=ACTIVE), now=pages.clock())
    pages.clock.wait(60)
    link = confirm_link(pages)
    for _ in range(2):
        pages.subscribe(ADA)
        assert pages.answer() == []
        pages.clock.wait(3 * 86_400)
    pages.clock.wait(2 * 86_400)
    pages.subscribe(ADA)
    assert len(pages.answer()) == 1
    assert pages.ask(link, [])[0] == 410  # more than a week old
    (fresh,) = pages.links_of(pages.mails()[-1])
    assert pages.ask(fresh, [])[0] == 200
    assert pages.state_of(ADA) is ACTIVE
    assert not store.is_suppressed("morning", ADA)
    assert store.is_suppressed("evening", ADA)


def test_who_was_erased_is_forgotten_with_what_they_asked_for_and_may_come_back(pages: Pages) -> None:
    link = confirm_link(pages)
    pages.ask(link, [])
    pages.subscribe(ADA)
    store = pages.app.store
    assert len(store.requests.of(ADA)) == 2
    assert store.subscribers.erase(ADA, now=pages.clock())
    assert store.requests.of(ADA) == []
    assert pages.answer() == []
    assert pages.ask(link, [])[0] == 410
    pages.clock.wait(1)
    pages.ask(confirm_link(pages), [])
    assert pages.state_of(ADA) is ACTIVE
    # One who only asked is known by that, and can be forgotten as well.
    pages.subscribe("bob@rehearsal.test")
    assert store.subscribers.erase("bob@rehearsal.test", now=pages.clock())
    assert not store.subscribers.erase("bob@rehearsal.test", now=pages.clock())


def test_requests_are_forgotten_after_a_month(pages: Pages) -> None:
    link = confirm_link(pages)
    pages.clock.wait(8 * 86_400)
    assert pages.ask(link, [])[0] == 410
    assert len(pages.app.store.requests.of(ADA)) == 1
    pages.clock.wait(23 * 86_400)
    pages.subscribe("bob@rehearsal.test")
    assert pages.app.store.requests.of(ADA) == []
    assert pages.ask(link)[0] == 410
    assert pages.state_of(ADA) is None


def test_they_are_forgotten_also_where_nobody_asks_any_more(pages: Pages) -> None:
    link = confirm_link(pages)
    pages.clock.wait(31 * 86_400)
    with Answering(pages.app):
        wait_for(lambda: pages.app.store.requests.of(ADA) == [], 20, "an old request to be forgotten")
    assert pages.ask(link)[0] == 410
    assert pages.state_of(ADA) is None


def test_links_of_one_kind_do_no_others_work_and_altered_ones_none(pages: Pages) -> None:
    link = confirm_link(pages)
    token = link.rpartition("/")[2]
    reader = add(pages, "bob@rehearsal.test")
    leave = pages.app.links.sign(reader.key)
    for path in (
        f"/morning/preferences/{token}",
        f"/morning/unsubscribe/{token}/preferences",
        f"/morning/confirm/{leave}",
        f"/morning/preferences/{leave}",
        f"/morning/confirm/{token[:-1]}",
        f"/morning/confirm/{token}=",
        f"/morning/confirm/{'0' * 32}{token[32:]}",
        f"/morning/preferences/{pages.app.links.sign('0' * 32, 'preferences')}",
    ):
        for fields in (None, [("action", "leave")]):
            assert pages.ask(path, fields)[0] == 404, path
    assert pages.state_of(ADA) is None
    assert pages.find("bob@rehearsal.test") == reader


def test_a_forwarded_mails_link_shows_nothing_and_mails_a_fresh_one(pages: Pages) -> None:
    reader = add(pages, ADA, topics=("world",), name="Ada Example")
    url = f"{pages.app.links.unsubscribe_url(reader.key)}/preferences"
    seen = pages.ask(url)[1] + pages.ask(url, [])[1]
    for personal in (ADA, "Ada", "world", "World"):
        assert personal not in seen
    (mail,) = pages.answer()
    assert mail["To"] == ADA
    (link,) = pages.links_of(mail)
    assert 'value="world" id="topic-1" checked' in pages.ask(link)[1]
    # Whoever is not known any more is answered just the same.
    nobody = f"/morning/unsubscribe/{pages.app.links.sign('1' * 32)}/preferences"
    assert pages.ask(nobody, [])[:2] == pages.ask(url, [])[:2]


def preferences_link(pages: Pages, reader: Subscriber) -> str:
    pages.ask(f"{pages.app.links.unsubscribe_url(reader.key)}/preferences", [])
    (mail,) = pages.answer()
    (link,) = pages.links_of(mail)
    return link


def test_who_a_program_asked_for_is_pending_until_they_press_the_button(pages: Pages) -> None:
    for number in range(30):  # a program's network is no limit
        asked = Subscriber(email=f"{number}@rehearsal.test", topics=("world",), consent_text="Signed at the fair")
        pages.app.store.subscribers.add("morning", asked, now=pages.clock())
        assert ask_to_confirm(pages.app, asked)
    assert [ask_to_confirm(pages.app, asked) for _ in range(3)] == [True, True, False]
    mails = pages.answer()
    assert len(mails) == 32
    assert pages.state_of("7@rehearsal.test") is SubscriberState.PENDING
    (link,) = pages.links_of(next(mail for mail in mails if mail["To"] == "7@rehearsal.test"))
    pages.ask(link, [])
    reader = pages.find("7@rehearsal.test")
    assert reader and (reader.state, reader.topics) == (ACTIVE, ("world",))
    assert (reader.consent_text, reader.consent_from) == ("Signed at the fair", "127.0.0.1")


def test_the_preferences_say_when_the_weekly_edition_comes_and_when_each_goes_out(pages: Pages) -> None:
    _, page, _ = pages.ask(preferences_link(pages, add(pages, ADA)))
    assert "It comes on Sunday." in page
    assert "Editions go out to everybody at 7:00" in page


def test_what_is_chosen_is_kept(pages: Pages) -> None:
    link = preferences_link(pages, add(pages, ADA))
    chosen = [
        ("topic", "sport"),
        ("language", "ar"),
        ("timezone", "Asia/Bahrain"),
        ("frequency", "weekly"),
        ("pause", "2"),
    ]
    status, page, _ = pages.ask(link, chosen)
    assert status == 200
    assert '<html lang="ar" dir="rtl">' in page  # from now on in their language
    reader = pages.find(ADA)
    assert reader
    assert (reader.topics, reader.language, reader.timezone) == (("sport",), "ar", "Asia/Bahrain")
    assert reader.frequency == "weekly"
    assert reader.paused_until == (NOW + timedelta(days=14)).replace(hour=0)
    # What the form says of the pause next time: keep it, or end it.
    pages.ask(link, [("topic", "sport"), ("pause", "keep")])
    again = pages.find(ADA)
    assert again and again.paused_until == reader.paused_until and again.frequency == "weekly"
    pages.ask(link, [("topic", "sport"), ("pause", "")])
    over = pages.find(ADA)
    assert over and over.paused_until is None


def test_what_an_import_brought_and_no_form_offers_is_kept(pages: Pages) -> None:
    link = preferences_link(pages, add(pages, ADA, language="it", timezone="US/Eastern"))
    page = pages.ask(link)[1]
    for value, words in (("it", "Italiano"), ("US/Eastern", "US/Eastern")):
        assert re.search(rf'<option value="{value}"[^>]* selected>{words}</option>', page)
    assert pages.ask(link, [("topic", "sport"), ("language", "it"), ("timezone", "US/Eastern")])[0] == 200
    reader = pages.find(ADA)
    assert reader and (reader.language, reader.timezone) == ("it", "US/Eastern")


@pytest.mark.parametrize(
    "wrong",
    [
        [("topic", "none-such")],
        [("language", "tlh")],
        [("timezone", "Mars/Base")],
        [("frequency", "hourly")],
        [("pause", "until"), ("until", "2020-01-01")],
        [("pause", "until"), ("until", "<script>")],
        [("pause", "9")],
        [("topic", "x" * 500)],
    ],
)
def test_a_wrong_choice_is_said_on_the_form_and_nothing_is_kept(pages: Pages, wrong: list[tuple[str, str]]) -> None:
    before = add(pages, ADA, topics=("world",))
    status, page, _ = pages.ask(preferences_link(pages, before), [("topic", "sport"), *wrong])
    assert status == 422
    assert 'class="fault"' in page and "<script>" not in page
    assert pages.find(ADA) == before


def test_a_preferences_link_expires_and_asks_for_a_fresh_one(pages: Pages) -> None:
    link = preferences_link(pages, add(pages, ADA, topics=("world",)))
    pages.clock.wait(86_401)
    status, page, _ = pages.ask(link)
    assert status == 410 and "World" not in page
    assert pages.ask(link, [("topic", "sport")])[0] == 410
    reader = pages.find(ADA)
    assert reader and reader.topics == ("world",)
    assert pages.ask(link, [("ask", "1")])[0] == 200
    assert len(pages.answer()) == 1


def test_leaving_among_the_preferences_is_leaving(pages: Pages) -> None:
    link = preferences_link(pages, add(pages, ADA))
    assert pages.ask(link, [("action", "leave")])[0] == 200
    assert pages.state_of(ADA) is LEFT
    assert pages.app.store.subscribers.is_suppressed("morning", ADA)
    pages.ask(link, [("topic", "sport")])
    assert pages.state_of(ADA) is LEFT


def test_a_paused_reader_is_left_out_by_name(pages: Pages) -> None:
    reader = add(pages, ADA)
    add(pages, "bob@rehearsal.test")
    until = pages.clock() + timedelta(days=2)
    signing_up.change_preferences(pages.app, reader.key, Choices(), paused_until=until)
    assert pages.app.run().deliveries == {"accepted": 1, "skipped": 1}
    stored = pages.app.store.editions.newest("morning", 1)[0]
    (left_out,) = pages.app.store.ledger.deliveries(stored.id, missing=True)
    assert (left_out.email, left_out.answer) == (ADA, "the reader paused until 2026-03-04 12:00 UTC")


@pytest.mark.parametrize(
    "typed",
    [
        "",
        '"a b"@mail.org',
        "ada@mail.org\r\nBcc: everyone@mail.org",
        "ada\x00@mail.org",
        "\u0430da@mail.org",
        "x" * 308 + "@mail.org",
        "x" * 5_000,
        "<script>alert(1)</script>@mail.org",
        "{{ 7 * 7 }}@mail.org",
        "\ud7ff\ufffe@mail.org",
    ],
)
def test_what_is_no_address_is_said_on_the_form_with_what_was_typed(pages: Pages, typed: str) -> None:
    status, page = pages.subscribe(typed, ("topic", "sport"))
    assert status == 422
    assert 'id="fault-email"' in page
    assert "<script>" not in page
    assert 'value="sport" id="topic-6" checked' in page or len(typed) > 1_000
    assert pages.answer() == []


def test_a_topic_or_language_that_is_not_offered_is_said_on_the_form(pages: Pages) -> None:
    for field, value in (("topic", "none-such"), ("language", "tlh"), ("timezone", "Mars/Base"), ("frequency", "x")):
        status, page = pages.subscribe(ADA, (field, value))
        assert status == 422
        assert f'value="{ADA}"' in page
    assert pages.answer() == []


def test_bodies_that_are_no_form_are_refused_clearly(pages: Pages) -> None:
    for body, kind in (
        (b"\xff\xfe=\x80&%=%zz&email", "application/x-www-form-urlencoded"),
        (b'{"email": "ada@mail.org"}', "application/json"),
        (b"--b\r\nnonsense", "multipart/form-data; boundary=b"),
        (b"--b\r\n", "multipart/form-data"),
        (
            b'--b\r\nContent-Disposition: form-data; name="email"; filename="x"\r\n\r\na@b.org\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
        ),
        (b"&".join(b"topic=world" for _ in range(1000)), "application/x-www-form-urlencoded"),
    ):
        status, page, _ = pages.ask("/morning/subscribe", body, Content_Type=kind)
        assert status in {400, 422}, (body[:20], status)
        assert "<h1" in page
    assert pages.answer() == []


def test_a_form_that_another_site_posts_is_refused_unless_it_is_listed(tmp_path: Path) -> None:
    with serving_pages(tmp_path, audience='forms_from = ["https://shop.test"]') as pages:
        key = pages.form_key()
        posted = [("key", key), ("email", ADA)]
        for headers in (
            {"Origin": "https://evil.test"},
            {"Origin": "https://evil.test", "Sec_Fetch_Site": "cross-site"},
            {"Origin": "null", "Sec_Fetch_Site": "cross-site"},
        ):
            assert pages.ask("/morning/subscribe", posted, **headers)[0] == 403
        assert pages.answer() == []
        listed = {"Origin": "https://shop.test", "Sec_Fetch_Site": "cross-site"}
        assert pages.ask("/morning/subscribe", [("email", ADA)], **listed)[0] == 200
        assert len(pages.answer()) == 1
        reader = add(pages, "bob@rehearsal.test")
        fresh = f"{pages.app.links.unsubscribe_url(reader.key)}/preferences"
        assert pages.ask(fresh, [], **listed)[0] == 403


def test_our_own_form_needs_its_key_and_a_page_that_is_not_too_old(pages: Pages) -> None:
    key = pages.form_key()
    for given in ("", key[:-1], pages.app.links.sign("0" * 32)):
        status, page, _ = pages.ask("/morning/subscribe", [("key", given), ("email", ADA)])
        assert status == 422
        assert f'value="{ADA}"' in page
    pages.clock.wait(86_402)
    assert pages.ask("/morning/subscribe", [("key", key), ("email", ADA)])[0] == 422
    assert pages.answer() == []
    assert pages.subscribe(ADA)[0] == 200


def test_pages_of_ours_set_no_cookie_and_run_no_script(pages: Pages) -> None:
    link = confirm_link(pages)
    for path in ("/morning/subscribe", link):
        _, page, headers = pages.ask(path)
        assert "set-cookie" not in {name.lower() for name in headers}
        assert "<script" not in page.lower()


def test_a_crash_between_a_request_and_its_mail_loses_nothing(pages: Pages) -> None:
    pages.subscribe(ADA)
    # Another process over the same database: what a restart is.
    with App(pages.app.config, clock=pages.clock) as restarted:
        with Answering(restarted):
            wait_for(lambda: pages.server.messages, 20, "the mail")
        assert answer_requests(restarted) == 0
    assert pages.answer() == []
    assert len(pages.server.messages) == 1


def test_a_template_that_is_wrong_in_one_language_holds_up_no_other(pages: Pages) -> None:
    folder = pages.app.config.path.parent / "templates" / "email"
    shutil.copytree(shipped("templates"), folder.parent)
    wrong = '{% if language == "ar" %}{{ nothing.of.that.name }}{% endif %}'
    for name in ("notice.html", "notice.txt"):
        words = (folder / name).read_text(encoding="utf-8")
        (folder / name).write_text(f"{words}{wrong}", encoding="utf-8")
    with App(pages.app.config, clock=pages.clock) as app:
        signing_up.ask_to_subscribe(app, ADA, Choices(language="ar"), network=None)
        signing_up.ask_to_subscribe(app, "bob@rehearsal.test", Choices(), network=None)
        with pytest.raises(RenderError):
            answer_requests(app)
        assert [mail["To"] for mail in pages.mails()] == ["bob@rehearsal.test"]
        assert [one.email for one in app.store.requests.open("morning", NOW - timedelta(days=1))] == [ADA]


def test_a_mail_whose_fate_is_not_known_is_never_sent_again_and_one_that_did_not_go_is(pages: Pages) -> None:
    replies = ["drop"]
    pages.server.on_data = lambda _: replies[0]
    pages.subscribe(ADA)
    pages.answer()
    assert len(pages.server.messages) == 1
    replies[0] = "250 ok"
    assert pages.answer() == []
    # A server that asks to wait: certainly not sent, and tried again when it has been given time.
    replies[0] = "451 4.3.0 later"
    pauses: dict[str, tuple[int, object]] = {}
    pages.subscribe("bob@rehearsal.test")
    assert answer_requests(pages.app, pauses) == 0  # type: ignore[arg-type]
    replies[0] = "250 ok"
    assert answer_requests(pages.app, pauses) == 0  # type: ignore[arg-type]
    pages.clock.wait(61)
    assert answer_requests(pages.app, pauses) == 1  # type: ignore[arg-type]
    assert [message.recipient for message in pages.server.messages] == [ADA, "bob@rehearsal.test"]


def test_a_mail_that_could_not_go_for_a_day_goes_no_more(pages: Pages) -> None:
    pages.subscribe(ADA)
    pages.clock.wait(86_401)
    assert pages.answer() == []


def test_digest_serve_mails_what_was_asked_for_and_show_tells_of_it(sample_desk: Desk) -> None:
    with serving(sample_desk) as url:
        form = urllib.request.urlopen(f"{url}/morning/subscribe", timeout=20).read().decode()
        key = re.search(r'name="key" value="([^"]+)"', form)
        assert key
        body = urllib.parse.urlencode({"key": key[1], "email": ADA, "topic": "world"}).encode()
        urllib.request.urlopen(f"{url}/morning/subscribe", body, timeout=20).close()
        wait_for(sample_desk.mails, 20, "the mail")
        mail = email.message_from_bytes(sample_desk.mails()[0].read_bytes(), policy=email.policy.default)
        link = re.search(r"https://news.example.com(/morning/confirm/\S+)", text_of(mail))
        assert link
        (asked,) = sample_desk.digest("subscribers", "show", ADA, "--json").rows
        assert (asked["asked_for"], asked["topics"], asked["used_at"]) == ("confirm", ["world"], None)
        urllib.request.urlopen(url + link[1], b"", timeout=20).close()
    reader, asked = sample_desk.digest("subscribers", "show", ADA, "--json").rows
    assert (reader["state"], reader["topics"], reader["paused_until"]) == ("active", ["world"], None)
    assert reader["consent_from"] == "127.0.0.1" and asked["used_at"]
    assert sample_desk.digest("subscribers", "erase", ADA).code == 0
    assert "nothing is kept" in sample_desk.digest("subscribers", "show", ADA).err
