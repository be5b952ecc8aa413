"""Addresses, signed links and imports."""

import random
import secrets
import string
from datetime import UTC, datetime

import pytest

from digest.audience.addresses import parse_address
from digest.audience.links import Links, make_send_key
from digest.errors import BadToken, ConfigError

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TOPICS = ["world", "sport"]


@pytest.mark.parametrize(
    ("raw", "email", "name"),
    [
        ("reader@gmail.com", "reader@gmail.com", None),
        ("  Reader@GMAIL.com ", "Reader@gmail.com", None),
        ("Jo Reader <jo@mail.org>", "jo@mail.org", "Jo Reader"),
        ('"Reader, Jo" <jo@mail.org>', "jo@mail.org", "Reader, Jo"),
    ],
)
def test_an_address_may_come_with_a_name(raw: str, email: str, name: str | None) -> None:
    address = parse_address(raw)
    assert (address.email, address.name, address.reserved) == (email, name, False)


@pytest.mark.parametrize("raw", ["a@sub.test", "a@example.com", "a@news.example.org", "a@localhost", "a@x.example"])
def test_reserved_names_are_taken_with_a_remark(raw: str) -> None:
    address = parse_address(raw)
    assert address.reserved
    assert address.email == raw


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "reader",
        "reader@",
        "@mail.org",
        "a b@mail.org",
        "a@mail..org",
        "a@x\r\nBcc: b@y.org",
        "x" * 70 + "@mail.org",
        "a@.test",
    ],
)
def test_what_is_no_address_is_refused_in_one_line(raw: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_address(raw)
    assert "\n" not in str(caught.value)


def _links(*keys: str, newsletter: str = "morning") -> Links:
    return Links(base_url="https://news.example.com/", newsletter=newsletter, keys=keys or ("secret",))


def test_a_link_carries_no_address_and_gives_the_key_back() -> None:
    key = secrets.token_hex(16)
    url = _links().unsubscribe_url(key)
    assert url.startswith("https://news.example.com/morning/unsubscribe/")
    assert _links().verify(url.rpartition("/")[2]) == key


def test_no_change_of_any_one_character_is_accepted() -> None:
    links = _links()
    token = links.sign("0123456789abcdef" * 2)
    alphabet = string.ascii_letters + string.digits + "-_.=+/~"
    for position in range(len(token)):
        for letter in alphabet:
            altered = token[:position] + letter + token[position + 1 :]
            if altered != token:
                with pytest.raises(BadToken):
                    links.verify(altered)


def test_guessed_and_cut_tokens_are_refused() -> None:
    links, dice = _links(), random.Random(7)
    token = links.sign("0" * 32)
    guesses = ["", ".", token[:-1], token + "=", token.upper(), f"{token}.{token}", "0" * 32]
    guesses += ["0" * 32 + "." + "".join(dice.choices(string.ascii_letters, k=43)) for _ in range(1000)]
    for guess in guesses:
        with pytest.raises(BadToken):
            links.verify(guess)


def test_old_links_work_after_the_key_was_rotated_and_not_after_it_was_dropped() -> None:
    token = _links("old").sign("0" * 32)
    assert _links("old", "new").verify(token) == "0" * 32
    with pytest.raises(BadToken):
        _links("new").verify(token)


def test_a_link_of_one_newsletter_does_not_act_on_another() -> None:
    token = _links(newsletter="morning").sign("0" * 32)
    with pytest.raises(BadToken):
        _links(newsletter="evening").verify(token)


def test_a_send_key_is_the_same_on_every_try_and_differs_by_edition_and_reader() -> None:
    def key(**changes: str) -> str:
        fields = {"newsletter": "morning", "cadence": "daily", "day": "2026-03-02", "subscriber": "0" * 32}
        return make_send_key("secret", **fields | changes)

    assert key() == key()
    assert len({key(), key(day="2026-03-03"), key(subscriber="1" * 32), key(newsletter="evening")}) == 4
