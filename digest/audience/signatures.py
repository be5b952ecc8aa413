"""Whether SendGrid signed what came: ECDSA on P-256 with SHA-256, over the timestamp and the body as they came.

The only module of its room that knows cryptography.
"""

import base64
import binascii
import re
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from digest.errors import ConfigError

_PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----(.*?)-----END \1-----", re.DOTALL)
_REMEDY = "copy the verification key that SendGrid shows at the signed event webhook"

PublicKey = EllipticCurvePublicKey


def read_public_keys(text: str) -> tuple[PublicKey, ...]:
    """The keys in a text, parted by spaces: in base64 as SendGrid shows them, or as PEM. Raises ConfigError."""
    encoded = []
    for kind, body in _PEM.findall(text):
        if kind != "PUBLIC KEY":
            raise ConfigError("the key", f"it holds a {kind.lower()}, not a public key", remedy=_REMEDY)
        encoded.append("".join(body.split()))
    encoded += _PEM.sub(" ", text).split()
    return tuple(_read_public_key(one) for one in encoded)


def _read_public_key(encoded: str) -> PublicKey:
    try:
        key = load_der_public_key(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError, TypeError):
        raise ConfigError("the key", "it is no public key in base64 or PEM", remedy=_REMEDY) from None
    except UnsupportedAlgorithm:
        raise ConfigError("the key", "it is of a kind that SendGrid does not use", remedy=_REMEDY) from None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise ConfigError("the key", "it is not of the curve P-256", remedy=_REMEDY)
    return key


def is_signed(keys: Sequence[PublicKey], *, signature: str, timestamp: str, body: bytes) -> bool:
    """Whether one of the keys signed that timestamp followed by that body."""
    try:
        signed = base64.b64decode(signature, validate=True)
        message = timestamp.encode("ascii") + body
    except (binascii.Error, ValueError):
        return False
    return any(_fits(key, signed, message) for key in keys)


def _fits(key: PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True
