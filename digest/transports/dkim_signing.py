"""DKIM (RFC 6376, 8463): a signature by the sender's domain over each message.

    Template ──prepare──> Sign ──(own headers, link)──> the DKIM-Signature header

What all readers share is brought into its canonical form, and as far as possible hashed, once. dkimpy's own signing
does all of it for each message, with an RSA in Python: 7 ms against 0.3 ms; its canonical forms are used here and its
verifying in the tests. There is no time of signing (`t=`): the same message has the same bytes in the preview, on
every try, and when it arrives.
"""

import base64
import hashlib
import re
import stat
from pathlib import Path
from typing import NoReturn

import dkim
import idna
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from dkim.canonicalization import Relaxed, compress_whitespace, strip_trailing_whitespace

from digest import records
from digest.errors import ConfigError, Refused
from digest.transports.mime import Sign, Template

# In the order in which they are signed: first what all readers share. From and Subject stand twice, so that a second
# one that somebody adds on the way breaks the signature (RFC 6376 §8.15).
_SHARED = (
    "from", "from", "subject", "subject", "date", "reply-to", "list-id", "mime-version", "content-type",
)  # fmt: skip
_OWN = ("to", "message-id", "list-unsubscribe", "list-unsubscribe-post")  # RFC 8058 §4 wants the last two signed
_SMALLEST_KEY = 1024  # bits; RFC 8301 §3.2
_WIDTH = 72
_FOLD = "\r\n "
_LABELS = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)*", re.IGNORECASE)
_PUBLIC = re.compile(r"(?:^|;)\s*p\s*=([^;]*)")
_NAMES = 'such as domain = "news.example.com", selector = "s2026"'
_MAKE = "make one: `openssl genrsa -out KEY 2048`"

_PrivateKey = RSAPrivateKey | Ed25519PrivateKey


class Signer:
    """Signs for one domain with one key."""

    def __init__(self, *, domain: str, selector: str, key: Path, ask: records.Ask = records.ask) -> None:
        """`key` is a PEM file, RSA or Ed25519, without a password. Raises ConfigError.

        `ask` is of the DNS, and used by `check` alone.
        """
        self._ask = ask
        self.domain = _read_name("domain", domain)
        self.selector = _read_name("selector", selector)
        self._key = _load_key(key)

    def __repr__(self) -> str:
        return f"Signer(domain={self.domain!r}, selector={self.selector!r})"

    @property
    def record_name(self) -> str:
        """Where the domain shows its public key."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """What has to stand there, as a TXT record (RFC 6376 §3.6.1, RFC 8463 §4)."""
        public = self._key.public_key()
        if isinstance(self._key, Ed25519PrivateKey):
            shown = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
            return f"v=DKIM1; k=ed25519; p={base64.b64encode(shown).decode()}"
        shown = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k=rsa; p={base64.b64encode(shown).decode()}"

    def check(self) -> str:
        """Whether receivers will find the key; returns what was found. Raises Refused when they will not."""
        try:
            texts = self._ask(self.record_name, "TXT")
        except records.UnansweredError:
            return f"signed for {self.domain}; the DNS does not answer whether its key is there"
        remedy = f"publish this TXT record, on one line: {self.record}"
        if not texts:
            raise Refused(
                "DKIM", f"the DNS has no key at {self.record_name}: every signature would fail", remedy=remedy
            )
        if _read_key(max(texts, key=lambda text: "p=" in text)) != _read_key(self.record):
            raise Refused("DKIM", f"the DNS has another key at {self.record_name}", remedy=remedy)
        return f"signed for {self.domain}, and its key is in the DNS"

    def prepare(self, template: Template) -> Sign:
        """What signs each message of a template."""
        algorithm = "ed25519-sha256" if isinstance(self._key, Ed25519PrivateKey) else "rsa-sha256"
        headers = _canonicalize(template.head)
        shared_names = [name for name in _SHARED if name in headers]
        shared = hashlib.sha256(b"".join(headers[name] for name in dict.fromkeys(shared_names)))
        # Every piece ends where a line does, and a link holds no space: what is canonical in parts is so as a whole.
        first, *rest = (compress_whitespace(strip_trailing_whitespace(piece)) for piece in template.pieces)
        body = hashlib.sha256(first)
        opening = f"v=1; a={algorithm}; c=relaxed/relaxed;{_FOLD}d={self.domain}; s={self.selector};"

        def sign(own: bytes, link: bytes) -> bytes:
            body_hash = body.copy()
            for piece in rest:
                body_hash.update(link)
                body_hash.update(piece)
            own_headers = _canonicalize(own)
            signed = [name for name in _OWN if name in own_headers]
            names = _fold(":".join([*shared_names, *signed]))
            lines = [opening, f"h={names};", f"bh={_encode(body_hash.digest())};"]
            head_hash = shared.copy()
            for name in signed:
                head_hash.update(own_headers[name])
            # The header itself is signed too, unfolded and with an empty b= (RFC 6376 §3.7).
            head_hash.update(" ".join(("dkim-signature:" + lines[0], *lines[1:], "b=")).replace(_FOLD, " ").encode())
            signature = _encode(self._sign(head_hash.digest()))
            chunks = _FOLD.join(signature[start : start + _WIDTH] for start in range(0, len(signature), _WIDTH))
            return f"DKIM-Signature: {_FOLD.join((*lines, f'b={chunks}'))}\r\n".encode()

        return sign

    def _sign(self, digest: bytes) -> bytes:
        if isinstance(self._key, Ed25519PrivateKey):
            return self._key.sign(digest)
        return self._key.sign(digest, PKCS1v15(), Prehashed(SHA256()))


def _read_key(record: str) -> str:
    """The public key of a record (RFC 6376 §3.6.1)."""
    found = _PUBLIC.search(record)
    return "".join(found[1].split()) if found else ""


def _canonicalize(head: bytes) -> dict[str, bytes]:
    """Headers by name in their relaxed form (RFC 6376 §3.4.2); each stands once."""
    headers, _ = dkim.rfc822_parse(head)
    return {name.decode("ascii"): name + b":" + value for name, value in Relaxed.canonicalize_headers(headers)}


def _fold(names: str) -> str:
    """Header names on lines of a usual length, broken before a colon."""
    lines = [""]
    for name in names.split(":"):
        if len(lines[-1]) + len(name) >= _WIDTH:
            lines.append("")
        lines[-1] += f":{name}"
    return _FOLD.join(lines).removeprefix(":")


def _encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _read_name(key: str, name: str) -> str:
    """A domain or a selector as DNS has it."""
    try:
        ascii_name = name if name.isascii() else idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError:
        ascii_name = ""
    if not _LABELS.fullmatch(ascii_name):
        raise ConfigError(f"[transport.dkim] {key}", f'"{name}" is no name in the DNS', remedy=_NAMES)
    return ascii_name.lower()


def _load_key(path: Path) -> _PrivateKey:
    """The private key of a PEM file that not everybody can read. Raises ConfigError."""

    def fail(fault: str, remedy: str) -> NoReturn:
        raise ConfigError(f"[transport.dkim] key {path}", fault, remedy=remedy) from None

    try:
        is_open = path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH)
        pem = path.read_bytes()
    except OSError as error:
        fail(f"it cannot be read: {error.strerror}", "name a file that Digest may read")
    if is_open:
        fail("every user of this machine may read or change it", f"run `chmod 600 {path}`")
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        fail("it is locked with a password", "write it without one: `openssl pkey -in KEY -out NEW`")
    except (ValueError, UnsupportedAlgorithm):
        fail("it holds no private key in PEM form", _MAKE)
    if isinstance(key, RSAPrivateKey):
        if key.key_size < _SMALLEST_KEY:
            fail(f"{key.key_size} bits are too few for anybody to accept", _MAKE)
        return key
    if isinstance(key, Ed25519PrivateKey):
        return key
    return fail("it is neither an RSA nor an Ed25519 key", _MAKE)
