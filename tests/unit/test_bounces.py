"""What a refusal weighs, when enough is said, and that no order matters."""

import json
import random
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from digest.audience.bounces import BounceRules, read_status, weigh
from digest.audience.receiving import read_events
from digest.models import Event, EventKind, RejectReason, Said, Weight
from digest.stores.schema import deliveries, events, people, subscriptions, suppressions
from digest.stores.sql import SqlStore
from tests.contract.editions import plan

NOW = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
DAY = timedelta(days=1)
RULES = BounceRules(hard_days=2, soft_run=3, wave=4, wave_within=timedelta(hours=1))


def refusal(answer: str, status: str | None = None, domain: str = "mail.org", **changes: object) -> Event:
    """A bounce."""
    made = Event(
        provider="sendgrid",
        event_id="1",
        kind=EventKind.BOUNCED,
        occurred_at=NOW,
        email=f"reader@{domain}",
        status=status,
        answer=answer,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("weight", "answer", "status", "domain"),
    [
        # There is no such mailbox, as most say it.
        (Weight.HARD, "550 5.1.1 user unknown", "5.1.1", "mail.org"),
        (Weight.HARD, "550 5.1.1 user unknown", None, "mail.org"),
        (Weight.HARD, "550 5.1.1 user unknown", "5.0.0", "mail.org"),
        (Weight.HARD, "smtp; 550-5.1.1 The email account that you tried to reach does not exist", None, "gmail.com"),
        (Weight.HARD, "550 5.1.2 bad destination system", "5.1.2", "mail.org"),
        (Weight.HARD, "556 5.1.10 this domain takes no mail", "5.1.10", "mail.org"),
        (Weight.HARD, "550 5.1.10 RESOLVER.ADR.RecipientNotFound", "5.1.10", "mail.org"),
        (Weight.HARD, "550 5.2.1 The email account that you tried to reach is disabled.", "5.2.1", "gmail.com"),
        (Weight.HARD, "Host or domain name not found. Name service error", "5.4.4", "mail.org"),
        # By words alone.
        (Weight.HARD, "550 No such user here", None, "mail.org"),
        (Weight.HARD, "550 <reader@mail.org>: Recipient address rejected: User unknown", None, "mail.org"),
        (Weight.HARD, "550 Unknown recipient", None, "mail.org"),
        (Weight.HARD, "554 delivery error: dd This user doesn't have a yahoo.com account [0]", "5.0.0", "yahoo.com"),
        (Weight.HARD, "552 1 Requested mail action aborted, mailbox not found", None, "aol.com"),
        (Weight.HARD, "554 30 It cannot be delivered. This mailbox is disabled (554.30).", None, "ymail.com"),
        # As Microsoft says it, and only Microsoft means it.
        (Weight.HARD, "550 5.5.0 Requested action not taken: mailbox unavailable", "5.5.0", "hotmail.com"),
        (Weight.HARD, "550 5.5.0 Requested action not taken: mailbox unavailable", "5.5.0", "outlook.co.uk"),
        (Weight.SOFT, "550 5.5.0 Requested action not taken: mailbox unavailable", "5.5.0", "mail.org"),
        (Weight.HARD, "550 5.4.1 Recipient address rejected: Access denied. [x.prod.outlook.com]", "5.4.1", "firm.org"),
        (Weight.HARD, "550 5.4.1 Recipient address rejected: Access denied.", "5.4.1", "live.com"),
        (Weight.SOFT, "550 5.4.1 Recipient address rejected: Access denied.", "5.4.1", "mail.org"),
        (Weight.SOFT, "550 5.4.1 no answer from host", "5.4.1", "hotmail.com"),
        # Not now.
        (Weight.SOFT, "452 4.2.2 mailbox full", "4.2.2", "mail.org"),
        (Weight.SOFT, "552 5.2.2 mailbox full", "5.2.2", "mail.org"),
        (Weight.SOFT, "450 4.1.1 user unknown, perhaps", "4.1.1", "mail.org"),
        (Weight.SOFT, "450 no such user, try again", None, "mail.org"),
        (Weight.SOFT, "550 5.2.1 The user is receiving mail at a rate that is too high", "5.2.1", "gmail.com"),
        (Weight.SOFT, "550 user over quota; account unknown", None, "mail.org"),
        (Weight.SOFT, "550 mailbox unavailable", None, "mail.org"),
        (Weight.SOFT, "", None, "mail.org"),
        (Weight.SOFT, "unable to get mx info", "", "mail.org"),
        # Policy: whoever the reader is.
        (Weight.POLICY, "554 5.7.1 rejected", "5.7.1", "mail.org"),
        (Weight.POLICY, "550 5.7.1 user unknown", "5.7.1", "mail.org"),
        (Weight.POLICY, "550 5.7.606 Access denied, banned sending IP", "5.7.606", "outlook.com"),
        (Weight.POLICY, "550 5.1.1 refused: listed by Spamhaus", "5.1.1", "mail.org"),
        (Weight.POLICY, "554 blocked by our block list", None, "mail.org"),
        # Our own faults.
        (Weight.OURS, "550 5.1.8 bad sender's system address", "5.1.8", "mail.org"),
        (Weight.OURS, "550 5.1.7 bad sender address syntax", "5.1.7", "mail.org"),
        (Weight.OURS, "550 Sender address rejected: user unknown", None, "mail.org"),
        (Weight.OURS, "552 5.3.4 message too big for system", "5.3.4", "mail.org"),
        (Weight.OURS, "554 5.6.0 bad content", "5.6.0", "mail.org"),
        (Weight.OURS, "501 5.5.4 bad arguments", "5.5.4", "mail.org"),
        # Words in an address are no words.
        (Weight.HARD, "550 5.1.1 <spam-sender@mail.org> does not exist", "5.1.1", "mail.org"),
        (Weight.SOFT, "550 5.2.0 <unknown-user@mail.org>", "5.2.0", "mail.org"),
    ],
)  # fmt: skip
def test_a_refusal_weighs_what_its_receiver_means(weight: Weight, answer: str, status: str | None, domain: str) -> None:
    assert weigh(refusal(answer, status, domain)) is weight


def test_what_the_provider_calls_passing_is_never_hard() -> None:
    unknown = refusal("550 5.1.1 user unknown", "5.1.1")
    assert weigh(replace(unknown, reject_reason=RejectReason.BLOCKED)) is Weight.SOFT
    assert weigh(replace(unknown, reject_reason=RejectReason.TIMED_OUT)) is Weight.SOFT


def test_what_the_provider_makes_of_it_counts_where_the_answer_leaves_it_open() -> None:
    assert weigh(refusal("550 no", "5.0.0", is_hard=True)) is Weight.HARD
    assert weigh(refusal("554 5.7.1 no", "5.7.1", is_hard=True)) is Weight.POLICY
    assert weigh(refusal("552 5.2.2 full", "5.2.2", is_hard=True)) is Weight.SOFT


@pytest.mark.parametrize("kind", [kind for kind in EventKind if kind not in {"bounced", "failed", "rejected"}])
def test_nothing_else_weighs_anything(kind: EventKind) -> None:
    assert weigh(refusal("550 5.1.1 user unknown", "5.1.1", kind=kind)) is None


@pytest.mark.parametrize(
    ("reason", "weight"),
    [
        (RejectReason.BOUNCED, Weight.LISTED),
        (RejectReason.INVALID, Weight.HARD),
        (RejectReason.SPAM, None),
        (RejectReason.UNSUBSCRIBED, None),
        (RejectReason.OTHER, Weight.OURS),
        (None, Weight.OURS),
    ],
)
def test_what_was_dropped_weighs_by_the_providers_reason(reason: RejectReason | None, weight: Weight | None) -> None:
    assert weigh(refusal("", kind=EventKind.REJECTED, reject_reason=reason)) is weight


def test_an_address_of_a_machine_is_no_status() -> None:
    assert read_status(None, "550 from 5.1.1.7: no") is None
    assert read_status(None, "421 too busy") == "4.0.0"
    assert read_status("smtp 5.2.2", "550 5.1.1 no") == "5.2.2"


@given(st.text(max_size=300), st.none() | st.text(max_size=12), st.sampled_from(["hotmail.com", "yahoo.com", "a.org"]))
@settings(max_examples=200)
def test_any_words_weigh_something(answer: str, status: str | None, domain: str) -> None:
    assert weigh(refusal(answer, status, domain)) in set(Weight)


# -- how much is enough ------------------------------------------------------------------------------------------------


def said(number: int, weight: Weight | None, at: datetime, person: int = 1) -> Said:
    """One refusal, or a delivery."""
    return Said(number=number, person=person, occurred_at=at, weight=weight)


def test_two_hard_ones_on_different_days_are_enough_and_on_one_day_are_not() -> None:
    late = NOW.replace(hour=23, minute=59)
    one_day = [said(1, Weight.HARD, NOW), said(2, Weight.HARD, late)]
    assert not RULES.stand(one_day).is_ended
    next_day = said(3, Weight.HARD, late + timedelta(minutes=2))
    assert RULES.stand([*one_day, next_day]).is_ended
    assert RULES.stand(one_day).hard_bounced_on == NOW.date()


def test_the_day_of_a_bounce_is_that_of_utc() -> None:
    zone = datetime.fromisoformat("2026-03-03T01:00:00+05:00")  # still the 2nd
    assert not RULES.stand([said(1, Weight.HARD, NOW), said(2, Weight.HARD, zone)]).is_ended


def test_a_delivery_forgives_soft_ones_and_no_hard_ones() -> None:
    soft = [said(n, Weight.SOFT, NOW + n * DAY) for n in range(3)]
    assert RULES.stand(soft).is_ended
    assert not RULES.stand([*soft, said(9, None, NOW + 1.5 * DAY)]).is_ended
    hard = [said(n, Weight.HARD, NOW + n * DAY) for n in range(2)]
    assert RULES.stand([*hard, said(9, None, NOW + 1.5 * DAY)]).is_ended


def test_what_the_provider_has_on_its_list_is_enough_at_once() -> None:
    assert RULES.stand([said(1, Weight.LISTED, NOW)]).is_ended


def test_our_own_faults_are_held_against_nobody() -> None:
    assert not RULES.stand([said(n, Weight.OURS, NOW + n * DAY) for n in range(50)]).is_ended


def test_a_wave_is_of_many_people_within_a_short_time() -> None:
    minute = timedelta(minutes=1)
    slow = [said(n, Weight.HARD, NOW + n * timedelta(minutes=25), person=n) for n in range(20)]
    assert not RULES.find_wave(slow)
    one_person = [said(n, Weight.HARD, NOW + n * minute, person=1) for n in range(20)]
    assert not RULES.find_wave(one_person)
    wave = [said(100 + n, Weight.HARD, NOW + n * minute, person=n) for n in range(4)]
    assert RULES.find_wave(wave[:3]) == frozenset()
    assert RULES.find_wave(wave) == {100, 101, 102, 103}
    long_before = said(1, Weight.HARD, NOW - 2 * timedelta(hours=1), person=77)
    assert RULES.find_wave([long_before, *wave]) == {100, 101, 102, 103}


def test_of_many_readers_at_a_domain_a_wave_takes_a_share() -> None:
    rules = replace(RULES, wave_share=0.05)
    four = [said(n, Weight.HARD, NOW, person=n) for n in range(4)]
    assert rules.find_wave(four, readers=80) == {0, 1, 2, 3}
    assert not rules.find_wave(four, readers=81)
    assert rules.find_wave([*four, said(4, Weight.HARD, NOW, person=4)], readers=100) == {0, 1, 2, 3, 4}


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 6)), max_size=40), st.randoms())
@settings(max_examples=150)
def test_a_wave_is_what_every_window_says(points: list[tuple[int, int]], order: random.Random) -> None:
    refusals = [
        said(number, Weight.HARD, NOW + minute * timedelta(minutes=1), person=person)
        for number, (minute, person) in enumerate(points)
    ]
    expected = set()
    for first in refusals:
        window = [one for one in refusals if timedelta() <= one.occurred_at - first.occurred_at <= RULES.wave_within]
        if len({one.person for one in window}) >= RULES.wave:
            expected |= {one.number for one in window}
    shuffled = list(refusals)
    order.shuffle(shuffled)
    assert RULES.find_wave(shuffled) == expected


# -- in any order ------------------------------------------------------------------------------------------------------

_READERS = 5
_KINDS: dict[str, dict[str, str]] = {
    "processed": {},
    "delivered": {"response": "250 OK"},
    "deferred": {"response": "452 4.2.2 later"},
    "hard": {"type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 user unknown"},
    "soft": {"type": "bounce", "status": "5.2.2", "reason": "552 5.2.2 full"},
    "policy": {"type": "blocked", "status": "5.7.1", "reason": "554 5.7.1 no"},
    "ours": {"type": "bounce", "status": "5.1.8", "reason": "550 5.1.8 bad sender"},
    "listed": {"reason": "Bounced Address"},
    "left before": {"reason": "Unsubscribed Address"},
    "spam before": {"reason": "Spam Reporting Address"},
    "spamreport": {},
    "unsubscribe": {},
    "group_resubscribe": {},
    "brand_new": {},
}
_EVENT_OF = {
    "hard": "bounce", "soft": "bounce", "policy": "bounce", "ours": "bounce",
    "listed": "dropped", "left before": "dropped", "spam before": "dropped",
}  # fmt: skip

_told = st.lists(
    st.tuples(
        st.sampled_from(sorted(_KINDS)),
        st.integers(0, _READERS - 1),
        st.integers(0, 5 * 24),  # hours
        st.booleans(),  # with the delivery's name
    ),
    max_size=25,
)


def _write(number: int, kind: str, reader: int, hour: int, send_key: str | None) -> dict[str, object]:
    return {
        "sg_event_id": f"event-{number}",
        "event": _EVENT_OF.get(kind, kind),
        "email": f"reader{reader:05}@rehearsal.test",
        "timestamp": int((NOW + timedelta(hours=1 + hour)).timestamp()),
        **({"send_key": send_key} if send_key else {}),
        **_KINDS[kind],
    }


@pytest.fixture(scope="module")
def planned() -> Iterator[list[object]]:
    """A store with an edition that was sent to five readers, to be copied."""
    store = SqlStore.empty()
    plan(store, _READERS)
    with store._database.write() as connection:
        connection.execute(deliveries.update().values(state="accepted", attempted_at=NOW, transport="sendgrid"))
        keys = connection.execute(
            select(people.c.email_key, deliveries.c.send_key)
            .join(subscriptions, subscriptions.c.person == people.c.id)
            .join(deliveries, deliveries.c.subscription == subscriptions.c.id)
        ).all()
    yield [store, {row.email_key: row.send_key for row in keys}]
    store.close()


def _end_state(store: SqlStore, batches: Sequence[Sequence[dict[str, object]]]) -> object:
    with closing(store.scratch()) as copy:
        later = NOW + 30 * DAY
        for batch in batches:
            copy.events.take("morning", read_events(json.dumps(batch).encode(), now=later), RULES, now=later)
        with copy._database.read() as connection:
            return (
                connection.execute(select(subscriptions.c.id, subscriptions.c.state).order_by("id")).all(),
                connection.execute(select(deliveries.c.id, deliveries.c.state).order_by("id")).all(),
                sorted(connection.execute(select(suppressions.c.address, suppressions.c.newsletter,
                                                 suppressions.c.reason)).all()),
                connection.execute(select(people.c.id, people.c.hard_bounced_on, people.c.soft_bounces)
                                   .order_by("id")).all(),
                sorted(connection.execute(select(events.c.event_id, events.c.effect)).all()),
            )  # fmt: skip


@given(told=_told, order=st.randoms(use_true_random=False), size=st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_the_end_is_the_same_in_whatever_order_and_however_often_events_come(
    planned: list[object], told: list[tuple[str, int, int, bool]], order: random.Random, size: int
) -> None:
    store, keys = planned
    assert isinstance(store, SqlStore) and isinstance(keys, dict)
    written = [
        _write(number, kind, reader, hour, keys[f"reader{reader:05}@rehearsal.test"] if named else None)
        for number, (kind, reader, hour, named) in enumerate(told)
    ]
    expected = _end_state(store, [written])
    shuffled = [*written, *order.choices(written, k=len(written))] if written else []
    order.shuffle(shuffled)
    batches = [shuffled[start : start + size] for start in range(0, len(shuffled), size)]
    assert _end_state(store, batches) == expected


# -- SendGrid's words --------------------------------------------------------------------------------------------------


def read(*members: object) -> list[Event]:
    return read_events(json.dumps(members).encode() + b"\r\n", now=NOW)


def test_every_sample_event_has_a_kind_of_django_anymail(shared: Path) -> None:
    body = (shared / "data" / "sendgrid" / "events.json").read_bytes()
    found = [(event.kind, event.reject_reason) for event in read_events(body, now=NOW)]
    assert found == [
        ("queued", None), ("deferred", None), ("delivered", None), ("opened", None), ("clicked", None),
        ("bounced", "bounced"), ("bounced", "blocked"), ("rejected", "bounced"), ("complained", None),
        ("unsubscribed", None), ("unsubscribed", None), ("subscribed", None), ("delivered", None),
        ("bounced", "bounced"), ("unknown", None),
    ]  # fmt: skip


def test_an_event_without_a_name_is_named_by_what_it_says() -> None:
    bare = {"event": "bounce", "email": "a@mail.org", "timestamp": 1764000000}
    one, same = read(bare, dict(reversed(bare.items())))
    (other,) = read(bare | {"timestamp": 1764000001})
    assert one.event_id == same.event_id != other.event_id
    assert one.event_id.startswith("hash:") and len(one.event_id) <= 128


@pytest.mark.parametrize(
    "member",
    [
        None,
        7,
        "x",
        [],
        {},
        {"event": "bounce"},
        {"event": 7, "timestamp": 1},
        {"event": None, "timestamp": 1},
        {"event": "bounce", "timestamp": "soon"},
        {"event": "bounce", "timestamp": 1e300},
        {"event": "bounce", "timestamp": -5},
    ],
)
def test_a_malformed_event_is_kept_as_unknown_and_costs_no_other(member: object) -> None:
    good = {"event": "delivered", "email": "a@mail.org", "timestamp": 1764000000, "sg_event_id": "g"}
    bad, kept = read(member, good)
    assert (bad.kind, bad.occurred_at, json.loads(bad.raw)) == ("unknown", NOW, member)
    assert (kept.kind, kept.event_id) == ("delivered", "g")


@pytest.mark.parametrize("body", [b"", b"{}", b"7", b"[", b"\xff\xfe", b"[" * 100_000, b"\x1f\x8b\x08\x00", b"null"])
def test_a_body_that_is_no_list_is_named(body: bytes) -> None:
    with pytest.raises(ValueError, match="the body"):
        read_events(body, now=NOW)


def test_what_a_server_answered_moves_no_cursor_and_is_not_endless() -> None:
    (event,) = read(
        {
            "event": "bounce",
            "timestamp": 1,
            "reason": "550 \u001b[2J\r\nno\u0000 " + "x" * 9999,
            "email": "a@b.org" * 99,
        }
    )
    assert event.answer is not None and event.answer.startswith("550 [2J no x") and len(event.answer) <= 1000
    assert event.email is None


def test_half_a_character_costs_no_event() -> None:
    (event,) = read_events(b'[{"event":"bounce","timestamp":1,"reason":"\\ud800 no","email":"a@mail.org"}]', now=NOW)
    assert event.answer == "? no"
