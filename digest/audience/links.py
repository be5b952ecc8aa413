"""Signed links: what a reader's or an operator's own links carry, and what is taken back.

    a value ──sign──> value.signature ──verify──> the same value, or BadToken

A token holds no address. Each purpose has a signature of its own, so that no link does another's work, and so has each
newsletter. A token is signed with the newest of several keys and accepted from any, so keys can be rotated. Only the
canonical spelling is accepted: base64 ignores the last bits of its last letter, so that without this an altered token
may still verify. What leads out is valid for ever (RFC 8058 asks for links that work long after the mail); what else
ends does so by what the store, or the value itself, says.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Final, Literal

from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import base64_decode, base64_encode

from digest.errors import BadToken

Purpose = Literal["unsubscribe", "confirm", "preferences", "approval", "form", "click", "open"]

_KEY: Final = re.compile(r"[0-9a-f]{32}")
# What is signed for a purpose; elsewhere a random key of 32 hexadecimal digits.
_VALUES: Final = {
    "approval": re.compile(r"[0-9]{1,10}-[0-9]{1,12}-[0-9]{1,4}"),  # an edition, when it ends, to whom it was mailed
    "form": re.compile(r"[0-9]{1,12}"),  # when a page was shown, in seconds
    # An edition by what is known of it before it is stored, and a number made of a link's address.
    "click": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}-(?:daily|weekly|special)-[0-9a-f]{7}"),
    "open": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}-(?:daily|weekly|special)"),
}
_SIGNATURE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_LONGEST: Final = 120  # characters of a token: nothing longer is looked at


class Links:
    """The links of one newsletter."""

    def __init__(self, *, base_url: str, newsletter: str, keys: Sequence[str]) -> None:
        """`keys` are the signing secrets, oldest first; the last one signs."""
        self._base_url = base_url.rstrip("/")
        self._newsletter = newsletter
        self._keys = list(keys)
        self._signers: dict[str, Signer] = {}

    def unsubscribe_url(self, key: str) -> str:
        """The way out of the subscriber with that key. The same path shows a page (GET) and acts (POST)."""
        return self.url("unsubscribe", key)

    def url(self, purpose: Purpose, value: str) -> str:
        """The address of a page that acts on a value."""
        return f"{self._base_url}/{self._newsletter}/{purpose}/{self.sign(value, purpose)}"

    def sign(self, value: str, purpose: Purpose = "unsubscribe") -> str:
        """The token for a value; for most purposes a key of 32 hexadecimal digits."""
        return self._signer(purpose).sign(value).decode("ascii")

    def verify(self, token: str, purpose: Purpose = "unsubscribe") -> str:
        """The value in a token. Raises BadToken for anything but the very string that `sign` gives."""
        value, _, signature = token.rpartition(".")
        shape = _VALUES.get(purpose, _KEY)
        if len(token) > _LONGEST or not shape.fullmatch(value) or not _SIGNATURE.fullmatch(signature):
            raise BadToken("link", "it is not complete", remedy="copy the whole address from the mail")
        try:
            self._signer(purpose).unsign(token)
        except BadSignature:
            raise BadToken("link", "it was altered", remedy="copy the whole address from the mail") from None
        if base64_encode(base64_decode(signature)).decode("ascii") != signature:
            raise BadToken("link", "it was altered", remedy="copy the whole address from the mail")
        return value

    def _signer(self, purpose: Purpose) -> Signer:
        if purpose not in self._signers:
            # The newsletter is part of the salt: a link of one newsletter never acts on another.
            self._signers[purpose] = Signer(
                self._keys,
                salt=f"digest.{purpose}.{self._newsletter}",
                key_derivation="hmac",
                digest_method=hashlib.sha256,
            )
        return self._signers[purpose]


def make_send_key(secret: str, *, newsletter: str, cadence: str, day: str, subscriber: str) -> str:
    """The opaque name of one delivery: the same on every try and in the preview, and meaningless to the provider.

    The month of the edition, as in 202601, where a store may keep it; then 104 bits in hexadecimal, from the
    subscriber's random key and the edition's. See models.month_in_key.
    """
    message = "\n".join((newsletter, cadence, day, subscriber)).encode()
    drawn = hashlib.blake2b(message, key=hashlib.sha256(secret.encode()).digest(), digest_size=13).hexdigest()
    return f"{day[:4]}{day[5:7]}{drawn}"
