"""What readers chose, taken together, and when a scheduler last looked: over both databases."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from digest.models import Subscriber, SubscriberState
from digest.stores.sql import SqlStore
from tests.acceptance.serving import wait_for

NOW = datetime(2026, 3, 2, 7, tzinfo=UTC)


def add(store: SqlStore, name: str, **chosen: object) -> str:
    """A reader, active unless said otherwise; returns the key."""
    given = {"state": SubscriberState.ACTIVE} | chosen
    subscriber = Subscriber(email=f"{name}@readers.test", **given)  # type: ignore[arg-type]
    store.subscribers.add("morning", subscriber, now=NOW)
    found = store.subscribers.find("morning", f"{name}@readers.test")
    assert found
    return found.key


def test_active_readers_are_counted_by_the_zone_that_they_chose(store: SqlStore) -> None:
    assert store.subscribers.zones("morning") == {}
    add(store, "one", timezone="Europe/Berlin")
    add(store, "two", timezone="Europe/Berlin")
    add(store, "three", timezone="Asia/Bahrain")
    assert store.subscribers.zones("morning") == {"Asia/Bahrain": 1, "Europe/Berlin": 2}
    add(store, "four")
    add(store, "five", timezone="Pacific/Niue", state=SubscriberState.PENDING)
    store.subscribers.leave("morning", add(store, "six", timezone="Pacific/Niue"), now=NOW)
    assert store.subscribers.zones("morning") == {"Asia/Bahrain": 1, "Europe/Berlin": 2, None: 1}
    assert store.subscribers.zones("evening") == {}


def test_a_zone_of_a_name_that_nobody_knows_is_counted_all_the_same(store: SqlStore) -> None:
    add(store, "one", timezone="Mars/Base")
    assert store.subscribers.zones("morning") == {"Mars/Base": 1}


def test_somebody_reads_weekly_while_an_active_reader_does(store: SqlStore) -> None:
    add(store, "one")
    add(store, "two", frequency="weekly", state=SubscriberState.PENDING)
    assert not store.subscribers.has_weekly("morning")
    key = add(store, "three", frequency="weekly")
    assert store.subscribers.has_weekly("morning")
    assert not store.subscribers.has_weekly("evening")
    store.subscribers.leave("morning", key, now=NOW)
    assert not store.subscribers.has_weekly("morning")


def test_asking_who_reads_weekly_or_by_which_clock_uses_an_index_of_those_alone(store: SqlStore) -> None:
    asked = "SELECT id FROM subscriptions WHERE newsletter = 'm' AND state = 'active' AND frequency = 'weekly' LIMIT 1"
    with store.subscribers._database.read() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL enable_seqscan = off"))
            plan = connection.execute(text(f"EXPLAIN {asked}")).scalars().all()
        else:
            plan = [str(row[3]) for row in connection.execute(text(f"EXPLAIN QUERY PLAN {asked}"))]
    assert "ix_subscriptions_weekly" in " ".join(plan)


def test_a_look_is_remembered_and_an_earlier_one_takes_nothing_back(store: SqlStore) -> None:
    assert store.runs.last_look("morning", "daily") is None
    store.runs.note_look("morning", "daily", now=NOW)
    store.runs.note_look("morning", "daily", now=NOW - timedelta(hours=2))
    assert store.runs.last_look("morning", "daily") == NOW
    store.runs.note_look("morning", "daily", now=NOW + timedelta(hours=1))
    assert store.runs.last_look("morning", "daily") == NOW + timedelta(hours=1)
    assert store.runs.last_look("morning", "weekly") is None
    assert store.runs.last_look("evening", "daily") is None


def test_one_at_a_time_makes_editions_of_a_cadence(store: SqlStore, store_url: str) -> None:
    other = SqlStore.open(store_url)
    with store.editions.making("morning", "daily") as is_ours:
        assert is_ours
        with other.editions.making("morning", "daily") as is_theirs:
            assert not is_theirs
        with other.editions.making("morning", "weekly") as is_theirs:
            assert is_theirs
        with other.editions.making("evening", "daily") as is_theirs:
            assert is_theirs
    with other.editions.making("morning", "daily") as is_theirs:
        assert is_theirs
    other.close()


def test_who_is_killed_in_the_midst_of_making_an_edition_keeps_nobody_from_it(store: SqlStore, store_url: str) -> None:
    script = (
        "import sys\nfrom digest.stores.sql import SqlStore\n"
        "with SqlStore.open(sys.argv[1]).editions.making('morning', 'daily'):\n"
        "    print('at it', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, store_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as killed:
        assert killed.stdout and killed.stdout.readline() == "at it\n"
        with store.editions.making("morning", "daily") as is_ours:
            assert not is_ours
        killed.kill()
    wait_for(lambda: _may_make(store), 10, "the killed one lets go")


def _may_make(store: SqlStore) -> bool:
    with store.editions.making("morning", "daily") as is_ours:
        return is_ours
