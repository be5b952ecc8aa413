"""Links that we did not sign: none is taken, whatever was done to one that we did."""

import base64
import hashlib
import hmac
import random
import string
from collections.abc import Callable

import pytest

from digest.audience.links import Links, Purpose
from digest.errors import BadToken

PURPOSES: tuple[Purpose, ...] = ("unsubscribe", "confirm", "preferences", "approval", "form", "click", "open")
FORGED = 100_000  # they cost less than a second

_KEYS = ["the first key", "the second key"]
_BASE64 = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
_LOOKALIKES = {"a": "а", "e": "е", "o": "о", "c": "с", "0": "٠", "1": "１", ".": "。", "-": "‐", "_": "＿", "A": "Ａ"}


def make_links(newsletter: str = "morning", keys: list[str] | None = None) -> Links:
    """The links of a newsletter."""
    return Links(base_url="https://news.test", newsletter=newsletter, keys=keys or _KEYS)


def make_value(chance: random.Random, purpose: Purpose) -> str:
    """A value such as a link of that purpose carries."""
    number = chance.randrange(1, 10**9)
    return {
        "approval": f"{number}-{chance.randrange(10**10)}-{chance.randrange(9)}",
        "form": str(chance.randrange(10**10)),
        "click": f"2026-{1 + number % 12:02}-{1 + number % 28:02}-daily-{chance.randrange(16**7):07x}",
        "open": f"2026-{1 + number % 12:02}-{1 + number % 28:02}-weekly",
    }.get(purpose, f"{chance.getrandbits(128):032x}")


def flip_a_bit(chance: random.Random, token: str) -> str:
    """One bit of one character."""
    at = chance.randrange(len(token))
    return token[:at] + chr(ord(token[at]) ^ (1 << chance.randrange(7))) + token[at + 1 :]


def change_a_letter(chance: random.Random, token: str) -> str:
    """Another letter of the alphabet that the token is written in."""
    at = chance.randrange(len(token))
    return token[:at] + chance.choice(_BASE64.replace(token[at], "")) + token[at + 1 :]


def spell_otherwise(chance: random.Random, token: str) -> str:
    """The same bytes to a decoder that does not mind the unused bits of the last letter."""
    at = _BASE64.index(token[-1])
    return token[:-1] + _BASE64[at ^ 1 if at % 4 < 2 else at ^ 3]


def pad(chance: random.Random, token: str) -> str:
    """The same bytes with what base64 decoders pass over."""
    at = token.rindex(".") + 1 + chance.randrange(43)
    return chance.choice(
        [f"{token}=", f"{token}==", f"{token[:at]}\n{token[at:]}", f"{token[:at]} {token[at:]}", f" {token}"]
    )


def use_the_other_alphabet(chance: random.Random, token: str) -> str:
    """Base64 as it is elsewhere."""
    return token.replace("-", "+").replace("_", "/")


def shorten(chance: random.Random, token: str) -> str:
    """As mail programs break links off."""
    return token[: chance.randrange(len(token))]


def append(chance: random.Random, token: str) -> str:
    """As mail programs and people add to links."""
    added = chance.choice([".", ",", ">", ")", "%20", "&", "=3D", "\n", "\x00", "A", "a.b", token, "/", "?x=1"])
    return token + added if chance.random() < 0.7 else added + token


def change_case(chance: random.Random, token: str) -> str:
    """As careless systems do with addresses."""
    return chance.choice([token.upper, token.lower, token.swapcase])()


def use_lookalikes(chance: random.Random, token: str) -> str:
    """Letters and digits of other scripts."""
    at = [place for place, letter in enumerate(token) if letter in _LOOKALIKES]
    place = chance.choice(at)
    return token[:place] + _LOOKALIKES[token[place]] + token[place + 1 :]


def change_the_value(chance: random.Random, token: str) -> str:
    """Somebody else's value under the same signature."""
    value, _, signature = token.rpartition(".")
    at = chance.choice([place for place, letter in enumerate(value) if letter in "0123456789abcdef"])
    return f"{value[:at]}{(int(value[at], 16) + 1) % 10}{value[at + 1 :]}.{signature}"


def guess(chance: random.Random, token: str) -> str:
    """The value with any signature."""
    value = token.rpartition(".")[0]
    return f"{value}.{base64.urlsafe_b64encode(chance.randbytes(32)).decode().rstrip('=')}"


def sign_without_the_key(chance: random.Random, token: str) -> str:
    """Signed by who knows how we sign, and guesses the key."""
    value = token.rpartition(".")[0]
    secret = chance.choice([b"", b"secret", b"digest", value.encode()])
    signature = hmac.new(secret, value.encode(), hashlib.sha256).digest()
    return f"{value}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


ALTERED: tuple[Callable[[random.Random, str], str], ...] = (
    flip_a_bit,
    change_a_letter,
    spell_otherwise,
    pad,
    use_the_other_alphabet,
    shorten,
    append,
    change_case,
    use_lookalikes,
    change_the_value,
    guess,
    sign_without_the_key,
)


def is_taken(links: Links, token: str, purpose: Purpose) -> bool:
    """Whether it is accepted; anything but a BadToken otherwise is a fault."""
    try:
        links.verify(token, purpose)
    except BadToken:
        return False
    return True


def test_no_forged_or_altered_link_is_taken() -> None:
    chance = random.Random(6)
    ours = make_links()
    strangers = {
        "another newsletter's": make_links("evening"),
        "another key's": make_links(keys=["another key"]),
        "a newsletter's of a longer name": make_links("morning.x"),
    }
    taken, tried, spelt_alike = [], 0, 0
    while tried < FORGED:
        purpose = chance.choice(PURPOSES)
        value = make_value(chance, purpose)
        token = ours.sign(value, purpose)
        assert ours.verify(token, purpose) == value
        forged = [(change.__name__, purpose, change(chance, token)) for change in ALTERED]
        forged += [("another purpose's", other, token) for other in PURPOSES if other != purpose]
        forged += [(whose, purpose, links.sign(value, purpose)) for whose, links in strangers.items()]
        for how, asked, attempt in forged:
            if attempt == token and asked == purpose:
                spelt_alike += 1  # a token without capitals is its own small letters
                continue
            tried += 1
            if is_taken(ours, attempt, asked):
                taken.append((how, asked, attempt))
    assert not taken
    assert spelt_alike < tried / 20


def test_links_of_every_key_that_was_ever_used_are_taken() -> None:
    old = make_links(keys=_KEYS[:1])
    for purpose in PURPOSES:
        value = make_value(random.Random(1), purpose)
        assert make_links().verify(old.sign(value, purpose), purpose) == value
        assert not is_taken(old, make_links().sign(value, purpose), purpose)


@pytest.mark.parametrize(
    "token", ["", ".", "..", "x" * 10_000_000, "\ud800." + "A" * 43, "0" * 32, "0" * 32 + "." + "A" * 43]
)
def test_what_is_no_token_is_refused_at_once(token: str) -> None:
    assert not any(is_taken(make_links(), token, purpose) for purpose in PURPOSES)
