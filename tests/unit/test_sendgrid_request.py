"""The bodies of SendGrid's requests, and what its answers ask for."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.errors import Refused, RenderError
from digest.models import UNSUBSCRIBE_TOKEN, Batch, Message
from digest.transports import sendgrid_request
from digest.transports.sendgrid import SendGridTransport
from digest.transports.sendgrid_client import Answer, errors_of, read_wait
from digest.transports.sendgrid_request import MOST_BYTES, divide, encode_parts, encode_shared, join
from tests.contract.test_transports import make_batch

NOW = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)


def encode(batch: Batch, *, sandbox: bool = False, categories: tuple[str, ...] = ()) -> list[bytes]:
    shared = encode_shared(batch, sandbox=sandbox, categories=categories, subject="sendgrid")
    return [join(request, shared) for request in divide(encode_parts(batch.messages, batch.letterhead), shared)]


def addressed(*emails: str) -> Batch:
    batch = make_batch(len(emails))
    messages = [replace(message, email=email) for message, email in zip(batch.messages, emails, strict=True)]
    return replace(batch, messages=tuple(messages))


def addresses(body: bytes) -> list[str]:
    return [person["to"][0]["email"] for person in json.loads(body)["personalizations"]]


def test_what_json_need_not_escape_is_not_escaped() -> None:
    batch = make_batch(1)
    cyrillic = "ж" * 58_000
    rendition = replace(batch.rendition, text=batch.rendition.text + cyrillic)
    (body,) = encode(replace(batch, rendition=rendition))
    assert cyrillic.encode() in body
    assert len(body) < 58_000 * 2 + 3000


@given(
    st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), min_size=1, max_size=4),
    st.text(max_size=30),
)
def test_whatever_stands_in_names_links_and_text_the_body_is_json_and_says_it(
    readers: list[tuple[str, str]], text: str
) -> None:
    batch = make_batch(len(readers))
    messages = tuple(
        replace(message, name=name, unsubscribe_url=f"https://news.test/{link}")
        for message, (name, link) in zip(batch.messages, readers, strict=True)
    )
    rendition = replace(batch.rendition, text=UNSUBSCRIBE_TOKEN + text)
    (body,) = encode(replace(batch, messages=messages, rendition=rendition))
    request = json.loads(body)
    assert request["content"][0]["value"] == UNSUBSCRIBE_TOKEN + text
    assert len(request["personalizations"]) == len(readers)
    for message, person in zip(messages, request["personalizations"], strict=True):
        assert person["substitutions"] == {UNSUBSCRIBE_TOKEN: message.unsubscribe_url}
        assert person["custom_args"] == {"send_key": message.send_key}
        assert person["to"][0].get("name", "x").isprintable()
        assert not any(mark in person["to"][0].get("name", "") for mark in ",;\r\n")
        assert not any("\n" in value or "\r" in value for value in person["headers"].values())


def test_half_a_character_costs_nobody_the_edition() -> None:
    batch = make_batch(1)
    (message,) = batch.messages
    rendition = replace(batch.rendition, text=UNSUBSCRIBE_TOKEN + "\ud83d")
    (body,) = encode(replace(batch, rendition=rendition, messages=(replace(message, name="Jo \udc00"),)))
    assert json.loads(body)["content"][0]["value"] == UNSUBSCRIBE_TOKEN + "?"


def test_a_request_holds_what_fits_to_the_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = make_batch(10)
    (whole,) = encode(batch)
    monkeypatch.setattr(sendgrid_request, "MOST_BYTES", len(whole) + 20_000)
    shared = encode_shared(batch, sandbox=False, categories=(), subject="sendgrid")
    parts = encode_parts(batch.messages, batch.letterhead)
    for most, requests in ((len(whole), 1), (len(whole) - 1, 2)):
        monkeypatch.setattr(sendgrid_request, "MOST_BYTES", most)
        bodies = [join(request, shared) for request in divide(parts, shared)]
        assert len(bodies) == requests
        assert all(len(body) <= most for body in bodies)
        assert [email for body in bodies for email in addresses(body)] == [one.email for one in batch.messages]


@pytest.mark.parametrize(
    "twins",
    [
        ("jo@x.test", "JO@X.test"),
        ("jo@bücher.example", "jo@xn--bcher-kva.example"),
        ("jo@bücher.example", "jo@BÜCHER.example"),
        ("jo@bücher.example", "jo@ｂücher.example"),
        ("jörg@bücher.example", "JÖRG@xn--bcher-kva.example"),
    ],
)
def test_two_spellings_of_an_address_never_stand_in_one_request(twins: tuple[str, str]) -> None:
    first, second = encode(addressed("a@x.test", *twins, "b@x.test"))
    assert len(addresses(first)) == 3
    assert len(addresses(second)) == 1


def test_many_twins_cost_two_requests_and_not_one_for_each() -> None:
    emails = [f"reader{n // 2}@x.test" if n % 2 else f"READER{n // 2}@x.test" for n in range(40)]
    assert [len(addresses(body)) for body in encode(addressed(*emails))] == [20, 20]


def test_nobody_is_watched_whatever_kind_of_mail_it_is() -> None:
    batch = make_batch(1)
    for is_bulk in (True, False):
        for sandbox in (True, False):
            changed = replace(batch, letterhead=replace(batch.letterhead, is_bulk=is_bulk))
            (body,) = encode(changed, sandbox=sandbox)
            tracking = json.loads(body)["tracking_settings"]
            assert set(tracking) == {"click_tracking", "open_tracking", "subscription_tracking", "ganalytics"}
            assert not any(value for setting in tracking.values() for value in setting.values())


def test_categories_are_the_configured_ones_and_the_lists_own_at_most_ten_and_each_once() -> None:
    for configured, wanted in (
        ((), ["morning.news.test"]),
        (("news", "daily", "news", "morning.news.test"), ["news", "daily", "morning.news.test"]),
        (tuple("abcdefghijkl"), [*"abcdefghi", "morning.news.test"]),
    ):
        (body,) = encode(make_batch(1), categories=configured)
        assert json.loads(body)["categories"] == wanted


def test_the_senders_international_domain_is_written_in_ascii() -> None:
    batch = make_batch(1)
    letterhead = replace(batch.letterhead, sender="Brücke <brief@bücher.example>", reply_to="desk@bücher.example")
    (body,) = encode(replace(batch, letterhead=letterhead))
    request = json.loads(body)
    assert request["from"] == {"email": "brief@xn--bcher-kva.example", "name": "Brücke"}
    assert request["reply_to"] == {"email": "desk@xn--bcher-kva.example"}
    assert request["personalizations"][0]["headers"]["Message-ID"].endswith("@xn--bcher-kva.example>")


def test_a_sender_who_cannot_be_written_in_ascii_is_refused_before_anything_leaves() -> None:
    batch = make_batch(1)
    with pytest.raises(Refused, match="ASCII"):
        encode(replace(batch, letterhead=replace(batch.letterhead, sender="jörg@news.test")))


def test_a_rendition_without_a_way_out_is_not_sent() -> None:
    batch = make_batch(1)
    with pytest.raises(RenderError, match="unsubscribe"):
        encode(replace(batch, rendition=replace(batch.rendition, text="Nothing")))


def test_an_edition_that_no_request_could_hold_is_refused() -> None:
    batch = make_batch(1)
    rendition = replace(batch.rendition, html=UNSUBSCRIBE_TOKEN + "x" * MOST_BYTES)
    with pytest.raises(Refused, match="bytes"):
        encode(replace(batch, rendition=rendition))


def test_only_the_reader_whose_own_part_is_too_long_is_at_fault() -> None:
    def fault_of(**changes: Any) -> str | None:
        batch = make_batch(1)
        message: Message = replace(batch.messages[0], **changes)
        (part,) = encode_parts([message], batch.letterhead)
        return part.fault

    # The token, quotes, colon and braces belong to the substitutions.
    room = 10_000 - len(json.dumps({UNSUBSCRIBE_TOKEN: ""}, separators=(",", ":")))
    assert fault_of() is None
    assert fault_of(unsubscribe_url="x" * room) is None
    assert "links" in str(fault_of(unsubscribe_url="x" * (room + 1)))
    assert "links" in str(fault_of(unsubscribe_url="ж" * (room // 2 + 1)))
    assert "send_key" in str(fault_of(send_key="k" * 10_000))


@pytest.mark.parametrize(
    ("region", "host"), [("global", "https://api.sendgrid.com"), ("eu", "https://api.eu.sendgrid.com")]
)
def test_the_region_is_where_the_request_goes(region: Any, host: str) -> None:
    transport = SendGridTransport(api_key="SG.k", region=region)
    assert host in repr(transport)
    transport.close()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) + 40)}, 40),
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) - 40)}, 1),
        # Our clock may be off by hours: SendGrid's own stands beside it.
        (
            {
                "x-ratelimit-reset": str(int(NOW.timestamp()) + 7200 + 40),
                "date": format_datetime(NOW + timedelta(hours=2), usegmt=True),
            },
            40,
        ),
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) + 7200)}, 60),
        ({"x-ratelimit-reset": "1900000000"}, 60),
        ({"x-ratelimit-reset": "30"}, 30),
        ({"x-ratelimit-reset": "soon"}, 60),
        ({"x-ratelimit-reset": "-5"}, 60),
        ({"x-ratelimit-reset": "9" * 400}, 60),
        ({"x-ratelimit-reset": "٣٠"}, 60),
        ({"retry-after": "120"}, 120),
        ({"retry-after": "999999999999"}, 60),
        ({"retry-after": format_datetime(NOW + timedelta(seconds=90), usegmt=True)}, 90),
        ({"retry-after": "x", "date": "y"}, 60),
        ({"x-ratelimit-reset": "30", "retry-after": "120"}, 30),
        ({}, 60),
    ],
)
def test_how_long_to_wait_is_what_the_answer_says_within_reason(headers: dict[str, str], seconds: float) -> None:
    assert read_wait(headers, NOW) == seconds


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"7", b"[]", b'{"errors": 7}', b'{"errors": [null]}', b'{"errors": {"a": 1}}', b"[" * 100_000],
)
def test_errors_that_make_no_sense_are_none(body: bytes) -> None:
    assert errors_of(Answer(400, {}, body)) == []
