"""protocols.RequestStore: what was asked for on a page, until it is answered, used or forgotten."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from digest.models import Asked, AskedFor, Counted, PageRequest, Subscriber, SubscriberState
from digest.stores.sql import SqlStore
from tests.contract.editions import NOW

DAY = timedelta(days=1)
KEY = "0" * 32


def request(number: int = 0, email: str = "ada@mail.org", **changes: object) -> PageRequest:
    asked = PageRequest(
        key=f"{number:032x}",
        kind=AskedFor.CONFIRM,
        email=email,
        topics=("world",),
        language="ar",
        timezone="Asia/Bahrain",
        frequency="weekly",
        consent_text="I agree",
        consent_from="203.0.113.7",
        requested_at=NOW,
    )
    return replace(asked, **changes)  # type: ignore[arg-type]


def add(
    store: SqlStore, asked: PageRequest, network: str = "203.0.113.0/24", *, newsletter: str = "morning"
) -> Counted | None:
    """Keep it, unless three were asked for before; what was counted, None where it was not kept."""
    seen: list[Counted] = []

    def may_be_kept(counted: Counted) -> bool:
        seen.append(counted)
        return max(counted.address, counted.network) < 3

    now = asked.requested_at
    kept = store.requests.add(
        newsletter, asked, network, may_be_kept=may_be_kept, counted_since=now - DAY, kept_since=now - 30 * DAY
    )
    return seen[0] if kept else None


def confirm(store: SqlStore, key: str = KEY, *, may_act: bool = True, is_done: bool = False) -> Asked | None:
    return store.requests.confirm(
        "morning",
        key,
        may_act=lambda _: may_act,
        is_done=lambda _: is_done,
        consent_from="198.51.100.1",
        now=NOW + timedelta(hours=1),
    )


def test_what_was_asked_is_found_again_as_it_was(store: SqlStore) -> None:
    add(store, request())
    assert store.requests.find("morning", KEY) == Asked(request=request())
    assert store.requests.find("evening", KEY) is None
    assert store.requests.find("morning", "1" * 32) is None
    assert store.requests.of("ADA@mail.org") == [("morning", request())]


def test_addresses_are_counted_by_newsletter_and_networks_by_all_and_for_a_time(store: SqlStore) -> None:
    assert add(store, request(0)) == Counted(address=0, network=0)
    assert add(store, request(1, "Ada+x@MAIL.org"), "other") == Counted(address=1, network=0)
    assert add(store, request(2), newsletter="evening") == Counted(address=0, network=1)
    assert add(store, request(3)) == Counted(address=2, network=2)
    assert add(store, request(4), "third") is None
    assert len(store.requests.of("ada@mail.org")) == 3
    later = request(5, requested_at=NOW + DAY)
    assert add(store, later) == Counted(address=0, network=0)


def test_neither_network_nor_address_of_a_count_is_kept_in_clear(store: SqlStore) -> None:
    add(store, request(consent_from=None))
    with store._database.read() as connection:
        row = connection.exec_driver_sql("SELECT address, network FROM page_requests").one()
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in row)  # keyed hashes, and nothing that was typed


def test_what_is_too_old_is_forgotten_as_others_ask(store: SqlStore) -> None:
    add(store, request())
    add(store, request(1, "bob@mail.org", requested_at=NOW + 30 * DAY + timedelta(seconds=1)))
    assert store.requests.find("morning", KEY) is None


def test_a_request_is_mailed_by_one_and_open_again_only_when_it_certainly_did_not_go(store: SqlStore) -> None:
    add(store, request())
    assert [asked.key for asked in store.requests.open("morning", NOW - DAY)] == [KEY]
    assert store.requests.open("morning", NOW) == store.requests.open("evening", NOW - DAY) == []
    assert store.requests.mark(KEY, AskedFor.KNOWN, now=NOW)
    assert not store.requests.mark(KEY, AskedFor.KNOWN, now=NOW)
    assert not store.requests.drop(KEY, now=NOW)
    assert store.requests.open("morning", NOW - DAY) == []
    assert store.requests.mailed_since("ADA+y@mail.org", NOW - DAY) == 1
    assert store.requests.mailed_since("ada@mail.org", NOW) == store.requests.mailed_since("b@mail.org", NOW - DAY) == 0
    store.requests.unmark(KEY)
    assert [asked.kind for asked in store.requests.open("morning", NOW - DAY)] == [AskedFor.KNOWN]
    assert store.requests.drop(KEY, now=NOW)
    assert store.requests.open("morning", NOW - DAY) == []


def test_confirming_makes_a_subscriber_with_what_was_asked(store: SqlStore) -> None:
    add(store, request())
    assert confirm(store) == Asked(request=request())
    reader = store.subscribers.find("morning", "ada@mail.org")
    assert reader and reader.key and reader.id
    assert replace(reader, key="", id=0) == Subscriber(
        email="ada@mail.org",
        topics=("world",),
        language="ar",
        timezone="Asia/Bahrain",
        frequency="weekly",
        state=SubscriberState.ACTIVE,
        consent_at=NOW + timedelta(hours=1),
        consent_text="I agree",
        consent_from="198.51.100.1",
    )
    standing = store.requests.find("morning", KEY)
    assert standing and standing.request.used_at == NOW + timedelta(hours=1)
    assert standing.state is SubscriberState.ACTIVE and standing.changed_at == NOW + timedelta(hours=1)


def test_confirming_does_nothing_where_it_may_not_act_and_only_uses_the_link_up_where_it_is_done(
    store: SqlStore,
) -> None:
    add(store, request())
    assert confirm(store, "1" * 32) is None
    confirm(store, may_act=False)
    standing = store.requests.find("morning", KEY)
    assert standing and standing.request.used_at is None
    confirm(store, may_act=False, is_done=True)
    standing = store.requests.find("morning", KEY)
    assert standing and standing.request.used_at
    assert store.subscribers.find("morning", "ada@mail.org") is None


@pytest.mark.parametrize("state", [SubscriberState.BOUNCED, SubscriberState.COMPLAINED])
def test_who_comes_back_keeps_key_name_and_tags_and_stays_suppressed_elsewhere(
    store: SqlStore, state: SubscriberState
) -> None:
    before = Subscriber(email="Ada@mail.org", name="Ada", tags=("press",), state=SubscriberState.ACTIVE, consent_at=NOW)
    for newsletter in ("morning", "evening"):
        store.subscribers.add(newsletter, before, now=NOW)
    known = store.subscribers.find("morning", "ada@mail.org")
    store.subscribers.take("morning", [replace(before, state=state)], now=NOW)
    with store._database.write() as connection:
        connection.exec_driver_sql("UPDATE people SET hard_bounced_on = '2026-03-01', soft_bounces = 4")
    add(store, request(requested_at=NOW + timedelta(minutes=1)))
    confirm(store)
    reader = store.subscribers.find("morning", "ada@mail.org")
    assert reader and known
    assert (reader.email, reader.key, reader.name, reader.tags) == ("Ada@mail.org", known.key, "Ada", ("press",))
    assert list(store.subscribers.reached("morning")) == [reader]
    assert not store.subscribers.is_suppressed("morning", "ada@mail.org")
    assert store.subscribers.is_suppressed("evening", "ada@mail.org")
    assert list(store.subscribers.reached("evening")) == []
    with store._database.read() as connection:
        assert connection.exec_driver_sql("SELECT hard_bounced_on, soft_bounces FROM people").one() == (None, 0)


def test_erasing_takes_in_what_was_asked_for_in_ones_name_and_nobody_elses(store: SqlStore) -> None:
    for number, email in enumerate(("ada@mail.org", "ADA@mail.org", "ada+x@mail.org")):
        add(store, request(number, email), network=email)
    assert store.subscribers.erase("ada@mail.org", now=NOW)
    assert store.requests.of("ada@mail.org") == []
    assert len(store.requests.of("ada+x@mail.org")) == 1
    assert store.subscribers.is_suppressed("morning", "ada@mail.org")
    assert not store.subscribers.erase("ada@mail.org", now=NOW)


def test_who_is_erased_from_one_newsletter_leaves_nothing_that_they_asked_it_for(store: SqlStore) -> None:
    for newsletter in ("morning", "evening"):
        reader = Subscriber(email="jörg@mail.org", state=SubscriberState.ACTIVE, consent_at=NOW)
        store.subscribers.add(newsletter, reader, now=NOW)
    add(store, request(0, "JÖRG@mail.org"))
    add(store, request(1, "jörg@mail.org"), newsletter="evening")
    found = store.subscribers.find("morning", "jörg@mail.org")
    assert found and store.managing.erase("morning", found.key, now=NOW)
    assert [newsletter for newsletter, _ in store.requests.of("jörg@mail.org")] == ["evening"]


def test_a_newsletter_forgets_nothing_that_another_was_asked_for(store: SqlStore) -> None:
    add(store, request(0))
    add(store, request(1), newsletter="evening")
    add(store, request(2, requested_at=NOW + 31 * DAY))
    assert {asked.key[-1] for _, asked in store.requests.of("ada@mail.org")} == {"1", "2"}
    store.requests.forget_old("evening", NOW + DAY)
    assert {asked.key[-1] for _, asked in store.requests.of("ada@mail.org")} == {"2"}
