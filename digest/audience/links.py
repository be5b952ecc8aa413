"""Signed links: what a reader's own links carry, and what is taken back.

    a subscriber's random key ──sign──> key.signature ──verify──> the same key, or BadToken

A token holds no address and is valid for ever (RFC 8058 asks for links that work long after the mail). It is signed
with the newest of several keys and accepted from any, so keys can be rotated. Only the canonical spelling is
accepted: base64 ignores the last bits of its last letter, so that without this an altered token may still verify.
"""

import hashlib
import re
from collections.abc import Sequence

from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import base64_decode, base64_encode

from digest.errors import BadToken

_SHAPE = re.compile(r"[0-9a-f]{32}\.[A-Za-z0-9_-]{43}")


class Links:
    """The links of one newsletter's readers."""

    def __init__(self, *, base_url: str, newsletter: str, keys: Sequence[str]) -> None:
        """`keys` are the signing secrets, oldest first; the last one signs."""
        self._base_url = base_url.rstrip("/")
        self._newsletter = newsletter
        # The newsletter is part of the salt: a link of one newsletter never acts on another.
        self._signer = Signer(
            list(keys),
            salt=f"digest.unsubscribe.{newsletter}",
            key_derivation="hmac",
            digest_method=hashlib.sha256,
        )

    def unsubscribe_url(self, key: str) -> str:
        """The way out of the subscriber with that key. The same path shows a page (GET) and acts (POST)."""
        return f"{self._base_url}/{self._newsletter}/unsubscribe/{self.sign(key)}"

    def sign(self, key: str) -> str:
        """The token for a subscriber's key (32 hexadecimal digits)."""
        return self._signer.sign(key).decode("ascii")

    def verify(self, token: str) -> str:
        """The key in a token. Raises BadToken for anything but the very string that `sign` gives."""
        if not _SHAPE.fullmatch(token):
            raise BadToken("link", "it is not complete", remedy="copy the whole address from the mail")
        try:
            key = self._signer.unsign(token).decode("ascii")
        except BadSignature:
            raise BadToken("link", "it was altered", remedy="copy the whole address from the mail") from None
        signature = token.rpartition(".")[2]
        if base64_encode(base64_decode(signature)).decode("ascii") != signature:
            raise BadToken("link", "it was altered", remedy="copy the whole address from the mail")
        return key


def make_send_key(secret: str, *, newsletter: str, cadence: str, day: str, subscriber: str) -> str:
    """The opaque name of one delivery: the same on every try and in the preview, and meaningless to the provider.

    128 bits in hexadecimal, from the subscriber's random key and the edition's.
    """
    message = "\n".join((newsletter, cadence, day, subscriber)).encode()
    return hashlib.blake2b(message, key=hashlib.sha256(secret.encode()).digest(), digest_size=16).hexdigest()
