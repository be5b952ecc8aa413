"""The other slices of the store, and the database itself, over every store."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from digest.errors import OtherRevision, StoreError
from digest.models import Collected, EditionState, Entry, Page, Rendition, Subscriber, SubscriberState
from digest.stores.sql import SqlStore, find_database
from tests.contract.editions import NOW, RENDITIONS, make_edition, plan, save_edition

DAY = timedelta(days=1)
SINCE = NOW - DAY


def entry(number: int, **changes: object) -> Entry:
    """An entry of an hour ago."""
    made = Entry(
        id=f"id-{number}",
        title=f"Title {number}",
        link=f"https://example.com/{number}",
        published_at=NOW - timedelta(hours=1),
        summary="<p>Words</p>",
        tags=("world",),
    )
    return replace(made, **changes)


def add(store: SqlStore, *entries: Entry, now=NOW, since=SINCE, source="wire") -> int:
    """One visit of a source."""
    collected = Collected(entries=entries, title="The Wire", cursor={"etag": "1"})
    return store.entries.add("morning", source, collected, now=now, since=since).new


def offered(store: SqlStore, **changes) -> list[str | None]:
    """The ids of what an edition may take."""
    arguments = {"after": None, "since": SINCE, "until": NOW} | changes
    return [stored.entry.id for stored in store.entries.offered("morning", **arguments)]


def test_a_visit_leaves_its_cursor_and_a_failed_one_leaves_it_alone(store: SqlStore) -> None:
    assert store.entries.state("morning", "wire") is None
    add(store, entry(1))
    store.entries.fail("morning", "wire", "down", now=NOW)
    store.entries.fail("morning", "wire", "still down", now=NOW)
    assert store.entries.state("morning", "wire").cursor == {"etag": "1"}
    (health,) = store.entries.health("morning", now=NOW)
    assert (health["failures"], health["error"], health["entries"]) == (2, "still down", 1)
    add(store)
    (health,) = store.entries.health("morning", now=NOW)
    assert (health["failures"], health["error"]) == (0, None)


def test_an_entry_comes_back_as_it_was_kept(store: SqlStore) -> None:
    kept = entry(1, enclosures=("https://example.com/a.mp3",), language="ar", author="Desk")
    add(store, kept)
    (stored,) = store.entries.offered("morning", after=None, since=SINCE, until=NOW)
    assert stored.entry == kept
    assert (stored.outlet, stored.source_id, stored.seen_at) == ("The Wire", "wire", NOW)


@pytest.mark.parametrize(
    "again",
    [
        entry(1),
        entry(1, title="An edited title"),
        entry(1, id="another-id"),
        entry(1, id=None, link="http://www.example.com/1/?utm_source=feed#top"),
        entry(1, id=None, link=None),
    ],
)
def test_any_name_that_matches_means_known(store: SqlStore, again: Entry) -> None:
    assert add(store, entry(1)) == 1
    assert add(store, again) == 0
    assert offered(store) == ["id-1"]


def test_an_entry_that_changes_one_name_at_a_time_stays_known(store: SqlStore) -> None:
    add(store, entry(1))
    assert add(store, entry(1, id="second")) == 0
    assert add(store, entry(1, id="second", link="https://example.com/moved", title="Edited")) == 0
    assert add(store, entry(1, id="third", link="https://example.com/moved", title="Edited again")) == 0


def test_one_id_for_all_entries_loses_none(store: SqlStore) -> None:
    assert add(store, *(entry(number, id="same") for number in range(5))) == 5


def test_one_link_for_all_entries_loses_none(store: SqlStore) -> None:
    assert add(store, *(entry(number, id=None, link="https://example.com/") for number in range(5))) == 5


def test_at_first_contact_only_what_lies_in_the_window_is_offered_and_later_late_dates_are_carried(
    store: SqlStore,
) -> None:
    old = NOW - 30 * DAY
    add(store, entry(1), entry(2, published_at=old))
    assert offered(store) == ["id-1"]
    later = NOW + DAY
    add(store, entry(2, published_at=old), entry(3, published_at=old), now=later, since=later - DAY)
    assert offered(store, after=NOW, since=later - DAY, until=later) == ["id-3"]


def test_an_edition_takes_what_was_seen_since_the_last_cutoff(store: SqlStore) -> None:
    add(store, entry(1))
    add(store, entry(2), now=NOW + DAY)
    assert offered(store, after=NOW, until=NOW + DAY) == ["id-2"]
    assert offered(store, after=NOW + DAY, until=NOW + 2 * DAY) == []


def test_a_page_that_was_read_is_kept(store: SqlStore) -> None:
    add(store, entry(1))
    (stored,) = store.entries.offered("morning", after=None, since=SINCE, until=NOW)
    assert (stored.page, stored.is_read) == (None, False)
    page = Page(text="The page.", image="https://example.com/i.png", author="Desk", date=NOW)
    store.entries.keep_page(stored.number, page)
    (stored,) = store.entries.offered("morning", after=None, since=SINCE, until=NOW)
    assert (stored.page, stored.is_read) == (page, True)
    store.entries.keep_page(stored.number, None)
    (stored,) = store.entries.offered("morning", after=None, since=SINCE, until=NOW)
    assert (stored.page, stored.is_read) == (None, True)


def test_links_by_a_proxy_are_one_entry_once_the_page_has_said_its_own_address(store: SqlStore) -> None:
    add(store, entry(1, link="https://proxy.example/go?to=a"), entry(2, link="https://proxy.example/go?to=b"))
    add(store, entry(3, title="Title 1", link="https://example.com/one"), source="other")
    kept = [
        store.entries.keep_page(stored.number, Page(text="The page.", link=link))
        for stored, link in zip(
            store.entries.offered("morning", after=None, since=SINCE, until=NOW),
            ["https://example.com/one/", "https://example.com/one?utm_source=feed", "https://example.com/one"],
            strict=True,
        )
    ]
    # The second has another title: its site gives the same address to more than one page.
    assert kept == [True, False, False]
    assert offered(store) == ["id-2", "id-3"]
    proxied = entry(9, title="Title 1", link="https://example.com/one", id="of-another-feed")
    add(store, proxied, source="third", now=NOW + DAY)
    assert offered(store, after=NOW, until=NOW + DAY) == []


def test_a_page_s_own_address_names_its_entry_ever_after(store: SqlStore) -> None:
    add(store, entry(1, link="https://proxy.example/go?to=a"))
    (stored,) = store.entries.offered("morning", after=None, since=SINCE, until=NOW)
    for page in (Page(text="The page.", link="https://example.com/one"), Page(text="x", link="https://example.com/")):
        assert store.entries.keep_page(stored.number, page) is False
    add(store, entry(2, link="http://www.example.com/one/"), source="other", now=NOW + DAY)
    assert offered(store, after=NOW, until=NOW + DAY) == []
    add(store, entry(3, link="https://example.com/two"), source="other", now=NOW + DAY)
    assert offered(store, after=NOW, until=NOW + DAY) == ["id-3"]


def test_a_stranger_s_broken_address_as_an_id_or_link_loses_no_entry(store: SqlStore) -> None:
    entries = (
        Entry(id="http://[bad", title="One"),
        Entry(id="x", title="Two", link="https://[also bad/"),
        Entry(title="Three"),
    )
    for new in (3, 0):
        collected = Collected(entries=entries, cursor={"etag": "1"})
        assert store.entries.add("morning", "wire", collected, now=NOW, since=NOW - timedelta(days=1)).new == new


def test_health_counts_each_source_s_own_entries(store: SqlStore) -> None:
    for source, count in (("a", 3), ("b", 0), ("c", 2)):
        entries = tuple(Entry(id=str(number), title=f"Title {number}") for number in range(count))
        for newsletter in ("morning", "evening") if source == "a" else ("morning",):
            store.entries.add(newsletter, source, Collected(entries=entries), now=NOW, since=NOW)
    store.entries.fail("morning", "d", "down", now=NOW)
    assert [(row["id"], row["entries"]) for row in store.entries.health("morning", now=NOW)] == [
        ("a", 3),
        ("b", 0),
        ("c", 2),
        ("d", 0),
    ]


@pytest.mark.parametrize("number", [0, -1, 10**6, 2**63 - 1, 2**63, 10**40])
def test_a_number_that_no_edition_has_finds_none(store: SqlStore, number: int) -> None:
    assert store.editions.get(number) is None


def test_an_edition_is_unique_and_only_what_was_held_is_replaced(store: SqlStore) -> None:
    held = save_edition(store, EditionState.HELD)
    ready = store.editions.save(make_edition(subject="Better"), RENDITIONS, EditionState.READY, None, now=NOW)
    assert (ready.id, ready.state, ready.dated_at) == (held.id, EditionState.READY, NOW)
    late = store.editions.save(make_edition(subject="Too late"), [], EditionState.READY, None, now=NOW + DAY)
    assert late.edition
    assert late.edition.subject == "Better"
    assert set(store.editions.renditions(late.id)) == {"all"}


def test_an_edition_comes_back_as_it_was_kept(store: SqlStore) -> None:
    stored = save_edition(store)
    assert stored.edition == make_edition()
    assert store.editions.find("morning", "daily", NOW.date()) == store.editions.get(stored.id) == stored
    assert store.editions.find("evening", "daily", NOW.date()) is None


def test_states_move_only_from_where_they_may(store: SqlStore) -> None:
    number = save_edition(store).id
    move = store.editions.set_state
    assert not move(number, EditionState.SENT, None, now=NOW, only_from=[EditionState.SENDING])
    assert move(number, EditionState.SENDING, None, now=NOW, only_from=[EditionState.READY])
    assert move(number, EditionState.SENT, None, now=NOW, only_from=[EditionState.SENDING])
    stored = store.editions.get(number)
    assert stored
    assert (stored.state, stored.sent_at) == (EditionState.SENT, NOW)


def test_a_missed_day_is_recorded_once_and_may_still_be_made(store: SqlStore) -> None:
    assert store.editions.miss("morning", "daily", NOW.date(), "asleep", now=NOW)
    assert not store.editions.miss("morning", "daily", NOW.date(), "asleep", now=NOW)
    assert save_edition(store).state is EditionState.READY


def test_the_last_cutoff_is_that_of_the_newest_that_went_out(store: SqlStore) -> None:
    assert store.editions.last_cutoff("morning", "daily") is None
    for back, state in ((2, EditionState.SENDING), (1, EditionState.HELD), (0, EditionState.READY)):
        save_edition(store, state, day=NOW.date() - back * DAY, cutoff_at=NOW - back * DAY)
    assert store.editions.last_cutoff("morning", "daily") == NOW - 2 * DAY
    assert [stored.date for stored in store.editions.newest("morning", 2)] == [NOW.date(), NOW.date() - DAY]


def test_further_renditions_are_added_and_the_others_stay(store: SqlStore) -> None:
    number = save_edition(store).id
    more = [Rendition(variant=v, subject="new", html="<p>", text="t") for v in ("all", "sport")]
    store.editions.add_renditions(number, more)
    kept = store.editions.renditions(number)
    assert (kept["all"].subject, kept["sport"].subject) == ("s", "new")


def reader(email: str, **changes: object) -> Subscriber:
    """An active reader."""
    return replace(Subscriber(email=email, state=SubscriberState.ACTIVE, consent_at=NOW), **changes)


def test_an_address_is_one_reader_whatever_its_letter_case(store: SqlStore) -> None:
    assert store.subscribers.add("morning", reader("Jo@mail.org", topics=("world",)), now=NOW)
    assert not store.subscribers.add("morning", reader("jo@MAIL.org"), now=NOW)
    assert store.subscribers.add("evening", reader("jo@mail.org"), now=NOW)
    found = store.subscribers.find("morning", "JO@mail.org")
    assert found
    assert (found.email, found.topics, len(found.key)) == ("Jo@mail.org", ("world",), 32)
    assert store.subscribers.by_key("morning", found.key) == found
    assert store.subscribers.by_key("evening", found.key) is None


def test_many_are_added_at_once_and_repeating_is_harmless(store: SqlStore) -> None:
    rows = [reader(f"r{number}@mail.org") for number in range(12_000)]
    assert store.subscribers.add_many("morning", rows, now=NOW) == 12_000
    assert store.subscribers.add_many("morning", [*rows, *rows], now=NOW) == 0
    assert len(store.subscribers.everyone("morning")) == 12_000


def test_who_left_is_not_reached_and_not_revived_but_stays_in_another_newsletter(store: SqlStore) -> None:
    for newsletter in ("morning", "evening"):
        store.subscribers.add(newsletter, reader("jo@mail.org"), now=NOW)
    found = store.subscribers.find("morning", "jo@mail.org")
    assert found
    assert store.subscribers.leave("morning", found.key, now=NOW)
    assert store.subscribers.leave("morning", found.key, now=NOW)
    assert not store.subscribers.leave("morning", "0" * 32, now=NOW)
    assert list(store.subscribers.reached("morning")) == []
    assert not store.subscribers.add("morning", reader("jo@mail.org"), now=NOW)
    assert store.subscribers.is_suppressed("morning", "JO@mail.org")
    assert not store.subscribers.is_suppressed("evening", "jo@mail.org")
    assert len(list(store.subscribers.reached("evening"))) == 1


def test_who_is_said_to_have_left_in_one_row_and_to_stay_in_another_has_left(store: SqlStore) -> None:
    gone = reader("JO@mail.org", state=SubscriberState.UNSUBSCRIBED)
    store.subscribers.add_many("morning", [reader("jo@mail.org"), gone], now=NOW)
    assert [one.state for one in store.subscribers.everyone("morning")] == [SubscriberState.UNSUBSCRIBED]
    assert list(store.subscribers.reached("morning")) == []


def test_an_imported_bounce_is_suppressed_in_every_newsletter(store: SqlStore) -> None:
    store.subscribers.add("morning", reader("jo@mail.org", state=SubscriberState.BOUNCED), now=NOW)
    assert store.subscribers.is_suppressed("evening", "jo@mail.org")
    assert not store.subscribers.add("evening", reader("jo@mail.org"), now=NOW)


def test_who_leaves_after_bouncing_has_left(store: SqlStore) -> None:
    store.subscribers.add("morning", reader("jo@mail.org", state=SubscriberState.BOUNCED), now=NOW)
    found = store.subscribers.find("morning", "jo@mail.org")
    assert found and store.subscribers.leave("morning", found.key, now=NOW)
    assert [one.state.value for one in store.subscribers.everyone("morning")] == ["unsubscribed"]


def test_only_the_active_are_reached(store: SqlStore) -> None:
    store.subscribers.add("morning", reader("a@mail.org", state=SubscriberState.PENDING), now=NOW)
    store.subscribers.add("morning", reader("b@mail.org"), now=NOW)
    assert [found.email for found in list(store.subscribers.reached("morning"))] == ["b@mail.org"]
    assert store.subscribers.remove("morning", "b@mail.org", now=NOW)
    assert not store.subscribers.remove("morning", "nobody@mail.org", now=NOW)
    assert [r.state.value for r in store.subscribers.everyone("morning")] == ["pending", "unsubscribed"]


def test_a_key_is_made_once(store: SqlStore) -> None:
    assert store.keys.key("secret", lambda: "first") == store.keys.key("secret", lambda: "second") == "first"


def test_an_answer_is_kept_by_its_question_and_let_go_after_three_months(store: SqlStore) -> None:
    assert store.answers.find("q1") is None
    store.answers.keep("q1", "first", now=NOW)
    store.answers.keep("q1", "second", now=NOW)
    assert store.answers.find("q1") == "first"
    store.answers.keep("q2", "later", now=NOW + timedelta(days=89))
    assert store.answers.find("q1") == "first"
    store.answers.keep("q3", "much later", now=NOW + timedelta(days=91))
    assert (store.answers.find("q1"), store.answers.find("q2")) == (None, "later")


def test_what_is_kept_is_there_after_opening_again(store: SqlStore, store_url: str) -> None:
    save_edition(store)
    store.close()
    again = SqlStore.open(store_url)
    assert again.editions.find("morning", "daily", NOW.date())
    again.close()


def test_a_folder_with_an_odd_name_is_a_folder_like_any_other(tmp_path: Path) -> None:
    folder = tmp_path / "a 100% odd?name#ü"
    folder.mkdir()
    store = SqlStore.open(f"sqlite:///{folder / 'digest.db'}")
    save_edition(store)
    scratch = store.scratch()
    assert scratch.editions.find("morning", "daily", NOW.date())
    scratch.close()
    store.close()
    assert {path.name for path in folder.iterdir()} == {"digest.db"}


def test_a_scratch_copy_has_everything_and_changes_nothing(store: SqlStore) -> None:
    save_edition(store)
    scratch = store.scratch()
    assert scratch.editions.find("morning", "daily", NOW.date())
    save_edition(scratch, day=date(2030, 1, 1))
    scratch.close()
    assert store.editions.find("morning", "daily", date(2030, 1, 1)) is None


def _with_revision(url: str, revision: str) -> None:
    SqlStore.open(url).close()
    database = find_database(url)
    with database.write() as connection:
        connection.execute(text("update alembic_version set version_num = :revision"), {"revision": revision})
    database.close()


def test_a_newer_database_is_refused_with_what_to_do(store_url: str) -> None:
    _with_revision(store_url, "9999")
    with pytest.raises(StoreError, match="upgrade Digest"):
        SqlStore.open(store_url)
    with pytest.raises(StoreError, match="9999"):
        SqlStore.upgrade(store_url)


def test_upgrading_a_database_of_this_version_says_so(store_url: str) -> None:
    SqlStore.open(store_url).close()
    assert "up to date" in SqlStore.upgrade(store_url)


def test_an_older_database_is_not_touched_until_it_is_asked_for_and_keeps_what_it_holds(store_url: str) -> None:
    from alembic import command

    from digest.stores.revisions import make_alembic

    database = find_database(store_url)
    with database.write() as connection:
        command.upgrade(make_alembic(connection), "0001")
        connection.exec_driver_sql("INSERT INTO keys VALUES ('secret_key', 'kept')")
    database.engine.dispose()
    with pytest.raises(StoreError, match="digest db upgrade"):
        SqlStore.open(store_url)
    assert "from revision 0001" in SqlStore.upgrade(store_url)
    upgraded = SqlStore.open(store_url)
    assert upgraded.keys.key("secret_key", lambda: "another") == "kept"
    edition = plan(upgraded, 3)
    assert upgraded.ledger.counts(edition) == {"planned": 3}
    upgraded.close()


def test_the_migrations_make_the_tables_that_the_code_speaks_of(store_url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlalchemy import create_engine

    from digest.stores.schema import metadata

    SqlStore.open(store_url).close()
    engine = create_engine(store_url)

    # Divided by month, what is unique has the month in it; and where there is one writer, a tally has one row.
    apart = {"postgresql": {"deliveries", "fk_events_delivery"}, "sqlite": {"ix_tallies_edition"}}

    def is_for_both(_: object, name: str | None, *__: object) -> bool:
        return name not in apart[engine.dialect.name]

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": is_for_both})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_archive_has_what_went_out_in_order_and_nothing_else(store: SqlStore) -> None:
    def save(days: int, state: EditionState, **changes: str) -> int:
        number = save_edition(store, date=NOW.date() + days * DAY, **changes).id
        store.editions.set_state(number, state, None, now=NOW + days * DAY, only_from=list(EditionState))
        return number

    before, sent, extra = (
        save(-1, EditionState.STOPPED),
        save(0, EditionState.SENT),
        save(0, EditionState.SENT, cadence="special"),
    )
    after = save(2, EditionState.SENDING)
    save(1, EditionState.HELD)
    save(3, EditionState.WITHDRAWN)
    save_edition(store, newsletter="evening", state=EditionState.READY)
    archive = store.archive
    assert [one.id for one in archive.shown("morning", limit=9)] == [after, extra, sent, before]
    assert [one.id for one in archive.shown("morning", limit=2, offset=1)] == [extra, sent]
    assert archive.count("morning") == 4

    def beside(number: int) -> list[int | None]:
        stored = store.editions.get(number)
        assert stored
        return [other and other.id for other in archive.beside(stored)]

    assert [beside(number) for number in (before, sent, extra, after)] == [
        [None, sent],
        [before, extra],
        [sent, after],
        [extra, None],
    ]
    assert archive.rendition(sent, "all") == RENDITIONS[0]
    assert archive.rendition(sent, "none") is None
    assert archive.having("all", [sent, after, 999]) == {sent, after}
    assert archive.having("all", []) == frozenset()
    assert archive.changed_at("morning") == (6, NOW + 3 * DAY)
    assert archive.changed_at("nobody") == (0, None)
    assert archive.shown("nobody", limit=9) == []


@pytest.mark.parametrize("revision", ["0007", "9999"])
def test_a_database_of_another_version_can_be_backed_up_as_its_remedy_says(
    store: SqlStore, store_url: str, tmp_path: Path, revision: str
) -> None:
    with store._database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :number"), {"number": revision})
    with pytest.raises(OtherRevision):
        SqlStore.open(store_url)
    assert SqlStore.back_up(store_url, tmp_path / "copy") is None
    assert (tmp_path / "copy").stat().st_size > 0
    with pytest.raises(StoreError, match="already"):
        SqlStore.back_up(store_url, tmp_path / "copy")
