"""PostgreSQL when something is wrong with the server, the address or the rights: one clear fault, nothing lost."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import select

from digest.audience.bounces import BounceRules
from digest.errors import ConfigError, DigestError, StoreError, StoreUnavailable
from digest.models import Event, EventKind, Subscriber, SubscriberState
from digest.stores.schema import deliveries, people
from digest.stores.sql import SqlStore
from tests.contract.editions import NOW, add_readers, plan, save_edition
from tests.doubles.postgresql import PostgresServer

RULES = BounceRules(hard_days=2, soft_run=3, wave=4, wave_within=timedelta(hours=1))
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store_url(server_url: str) -> str:
    """Of this kind alone."""
    return server_url


@pytest.fixture
def restarting() -> Iterator[PostgresServer]:
    """A server that only this test uses."""
    with PostgresServer() as server:
        yield server


def say(url: str, *statements: str) -> None:
    """Change the database behind the store's back."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def fault_of(url: str) -> DigestError:
    with pytest.raises((StoreError, ConfigError)) as caught:
        SqlStore.open(url)
    assert "hunter2" not in f"{caught.value!r} {caught.value} {caught.value.__cause__}"
    return caught.value


def test_an_address_that_leads_nowhere_is_a_clear_fault_without_the_password(store_url: str) -> None:
    secret = store_url.replace("digest@", "digest:hunter2@")
    wrong = fault_of(f"{secret}_of_nobody")
    assert "there is no database of that name" in str(wrong)
    assert not isinstance(wrong, StoreUnavailable)
    assert "does not let us in" in str(fault_of(secret.replace("digest:", "stranger:")))
    assert "driver" in str(fault_of(secret.replace("+psycopg", "+asyncpg")))
    assert "invalid connection option" in str(fault_of(f"{secret}?nonsense=hunter2"))


def test_a_server_that_is_down_may_be_tried_again(restarting: PostgresServer) -> None:
    url = restarting.create()
    restarting.stop()
    for one in (url, url.replace("127.0.0.1", "nowhere.invalid")):
        fault = fault_of(one.replace("digest@", "digest:hunter2@"))
        assert isinstance(fault, StoreUnavailable)
        assert "it cannot be reached" in str(fault)
    restarting.start()


def test_a_restart_breaks_what_is_under_way_and_nothing_after_it(restarting: PostgresServer) -> None:
    with closing(SqlStore.open(restarting.create())) as store:
        edition = plan(store, 3)
        restarting.stop()
        restarting.start()
        assert store.ledger.counts(edition) == {"planned": 3}  # the connection in the pool was dead

        def break_off() -> None:
            with store._database.write() as connection:
                connection.execute(deliveries.update().values(state="accepted"))
                restarting.stop("immediate")

        with pytest.raises(StoreUnavailable):
            break_off()
        with pytest.raises(StoreUnavailable):
            store.ledger.counts(edition)
        restarting.start()
        assert store.ledger.counts(edition) == {"planned": 3}


def test_a_connection_that_is_lost_midway_may_be_tried_again_also_with_a_journal(
    store_url: str, tmp_path: Path
) -> None:
    with closing(SqlStore.open(store_url, journal=tmp_path / "its.leavers")) as store:

        def break_off() -> None:
            with store._database.write() as connection:
                store.subscribers._suppressing.add(connection, "morning", ["a@b.test"], "unsubscribed", now=NOW)
                cut_off(store_url)
                connection.execute(select(people.c.id))

        def let_go() -> None:
            with store._database.alone("a name"):
                cut_off(store_url)

        with pytest.raises(StoreUnavailable):
            break_off()
        let_go()
        with pytest.raises(StoreUnavailable), store._database.alone("a name"):
            break_off()
        assert not store.subscribers.is_suppressed("morning", "a@b.test")
    assert not (tmp_path / "its.leavers").exists()


def cut_off(url: str) -> None:
    """Everybody else from that database."""
    others = "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    say(url, f"SELECT pg_terminate_backend(pid, 10000) FROM {others}")  # noqa: S608 - our own words


def test_passwords_are_asked_for_and_a_wrong_one_is_a_fault(restarting: PostgresServer) -> None:
    url = restarting.create()
    say(url, "CREATE ROLE locked LOGIN PASSWORD 'right'", f"ALTER DATABASE {url.rpartition('/')[2]} OWNER TO locked")
    restarting.ask_for_passwords("locked")
    assert "does not let us in" in str(fault_of(url.replace("digest@", "locked:hunter2@")))
    assert "does not let us in" in str(fault_of(url.replace("digest@", "locked@")))
    SqlStore.open(url.replace("digest@", "locked:right@")).close()


def test_who_may_only_read_is_told_so_and_may_read(store_url: str) -> None:
    with closing(SqlStore.open(store_url)) as store:
        save_edition(store)
    say(
        store_url,
        "CREATE ROLE reader LOGIN",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
    )
    with closing(SqlStore.open(store_url.replace("digest@", "reader@"))) as store:
        assert store.editions.newest("morning")
        with pytest.raises(StoreError, match="this user may not do that"):
            store.keys.key("a", lambda: "b")
    say(store_url, "DROP OWNED BY reader", "DROP ROLE reader")


def test_a_database_that_is_set_read_only_is_a_clear_fault(store_url: str) -> None:
    SqlStore.open(store_url).close()
    say(store_url, f"ALTER DATABASE {store_url.rpartition('/')[2]} SET default_transaction_read_only = on")
    with closing(SqlStore.open(store_url)) as store, pytest.raises(StoreError, match="it cannot be written"):
        store.keys.key("a", lambda: "b")


def test_a_database_that_keeps_no_utf8_is_refused(store_url: str) -> None:
    name = f"{store_url.rpartition('/')[2]}_latin"
    say(store_url, f"CREATE DATABASE {name} ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
    assert "LATIN1" in str(fault_of(f"{store_url.rpartition('/')[0]}/{name}"))
    say(store_url, f"DROP DATABASE {name}")


@pytest.mark.parametrize(
    "script",
    [
        ["CREATE TABLE theirs (x int)"],
        ["CREATE TABLE theirs (x int)", "CREATE TABLE alembic_version (version_num text)"],
        ["CREATE TABLE alembic_version (version_num text)", "INSERT INTO alembic_version VALUES ('0001')"],
    ],
    ids=["one table", "no revision", "no tables of ours"],
)
def test_a_database_of_another_program_is_refused(store_url: str, script: list[str]) -> None:
    say(store_url, *script)
    for use in (SqlStore.open, SqlStore.upgrade):
        with pytest.raises(StoreError, match="another program"):
            use(store_url)


def test_processes_that_make_one_database_at_once_make_it_once(store_url: str) -> None:
    script = (
        "import sys\n"
        "from digest.stores.sql import SqlStore\n"
        "sys.stdin.readline()\n"
        "store = SqlStore.open(sys.argv[1])\n"
        "sys.stdout.write(store.check()['integrity'])\n"
        "store.close()\n"
    )
    command = [sys.executable, "-W", "error", "-c", script, store_url]
    children = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    assert [child.communicate("go\n", timeout=60)[0] for child in children] == ["ok"] * 3


def test_writers_take_turns_and_one_that_waits_too_long_is_told_by_whom(store_url: str) -> None:
    with closing(SqlStore.open(store_url)) as store, closing(SqlStore.open(store_url)) as other:
        entered, ended = threading.Event(), threading.Event()

        def hold() -> None:
            with other._database.write() as connection:
                connection.exec_driver_sql("INSERT INTO keys VALUES ('held', 'first')")
                entered.set()
                ended.wait(30)

        holder = threading.Thread(target=hold)
        holder.start()
        assert entered.wait(30)
        store._database._lock_seconds = 0.2
        with pytest.raises(StoreUnavailable, match="locked by another process"):
            store.keys.key("held", lambda: "second")
        with store._database.write_beside() as connection:  # who is beside waits for nobody
            connection.exec_driver_sql("INSERT INTO keys VALUES ('beside', 'in time')")
        ended.set()
        holder.join()
        assert store.keys.key("held", lambda: "second") == "first"


def test_events_and_senders_take_deliveries_in_one_order_and_neither_is_sent_away(store_url: str) -> None:
    with closing(SqlStore.open(store_url)) as store:
        edition = plan(store, 2)
        with store._database.read() as connection:
            first, second = connection.execute(select(deliveries.c.id).order_by(deliveries.c.id)).scalars()
        # As they come: the last first.
        heard = [_delivered(store, number) for number in (second, first)]
        taken = threading.Thread(target=_take, args=(store, heard))
        with store._database.write_marks() as connection:
            lock = select(deliveries.c.id).with_for_update()
            connection.execute(lock.where(deliveries.c.id == first))
            taken.start()
            _wait_until_blocked(store_url)
            connection.execute(lock.where(deliveries.c.id == second))
        taken.join(30)
        assert store.ledger.counts(edition) == {"delivered": 2}


def _delivered(store: SqlStore, delivery: int) -> Event:
    with store._database.read() as connection:
        send_key = connection.execute(select(deliveries.c.send_key).where(deliveries.c.id == delivery)).scalar_one()
    return Event(
        provider="sendgrid", event_id=f"event-{delivery}", kind=EventKind.DELIVERED, occurred_at=NOW, send_key=send_key
    )


def _take(store: SqlStore, heard: list[Event]) -> None:
    store.events.take("morning", heard, RULES, now=NOW)


def _wait_until_blocked(url: str) -> None:
    """Until one of its transactions waits for another's."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        for _ in range(3000):
            waiting = connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
            if waiting and waiting[0]:
                return
            connection.execute("SELECT pg_sleep(0.01)")
    raise AssertionError("nobody waits")


def test_a_scratch_copy_writes_nothing_of_the_database_and_locks_nothing_that_a_sender_needs(store_url: str) -> None:
    with closing(SqlStore.open(store_url)) as store:
        readers = list(add_readers(store, 2))
        save_edition(store)
        with closing(store.scratch()) as scratch:
            assert len(list(scratch.subscribers.reached("morning"))) == 2
            assert scratch.keys.key("made there", lambda: "x") == "x"
            with pytest.raises(StoreError, match="cannot be written"):
                scratch.subscribers.leave("morning", readers[0].key, now=NOW)
            with store._database.write() as connection:  # while it is open
                connection.exec_driver_sql("LOCK TABLE people, subscriptions, deliveries IN EXCLUSIVE MODE")
        with closing(store.scratch(takes_readers=True)) as scratch:
            stranger = Subscriber(email="new@rehearsal.test", state=SubscriberState.ACTIVE, consent_at=NOW)
            assert scratch.subscribers.add_many("morning", [stranger], now=NOW) == 1
            assert scratch.subscribers.leave("morning", readers[0].key, now=NOW)
            assert len(list(scratch.subscribers.reached("morning"))) == 2
        assert [one.email for one in store.subscribers.reached("morning")] == [one.email for one in readers]
        assert store.keys.key("made there", lambda: "y") == "y"


def test_a_scratch_copy_whose_connection_is_lost_does_not_go_on_with_the_real_one(store_url: str) -> None:
    with closing(SqlStore.open(store_url)) as store, closing(store.scratch()) as scratch:
        scratch.keys.key("made there", lambda: "x")
        say(store_url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        with pytest.raises(StoreUnavailable, match="what was tried there"):
            scratch.keys.key("made there", lambda: "y")


def test_letters_that_postgresql_does_not_take_are_left_out_of_what_strangers_wrote(store_url: str) -> None:
    with closing(SqlStore.open(store_url)) as store:
        odd = Subscriber(email="odd@rehearsal.test", name="O\0dd", state=SubscriberState.ACTIVE, consent_at=NOW)
        assert store.subscribers.add("morning", odd, now=NOW)
        found = store.subscribers.find("morning", "odd@rehearsal.test")
        assert found and found.name == "Odd"
        store.entries.fail("morning", "wire", "it said \0", now=NOW)
        assert [row["error"] for row in store.entries.health("morning", now=NOW)] == ["it said "]


def test_people_who_come_one_by_one_after_many_get_numbers_of_their_own(store_url: str) -> None:
    with closing(SqlStore.open(store_url)) as store:
        add_readers(store, 3)
        with store._database.write() as connection:
            number = connection.execute(
                people.insert().values(email="a@b.test", email_key="a@b.test", created_at=NOW).returning(people.c.id)
            ).scalar_one()
            assert number == 4


def test_a_fault_about_a_row_does_not_repeat_it(store_url: str) -> None:
    with closing(SqlStore.open(store_url)) as store:
        add_readers(store, 1)
        again = people.insert().values(email="x", email_key="reader00000@rehearsal.test", created_at=NOW)

        def add_again() -> None:
            with store._database.write() as connection:
                connection.execute(again)

        with pytest.raises(StoreError, match="duplicate key") as caught:
            add_again()
        assert "reader00000" not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"


def test_lists_are_in_one_order_whatever_the_language_of_the_database(store_url: str) -> None:
    name = f"{store_url.rpartition('/')[2]}_icu"
    say(store_url, f"CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en' LOCALE 'C'")
    url = f"{store_url.rpartition('/')[0]}/{name}"
    emails = ["a_b@x.test", "a-c@x.test", "ab@x.test", "a.d@x.test", "ä@x.test", "b@x.test"]
    with closing(SqlStore.open(url)) as store:
        many = [Subscriber(email=email, state=SubscriberState.ACTIVE, consent_at=NOW) for email in emails]
        store.subscribers.add_many("morning", many, now=NOW)
        assert [one.email for one in store.subscribers.everyone("morning")] == sorted(emails)
    say(store_url, f"DROP DATABASE {name} WITH (FORCE)")


def test_check_says_what_the_server_promises(store_url: str) -> None:
    say(store_url, f"ALTER DATABASE {store_url.rpartition('/')[2]} SET synchronous_commit = off")
    with closing(SqlStore.open(store_url)) as store:
        assert store.check()["server"].startswith("PostgreSQL ")
        assert "fsync is off" in (store.find_risk() or "")  # as the tests' server is
        for write in (store._database.write, store._database.write_marks, store._database.write_beside):
            with write() as connection:
                assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
        with store._database.write_fast() as connection:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "off"
