"""Who is mailed for what was asked on a page, and which links still work."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest

from digest.audience.choices import LONGEST, Fault, Offer, is_too_long, read_choices, read_email, read_pause
from digest.audience.consent import (
    Link,
    choose_mail,
    is_fresh,
    judge_confirmation,
    judge_preferences,
    may_be_kept,
    network_of,
)
from digest.models import Asked, AskedFor, Choices, Counted, PageRequest, SubscriberState
from digest.web.forms import Form, judge_origin, origin_of

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
WEEK = timedelta(days=7)
ASKED = PageRequest(key="0" * 32, kind=AskedFor.CONFIRM, email="ada@mail.org", requested_at=NOW)
OFFER = Offer(topics=("world", "sport"), languages=("ar", "en"))


def test_an_address_and_a_network_are_mailed_so_often_and_no_oftener() -> None:
    def may(address: int, network: int) -> bool:
        return may_be_kept(Counted(address=address, network=network), per_address=3, per_network=20)

    assert may(0, 0) and may(2, 19)
    assert not may(3, 0)
    assert not may(0, 20)
    # A token of the API vouches for what it asks; the person who is mailed is spared all the same.
    assert may_be_kept(Counted(address=2, network=900), per_address=3, per_network=None)
    assert not may_be_kept(Counted(address=3, network=0), per_address=3, per_network=None)


@pytest.mark.parametrize("asked", [AskedFor.CONFIRM, AskedFor.PREFERENCES])
@pytest.mark.parametrize("state", [None, *SubscriberState])
def test_who_is_no_subscriber_is_asked_to_confirm_whatever_they_asked(
    asked: AskedFor, state: SubscriberState | None
) -> None:
    for suppressed, everywhere in ((False, False), (True, False), (True, True)):
        answer = choose_mail(asked, state, is_suppressed=suppressed, is_suppressed_everywhere=everywhere)
        if state is SubscriberState.ACTIVE and not suppressed:
            expected = AskedFor.KNOWN if asked is AskedFor.CONFIRM else AskedFor.PREFERENCES
            assert answer.kind is expected and not answer.is_seldom
        else:
            assert answer.kind is AskedFor.CONFIRM
            harmed = state in {SubscriberState.BOUNCED, SubscriberState.COMPLAINED}
            assert answer.is_seldom == (harmed or everywhere)


def test_a_link_confirms_for_a_while_and_once() -> None:
    def judge(standing: Asked, after: timedelta = timedelta(hours=1)) -> Link:
        return judge_confirmation(standing, now=NOW + after, within=WEEK)

    fresh = Asked(request=ASKED)
    assert judge(fresh) is Link.GOOD
    assert judge(fresh, WEEK) is Link.GOOD
    assert judge(fresh, WEEK + timedelta(seconds=1)) is Link.EXPIRED
    used = Asked(request=replace(ASKED, used_at=NOW))
    assert judge(used) is Link.USED
    assert judge(replace(used, state=SubscriberState.ACTIVE)) is Link.DONE
    assert judge(replace(used, state=SubscriberState.ACTIVE), WEEK * 2) is Link.DONE
    assert judge(Asked(request=ASKED, state=SubscriberState.ACTIVE)) is Link.DONE
    assert judge(Asked(request=ASKED, state=SubscriberState.ACTIVE, is_suppressed=True)) is Link.GOOD
    assert judge(Asked(request=ASKED, state=SubscriberState.PENDING)) is Link.GOOD


@pytest.mark.parametrize("state", ["unsubscribed", "bounced", "complained", "erased"])
def test_nobody_who_left_after_they_had_asked_is_brought_back(state: str) -> None:
    gone = Asked(request=ASKED, state=SubscriberState(state), changed_at=NOW - timedelta(seconds=1))
    assert judge_confirmation(gone, now=NOW, within=WEEK) is Link.GOOD  # they asked after they had left
    for later in (timedelta(), timedelta(minutes=1)):
        left = replace(gone, changed_at=NOW + later)
        assert judge_confirmation(left, now=NOW + timedelta(hours=1), within=WEEK) is Link.USED


def test_preferences_open_for_a_while_after_the_mail_or_after_confirming() -> None:
    day = timedelta(days=1)

    def judge(request: PageRequest, after: timedelta) -> Link:
        return judge_preferences(request, now=NOW + after, within=day)

    mailed = replace(ASKED, kind=AskedFor.PREFERENCES, mailed_at=NOW)
    assert judge(mailed, day) is Link.GOOD
    assert judge(mailed, day + timedelta(seconds=1)) is Link.EXPIRED
    assert judge(replace(mailed, mailed_at=None), timedelta()) is Link.EXPIRED
    assert judge(replace(ASKED, mailed_at=NOW), timedelta()) is Link.EXPIRED  # not confirmed
    assert judge(replace(ASKED, mailed_at=NOW, used_at=NOW), day) is Link.GOOD


def test_a_form_is_good_for_a_day() -> None:
    shown_at = int(NOW.timestamp())
    assert is_fresh(shown_at, NOW) and is_fresh(shown_at, NOW + timedelta(hours=24))
    assert not is_fresh(shown_at, NOW + timedelta(hours=24, seconds=1))
    assert not is_fresh(shown_at, NOW - timedelta(hours=1))


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("", ""),
        ("a proxy's own name", "a proxy's own name"),
    ],
)
def test_networks_are_what_one_customer_has(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("", "fault_email_empty"),
        ("   ", "fault_email_empty"),
        ("ada", "fault_email"),
        ('"ada b"@mail.org', "fault_email"),
        ('"ada"@mail.org', "fault_email"),
        ("Ada <ada@mail.org>", "fault_email"),
        ("ada@mail.org, bob@mail.org", "fault_email"),
        ("ada@mail.org\r\nBcc: bob@mail.org", "fault_email"),
        ("ada\x00@mail.org", "fault_email"),
        ("a\u200bda@mail.org", "fault_email"),
        ("\u202eada@mail.org", "fault_email"),
        ("ada@[127.0.0.1]", "fault_email"),
        ("ada@mail..org", "fault_email"),
        ("a" * 308 + "@mail.org", "fault_email_long"),
        ("a" * 64 + "@" + ".".join(["b" * 60] * 4) + ".org", "fault_email_long"),
        ("\u0430da@mail.org", "fault_email_alike"),  # a Cyrillic letter among Latin ones
        ("ada@m\u0430il.org", "fault_email_alike"),
        ("ada@xn--mil-6cd.org", "fault_email_alike"),  # the same, written for machines
        ("\uff41da@mail.org", "fault_email_alike"),  # a wide letter
    ],
)
def test_what_is_no_address_is_told_apart(typed: str, key: str) -> None:
    assert read_email(typed) == Fault(field="email", key=key)


@pytest.mark.parametrize(
    ("typed", "email"),
    [
        (" ada@mail.org ", "ada@mail.org"),
        ("Ada.B+news@MAIL.org", "Ada.B+news@mail.org"),
        ("ada@bücher.de", "ada@bücher.de"),
        ("ada@例え.jp", "ada@例え.jp"),
        ("ada@пример.рф", "ada@пример.рф"),
        ("o'hara@mail.org", "o'hara@mail.org"),
    ],
)
def test_addresses_of_all_alphabets_are_taken(typed: str, email: str) -> None:
    assert read_email(typed) == email


def test_choices_are_taken_only_from_what_is_offered() -> None:
    given = {"topic": ["sport", "sport"], "language": ["ar"], "timezone": ["Asia/Bahrain"], "frequency": ["weekly"]}
    chosen, faults = read_choices(given, OFFER)
    assert chosen == Choices(topics=("sport",), language="ar", timezone="Asia/Bahrain", frequency="weekly")
    assert faults == []
    wrong = {"topic": ["x"], "language": ["tlh"], "timezone": ["../../etc/passwd"], "frequency": ["hourly"]}
    _, faults = read_choices(wrong, OFFER)
    assert [fault.field for fault in faults] == ["topic", "language", "timezone", "frequency"]


def test_fields_that_a_form_does_not_have_stay_as_they_were() -> None:
    before = Choices(topics=("world",), language="ar", timezone="Asia/Bahrain", frequency="weekly")
    chosen, _ = read_choices({}, OFFER, before=before)
    # No box is ticked: that is every topic.
    assert chosen == replace(before, topics=())
    assert read_choices({"language": [""], "timezone": [""]}, OFFER, before=before)[0].language is None


def test_a_pause_ends_at_the_beginning_of_a_day_of_the_newsletter() -> None:
    today, zone = date(2026, 3, 2), ZoneInfo("Asia/Bahrain")

    def read(**given: str) -> datetime | Fault | None:
        fields = {name: [value] for name, value in given.items()}
        return read_pause(fields, before=NOW, today=today, zone=zone)

    assert read() == read(pause="keep") == NOW
    assert read(pause="") is None
    assert read(pause="2") == datetime(2026, 3, 15, 21, 0, tzinfo=UTC)
    assert read(pause="until", until="2026-03-03") == datetime(2026, 3, 2, 21, 0, tzinfo=UTC)
    for until in ("", "2026-03-02", "2020-01-01", "2027-04-01", "tomorrow", "9999-12-31", "2026-02-30"):
        assert isinstance(read(pause="until", until=until), Fault), until
    assert isinstance(read(pause="3"), Fault)


def test_nothing_longer_than_anybody_types_is_looked_at() -> None:
    assert not is_too_long({"email": ["x" * LONGEST], "topic": []})
    assert is_too_long({"topic": ["x", "x" * (LONGEST + 1)]})


def test_forms_of_other_sites_are_told_from_ours() -> None:
    own, listed = {"https://news.test"}, {"https://shop.test"}

    def judge(origin: str | None, site: str | None) -> Form:
        return judge_origin(origin, site, own=own, listed=listed)

    for origin, site in ((None, None), ("null", None), ("null", "same-origin"), ("https://news.test", None)):
        assert judge(origin, site) is Form.OWN
    for site_said in (None, "cross-site", "same-site"):
        assert judge("https://shop.test", site_said) is Form.LISTED
        assert judge("https://evil.test", site_said) is Form.FOREIGN
    for origin, site in product((None, "null"), ("cross-site", "same-site")):
        assert judge(origin, site) is Form.FOREIGN
    assert origin_of("https://News.test:443/path") == "https://news.test"
    assert origin_of("http://127.0.0.1:8000") == "http://127.0.0.1:8000"
