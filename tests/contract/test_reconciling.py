"""A provider's suppression lists and ours: what one lacks it gets, and who came back is taken off."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from sqlalchemy import insert, select, text, update

from digest.app import App
from digest.audience.reconciling import WaveRule, compare, find_waves
from digest.config import load_config
from digest.errors import ConfigError, Refused, StoreError, Unavailable
from digest.models import Footing, Listed, ProviderList, Subscriber, SubscriberState
from digest.operate.erasing import erase_owed, erase_reader, erase_subscription, try_to_erase_owed
from digest.operate.reconciling import Reconciled, reconcile, say_reconciled
from digest.operate.recurring import list_chores
from digest.stores.audience_tables import events, page_requests, people, subscriptions
from digest.transports.sendgrid_lists import SendGridLists, _pack
from tests.doubles.sendgrid_api import LISTS, SendGridDouble, change_lists

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
LONG_AGO = int((NOW - timedelta(days=90)).timestamp())
YESTERDAY = int((NOW - timedelta(days=1)).timestamp())
NOTHING = Reconciled(listed=0, bounced=0, complained=0, left=0, ended=0, added=0, removed=0, set_aside=0)


@dataclass
class Desk:
    """A newsletter that sends through the double."""

    app: App
    api: SendGridDouble
    waits: list[float]

    def add(self, name: str, **changes: Any) -> None:
        reader = Subscriber(
            email=f"{name}@far.test",
            state=SubscriberState.ACTIVE,
            consent_at=NOW - timedelta(days=100),
            consent_from="list.csv",
        )
        for newsletter in ("morning", "evening"):
            self.app.store.subscribers.add(newsletter, reader, now=NOW - timedelta(days=100))
        if changes:
            with self.app.store._database.write() as connection:
                person = select(people.c.id).where(people.c.email_key == f"{name}@far.test").scalar_subquery()
                connection.execute(
                    update(subscriptions)
                    .where(subscriptions.c.person == person, subscriptions.c.newsletter == "morning")
                    .values(**changes)
                )

    def states(self, newsletter: str = "morning") -> dict[str, str]:
        everyone = self.app.store.subscribers.everyone(newsletter)
        return {reader.email.partition("@")[0]: reader.state.value for reader in everyone}

    def suppress(self, name: str, state: SubscriberState) -> None:
        self.app.store.reconciling.suppress("morning", [f"{name}@far.test"], state, now=NOW)

    def confirm(self, name: str, at: datetime, *, mailed_at: datetime | None = NOW) -> None:
        with self.app.store._database.write() as connection:
            values = {"key": name, "newsletter": "morning", "kind": "confirm", "email": f"{name}@far.test"}
            rest = {
                "address": "a",
                "network": "n",
                "choices": "{}",
                "requested_at": at,
                "mailed_at": mailed_at,
                "used_at": at,
            }
            connection.execute(insert(page_requests).values(**values, **rest))

    def bounce(self, name: str, effect: str, at: datetime) -> None:
        with self.app.store._database.write() as connection:
            person = connection.execute(select(people.c.id).where(people.c.email_key == f"{name}@far.test")).scalar()
            values = {"provider": "sendgrid", "event_id": f"{name}{effect}", "kind": "bounced", "person": person}
            connection.execute(insert(events).values(**values, occurred_at=at, received_at=at, effect=effect))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    waits: list[float] = []
    with SendGridDouble() as api:
        (tmp_path / "config.toml").write_text(
            '[newsletter]\nname = "M"\nslug = "morning"\nsender = "b@news.test"\n'
            f'[transport]\nkind = "sendgrid"\nhost = "{api.url}"\n',
            encoding="utf-8",
        )
        config = load_config(tmp_path / "config.toml", {"DIGEST_SENDGRID_API_KEY": api.api_key})
        with App(config, clock=lambda: NOW, wait=waits.append) as app:
            yield Desk(app, api, waits)


def test_whom_the_provider_does_not_mail_is_not_mailed_here(desk: Desk) -> None:
    for name in ("bounced", "typo", "angry", "left", "blocked", "happy"):
        desk.add(name)
    desk.api.lists["bounces"] = {"Bounced@Far.test": LONG_AGO, "stranger@far.test": LONG_AGO}
    desk.api.lists["invalid_emails"] = {"typo@far.test": LONG_AGO}
    desk.api.lists["spam_reports"] = {"angry@far.test": LONG_AGO}
    desk.api.lists["unsubscribes"] = {"left@far.test": LONG_AGO}
    desk.api.lists["blocks"] = {"blocked@far.test": LONG_AGO}
    before = json.dumps(desk.api.lists)
    dry = reconcile(desk.app, dry=True)
    assert (dry.bounced, dry.complained, dry.left, dry.ended) == (3, 1, 1, 0)
    assert set(desk.states().values()) == {"active"}
    done = reconcile(desk.app)
    assert done == Reconciled(listed=5, bounced=3, complained=1, left=1, ended=7, added=0, removed=0, set_aside=0)
    assert desk.states() == {
        "bounced": "bounced", "typo": "bounced", "angry": "complained", "left": "unsubscribed",
        "blocked": "active", "happy": "active",
    }  # fmt: skip
    # Bounces and complaints are of every newsletter, leaving of one.
    assert desk.states("evening") == desk.states() | {"left": "active"}
    store = desk.app.store.subscribers
    assert store.is_suppressed("morning", "STRANGER@far.test")
    assert store.find("morning", "stranger@far.test") is None  # of whom nothing is kept but the hash
    assert json.dumps(desk.api.lists) == before
    assert reconcile(desk.app) == Reconciled(
        listed=5, bounced=0, complained=0, left=0, ended=0, added=0, removed=0, set_aside=0
    )


def test_who_bounced_or_complained_here_is_put_on_the_providers_list_and_who_left_is_not(desk: Desk) -> None:
    for name, state in (
        ("bounced", SubscriberState.BOUNCED),
        ("angry", SubscriberState.COMPLAINED),
        ("left", SubscriberState.UNSUBSCRIBED),
        ("erased", SubscriberState.COMPLAINED),
    ):
        desk.add(name)
        desk.suppress(name, state)
    desk.add("happy")
    desk.app.store.subscribers.erase("erased@far.test", now=NOW)
    assert reconcile(desk.app, dry=True).added == 2
    assert desk.api.lists["unsubscribes"] == {}
    assert reconcile(desk.app).added == 2
    assert set(desk.api.lists["unsubscribes"]) == {"bounced@far.test", "angry@far.test"}
    assert reconcile(desk.app) == Reconciled(
        listed=2, bounced=0, complained=0, left=0, ended=0, added=0, removed=0, set_aside=0
    )


def test_who_came_back_by_their_own_word_is_taken_off_every_list(desk: Desk) -> None:
    desk.add("back")
    desk.confirm("Back", NOW - timedelta(hours=1))
    for name in ("bounces", "spam_reports", "unsubscribes", "invalid_emails"):
        desk.api.lists[name] = {"Back@far.test": LONG_AGO, "other@far.test": LONG_AGO}
    assert reconcile(desk.app).removed == 4
    assert desk.states()["back"] == "active"
    assert [list(desk.api.lists[name]) for name in ("bounces", "spam_reports", "unsubscribes", "invalid_emails")] == [
        ["other@far.test"]
    ] * 4
    assert reconcile(desk.app).removed == 0


@pytest.mark.parametrize("consent_from", ["another.csv", "203.0.113.9"])
def test_no_consent_that_a_file_may_have_brought_outweighs_a_complaint(desk: Desk, consent_from: str) -> None:
    desk.add("jo", consent_at=NOW - timedelta(hours=1), consent_from=consent_from)
    desk.api.lists["spam_reports"] = {"jo@far.test": YESTERDAY}
    assert reconcile(desk.app).complained == 1
    assert desk.states() == {"jo": "complained"}
    assert not [method for method, _, _ in desk.api.asked if method == "DELETE"]


def test_who_complained_after_coming_back_is_mailed_no_more(desk: Desk) -> None:
    desk.add("jo")
    desk.confirm("jo", NOW - timedelta(days=2))
    desk.api.lists["spam_reports"] = {"jo@far.test": YESTERDAY}
    assert (reconcile(desk.app).complained, desk.states()) == (1, {"jo": "complained"})


def test_a_request_that_was_answered_by_no_mail_confirms_nothing(desk: Desk) -> None:
    desk.add("jo")
    desk.confirm("jo", NOW - timedelta(hours=1), mailed_at=None)
    desk.api.lists["spam_reports"] = {"jo@far.test": YESTERDAY}
    assert (reconcile(desk.app).complained, desk.states()) == (1, {"jo": "complained"})


def test_a_complaint_outweighs_a_bounce_and_having_left(desk: Desk) -> None:
    for name in ("both", "bounced", "left"):
        desk.add(name)
    desk.suppress("bounced", SubscriberState.BOUNCED)
    desk.suppress("left", SubscriberState.UNSUBSCRIBED)
    desk.api.lists["bounces"] = {"both@far.test": LONG_AGO, "bounced@far.test": LONG_AGO}
    desk.api.lists["spam_reports"] = {f"{name}@far.test": LONG_AGO for name in ("both", "bounced", "left")}
    assert reconcile(desk.app).complained == 3
    assert desk.states() == {"both": "complained", "bounced": "complained", "left": "unsubscribed"}
    assert set(desk.states("evening").values()) == {"complained"}
    with desk.app.store._database.read() as connection:
        reasons = set(connection.exec_driver_sql("SELECT reason FROM suppressions WHERE newsletter = ''").scalars())
    assert reasons == {"complained"}  # which no `restore` lifts
    assert reconcile(desk.app).complained == 0


def test_a_provider_writes_an_international_domain_in_ascii_and_means_the_same_reader(desk: Desk) -> None:
    for name, domain in (("angry", "münchen.de"), ("gone", "straße.de")):
        reader = Subscriber(email=f"{name}@{domain}", state=SubscriberState.ACTIVE, consent_at=NOW)
        desk.app.store.subscribers.add("morning", reader, now=NOW)
    desk.app.store.reconciling.suppress("morning", ["gone@straße.de"], SubscriberState.BOUNCED, now=NOW)
    desk.api.lists["spam_reports"] = {"Angry@xn--mnchen-3ya.de": LONG_AGO}
    done = reconcile(desk.app)
    assert (done.complained, done.ended, done.added) == (1, 1, 1)
    assert desk.states()["angry"] == "complained"
    assert set(desk.api.lists["unsubscribes"]) == {"gone@xn--strae-oqa.de"}
    assert reconcile(desk.app).added == 0


def test_bounces_that_were_set_aside_wait_and_those_that_were_undone_are_taken_off(desk: Desk) -> None:
    at = datetime.fromtimestamp(YESTERDAY, UTC)
    for name, effect in (("waits", "quarantined"), ("restored", "undone"), ("again", "quarantined")):
        desk.add(name)
        desk.bounce(name, effect, at - timedelta(days=30 if name == "again" else 0))
    desk.api.lists["bounces"] = {f"{name}@far.test": YESTERDAY for name in ("waits", "again")}
    desk.api.lists["bounces"]["restored@far.test"] = LONG_AGO
    done = reconcile(desk.app)
    # What bounced once more, after what was set aside, is taken at its word.
    assert (done.set_aside, done.removed, done.bounced) == (1, 1, 1)
    assert desk.states() == {"waits": "active", "restored": "active", "again": "bounced"}
    assert set(desk.api.lists["bounces"]) == {"waits@far.test", "again@far.test"}


def test_a_wave_of_bounces_from_one_domain_waits_for_the_operator(desk: Desk) -> None:
    for number in range(25):
        desk.add(f"wave{number}")
    desk.add("alone")
    desk.api.lists["bounces"] = {f"wave{number}@far.test": YESTERDAY + 60 * number for number in range(25)}
    desk.api.lists["bounces"] |= {f"stranger{number}@other.test": YESTERDAY for number in range(30)}
    desk.api.lists["bounces"]["alone@far.test"] = LONG_AGO
    done = reconcile(desk.app)
    assert (done.set_aside, done.bounced, done.ended) == (25, 31, 2)
    said = say_reconciled(done)
    assert said is not None and said.startswith("suppression lists: 31 bounced, 25 bounces wait for you; `digest")
    assert desk.states()["wave0"] == "active" and desk.states()["alone"] == "bounced"
    done = reconcile(desk.app, with_waves=True)
    assert (done.set_aside, done.bounced) == (0, 25)
    assert set(desk.states().values()) == {"bounced"}


def test_a_wave_is_many_within_a_while_and_nothing_else() -> None:
    rule = WaveRule(count=3, within=timedelta(hours=1))

    def find(*minutes: int) -> list[str]:
        bounces = [Listed(email=f"{at}@X.test", listed_at=NOW + timedelta(minutes=at)) for at in minutes]
        return sorted(find_waves(bounces, rule))

    assert find(0, 61, 122) == []
    assert find(0, 30) == []
    assert find(0, 30, 60) == ["0@x.test", "30@x.test", "60@x.test"]
    assert find(0, 100, 110, 120, 300) == ["100@x.test", "110@x.test", "120@x.test"]
    assert len(find(*range(0, 200, 20))) == 10


def test_lists_of_many_pages_are_read_whole_and_added_to_in_batches(desk: Desk) -> None:
    desk.api.lists["bounces"] = {f"{number}@far.test": LONG_AGO for number in range(1000)}
    desk.api.lists["spam_reports"] = {f"s{number}@far.test": LONG_AGO for number in range(501)}
    done = reconcile(desk.app)
    assert (done.bounced, done.complained) == (1000, 501)
    pages = [path for _, path, _ in desk.api.asked if "spam_reports" in path]
    assert [page.partition("offset=")[2] for page in pages] == ["0", "500"]
    lists = SendGridLists(api_key=desk.api.api_key, host=desk.api.url, clock=lambda: NOW)
    lists.add([f"new{number}@far.test" for number in range(1200)])
    lists.close()
    bodies = [body for method, _, body in desk.api.asked if method == "POST"]
    assert [len(body["recipient_emails"]) for body in bodies] == [500, 500, 200]
    assert desk.api.connections <= 3


def test_nothing_is_asked_for_nobody(desk: Desk) -> None:
    lists = SendGridLists(api_key=desk.api.api_key, host=desk.api.url, clock=lambda: NOW)
    lists.add([])
    for name in ProviderList:
        lists.remove(name, [])
    lists.close()
    assert desk.api.asked == []


def test_an_address_is_written_into_a_path_so_that_it_means_nothing_else(desk: Desk) -> None:
    lists = SendGridLists(api_key=desk.api.api_key, host=desk.api.url, clock=lambda: NOW)
    desk.api.lists["unsubscribes"] = {"a/b?c#d+e@far.test": LONG_AGO, "jo@far.test": LONG_AGO}
    lists.remove(ProviderList.LEFT, ["a/b?c#d+e@far.test", "nobody@far.test"])
    lists.close()
    assert list(desk.api.lists["unsubscribes"]) == ["jo@far.test"]


def test_too_many_requests_are_made_later_within_a_bound(desk: Desk) -> None:
    start = int(NOW.timestamp())
    # Another clock than ours may be right: the reset is an instant by the answer's own.
    theirs = {"X-RateLimit-Reset": str(start + 3600 + 30), "Date": format_datetime(NOW + timedelta(hours=1))}
    ours = {"X-RateLimit-Reset": str(start + 20), "Date": ""}
    desk.api.refusals = [(429, ours), (429, {}), (429, theirs)]
    assert reconcile(desk.app) == NOTHING
    assert desk.waits == [20.0, 60.0, 30.0]
    desk.api.refusals = [(429, {"X-RateLimit-Reset": str(start + 300), "Date": ""})]
    with pytest.raises(Unavailable, match="reset in 300 seconds"):
        reconcile(desk.app)
    desk.api.refusals = [(429, {})] * 4
    with pytest.raises(Unavailable, match="429"):
        reconcile(desk.app)


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [(401, Refused, "scopes"), (403, Refused, "scopes"), (500, Unavailable, "500"), (400, Refused, "is refused")],
)
def test_a_provider_that_will_not_is_one_clear_error_and_changes_nothing(
    desk: Desk, status: int, kind: type[Exception], words: str
) -> None:
    desk.add("jo")
    desk.api.lists["bounces"] = {"jo@far.test": LONG_AGO}
    desk.api.refusals = [(status, {})]
    with pytest.raises(kind, match=words):
        reconcile(desk.app)
    assert desk.states() == {"jo": "active"}


def test_what_was_found_here_is_kept_when_the_provider_fails_in_the_middle(desk: Desk) -> None:
    desk.add("jo")
    desk.add("al")
    desk.suppress("al", SubscriberState.COMPLAINED)
    desk.api.lists["bounces"] = {"jo@far.test": LONG_AGO}
    lists = SendGridLists(api_key=desk.api.api_key, host=desk.api.url, clock=lambda: NOW)

    class Failing:
        read, remove, close = lists.read, lists.remove, lists.close

        def add(self, emails: object) -> None:
            raise Unavailable("sendgrid", "gone")

    with pytest.raises(Unavailable):
        reconcile(desk.app, Failing())  # type: ignore[arg-type]
    lists.close()
    assert desk.states()["jo"] == "bounced"


def test_rows_that_make_no_sense_are_left_out_and_a_list_that_makes_none_is_an_error(desk: Desk) -> None:
    rows: dict[Any, Any] = {
        "jo@far.test": 1,
        7: 1,
        "x@y.test": "soon",
        "a\r\nb@y.test": 1,
        "a@" + "b" * 400: 1,
        "late@y.test": 10**30,
        "none": 1,
    }
    desk.api.lists["bounces"] = rows
    lists = SendGridLists(api_key=desk.api.api_key, host=desk.api.url, clock=lambda: NOW)
    assert [one.email for one in lists.read(ProviderList.BOUNCES)] == ["jo@far.test"]
    desk.api.refusals = [(200, {})]
    with pytest.raises(Unavailable, match="makes no sense"):
        list(lists.read(ProviderList.BOUNCES))
    lists.close()


def test_a_rehearsal_and_a_newsletter_without_sendgrid_have_no_such_lists(tmp_path: Path) -> None:
    for transport in ("", '[transport]\nkind = "sendgrid"\nsandbox = true\n'):
        newsletter = '[newsletter]\nname = "M"\nslug = "m"\nsender = "b@news.test"\n'
        (tmp_path / "config.toml").write_text(newsletter + transport, encoding="utf-8")
        with App(load_config(tmp_path / "config.toml", {"DIGEST_SENDGRID_API_KEY": "k"})) as app:
            assert "suppression lists" not in [chore.name for chore in list_chores(app)]
            with pytest.raises(ConfigError, match="lists of its own"):
                reconcile(app)


def test_it_is_a_daily_chore_where_there_is_such_a_provider(desk: Desk) -> None:
    desk.add("jo")
    desk.api.lists["bounces"] = {"jo@far.test": LONG_AGO}
    chore = next(one for one in list_chores(desk.app) if one.name == "suppression lists")
    assert chore.every == timedelta(days=1)
    assert chore.work() == "suppression lists: 1 bounced"
    assert chore.work() is None


def test_the_decision_is_the_same_in_any_order_and_says_each_address_once() -> None:
    listed = {name: {"jo@x.test": Listed(email="Jo@x.test", listed_at=NOW)} for name in ProviderList}
    found = compare(listed, {}, ["JO@x.test", "al@x.test", "al@x.test"])
    assert found.there == ["al@x.test"]
    assert compare(listed, {"jo@x.test": Footing(is_suppressed=True, has_complained=True)}, []).here == {}
    assert say_reconciled(NOTHING) is None


@pytest.fixture(scope="module")
def document(shared: Path) -> dict[str, Any]:
    path = shared / "data" / "sendgrid" / "oai" / "tsg_suppressions_v3.yaml"
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def _resolve(document: dict[str, Any], part: Any) -> Any:
    while "$ref" in part:
        found: Any = document
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def _validator(document: dict[str, Any], holder: Any) -> Draft202012Validator:
    schema = _resolve(document, _resolve(document, holder)["content"]["application/json"]["schema"])
    return Draft202012Validator({**schema, "components": document["components"]})


@pytest.mark.parametrize("name", sorted(set(LISTS)))
def test_the_double_answers_as_the_api_describes(document: dict[str, Any], name: str) -> None:
    lists = {known: {"jo@far.test": LONG_AGO} for known in LISTS}
    _, rows = change_lists(lists, "GET", f"/v3/suppression/{name}?limit=500&offset=0", None)
    responses = document["paths"][f"/v3/suppression/{name}"]["get"]["responses"]
    assert [error.message for error in _validator(document, responses["200"]).iter_errors(rows)] == []


def test_the_requests_are_what_the_api_describes(desk: Desk, document: dict[str, Any]) -> None:
    lists = SendGridLists(api_key=desk.api.api_key, host=desk.api.url, clock=lambda: NOW)
    lists.add(["jo@far.test"])
    for name in ProviderList:
        list(lists.read(name))
        lists.remove(name, ["jo@far.test"])
    lists.close()
    for method, path, body in desk.api.asked:
        known = path.partition("?")[0].replace("jo@far.test", "{email}")
        operation = document["paths"][known][method.lower()]
        if "requestBody" in operation:
            validator = _validator(document, operation["requestBody"])
            assert [error.message for error in validator.iter_errors(body)] == []
        else:
            assert body is None


def test_who_is_erased_is_forgotten_by_the_provider_too(desk: Desk) -> None:
    desk.add("leaver")
    assert erase_reader(desk.app, "leaver@far.test")
    assert desk.app.store.erasures.owed("morning") == ["leaver@far.test"]
    assert try_to_erase_owed(desk.app) is None
    assert desk.api.erased == ["leaver@far.test"]
    assert desk.app.store.erasures.owed("morning") == [], "the address stands nowhere any more"
    assert erase_owed(desk.app) == 0


def test_a_provider_that_is_away_is_told_later(desk: Desk) -> None:
    desk.add("leaver")
    erase_reader(desk.app, "leaver@far.test")
    desk.api.refusals = [(500, {})]
    said = try_to_erase_owed(desk.app)
    assert said
    assert "was not told yet" in said
    assert "leaver" not in said
    (chore,) = [chore for chore in list_chores(desk.app) if chore.name == "erasures"]
    assert chore.work() is None
    assert desk.api.erased == ["leaver@far.test"]


def test_who_is_erased_again_before_the_provider_was_told_is_still_told_of(desk: Desk) -> None:
    desk.add("leaver")
    assert erase_reader(desk.app, "leaver@far.test")
    assert not erase_reader(desk.app, "leaver@far.test"), "nothing is kept here any more"
    assert erase_owed(desk.app) == 1
    assert desk.api.erased == ["leaver@far.test"]


def test_one_subscription_that_is_erased_is_told_of_and_a_stranger_is_not(desk: Desk) -> None:
    desk.add("leaver")
    reader = desk.app.store.subscribers.find("morning", "leaver@far.test")
    assert reader
    assert not erase_reader(desk.app, "nobody@far.test")
    assert not erase_subscription(desk.app, "no such key")
    assert desk.app.store.erasures.owed("morning") == []
    assert erase_subscription(desk.app, reader.key)
    assert erase_owed(desk.app) == 1
    assert desk.states("evening") == {"leaver": "active"}


def test_what_the_provider_is_owed_is_written_before_a_subscription_is_erased(desk: Desk) -> None:
    desk.add("leaver")
    reader = desk.app.store.subscribers.find("morning", "leaver@far.test")
    assert reader
    with desk.app.store._database.write() as connection:  # so that the second of the two steps fails
        connection.execute(text("CREATE TRIGGER no BEFORE UPDATE ON subscriptions BEGIN SELECT RAISE(FAIL, 'no'); END"))
    with pytest.raises(StoreError):
        erase_subscription(desk.app, reader.key)
    assert desk.app.store.erasures.owed("morning") == ["leaver@far.test"]
    with desk.app.store._database.write() as connection:
        connection.execute(text("DROP TRIGGER no"))
    assert erase_subscription(desk.app, reader.key)
    assert not erase_subscription(desk.app, reader.key), "it was erased before"
    assert desk.app.store.erasures.owed("morning") == ["leaver@far.test"]


def test_a_rehearsal_keeps_no_address_for_a_provider(desk: Desk) -> None:
    table = desk.app.config.transport.model_copy(update={"sandbox": True})
    with App(desk.app.config.model_copy(update={"transport": table}), clock=lambda: NOW) as app:
        desk.add("leaver")
        assert erase_reader(app, "leaver@far.test")
        assert app.store.erasures.owed("morning") == []


def test_erasures_come_in_requests_that_the_service_takes() -> None:
    some = [f"{number:07}@{'far' * 20}.test" for number in range(12_000)]
    chunks = list(_pack(some))
    assert [email for chunk in chunks for email in chunk] == some
    assert max(len(chunk) for chunk in chunks) <= 5000
    assert max(len(json.dumps({"email_addresses": chunk}, separators=(",", ":"))) for chunk in chunks) <= 256_000
    assert list(_pack([])) == []
