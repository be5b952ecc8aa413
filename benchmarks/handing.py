"""How many messages a second go over SMTP: the real sender and the ledger on disk, beside Postfix's own generator."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from benchmarks.figures import Figure
from benchmarks.making import NOW, make_edition
from digest.deliver import Lane, Mailing, Sender, batch_size
from digest.models import (
    UNSUBSCRIBE_TOKEN,
    EditionState,
    Letterhead,
    Planned,
    Rendition,
    Subscriber,
    SubscriberState,
)
from digest.stores.owners import this_owner
from digest.stores.sql import SqlStore
from digest.transports.dkim_signing import Signer
from digest.transports.smtp import SmtpTransport

_MESSAGES, _BYTES = 5_000, 60_000
_RUNS = 3
_LETTERHEAD = Letterhead(
    sender="Bench <bench@example.com>", reply_to=None, list_id="bench.example.com", list_name="Bench", dated_at=NOW
)
# Where Debian's postfix puts them, which is on few people's path.
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"


def measure_smtp() -> Iterator[Figure]:
    """5,000 messages of 60 kB to smtp-sink, over one kept connection and over four, and with a DKIM signature."""
    source, sink = (shutil.which(name, path=_PATH) for name in ("smtp-source", "smtp-sink"))
    if source is None or sink is None:
        note = "smtp-source and smtp-sink are not here: install Debian's postfix package; nothing was measured"
        yield Figure(name="smtp", value=0, unit="messages/s", note=note)
        return
    with tempfile.TemporaryDirectory() as folder, _run_sink(sink) as port:
        for name, connections, is_signed in (
            ("smtp", 1, False),
            ("smtp, 4 connections", 4, False),
            ("smtp, DKIM", 1, True),
        ):
            signer = _make_signer(Path(folder)) if is_signed else None
            ours, theirs = [], []
            for _ in range(_RUNS):  # by turns: the machine is not the same from one minute to the next
                theirs.append(_generate(source, port, connections))
                ours.append(_send(port, connections, signer))
            aim = "RSA of 2048 bits" if is_signed else "aim 0.4"
            note = f"{_MESSAGES:,} of {_BYTES // 1000} kB, ledger on disk, best of {_RUNS}; {aim}"
            peer = f"smtp-source -s {connections}"
            yield Figure.beside(name, max(ours), "messages/s", peer, max(theirs), note)


@contextmanager
def _run_sink(program: str) -> Iterator[int]:
    """A server that takes everything and keeps nothing; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = subprocess.Popen([program, *user, f"127.0.0.1:{port}", "100"], stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 10
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("smtp-sink does not answer")
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.communicate()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _generate(program: str, port: int, connections: int) -> float:
    """Messages a second of smtp-source."""
    options = ["-s", str(connections), "-m", str(_MESSAGES), "-l", str(_BYTES)]
    addresses = ["-f", "bench@example.com", "-t", "reader@example.com"]
    start = time.perf_counter()
    subprocess.run([program, *options, *addresses, f"127.0.0.1:{port}"], check=True)
    return _MESSAGES / (time.perf_counter() - start)


def _send(port: int, connections: int, signer: Signer | None) -> float:
    """Messages a second of ours, from the first claim to the last batch's release."""

    def connect() -> SmtpTransport:
        return SmtpTransport(host="127.0.0.1", port=port, tls="none", signer=signer)

    with tempfile.TemporaryDirectory() as folder:
        store = SqlStore.open(f"sqlite:///{folder}/bench.db")
        lane = Lane(transport=connect(), rate=1e9, connect=connect, connections=connections)
        number = _plan(store, batch_size([lane]))
        rendition = _make_rendition()
        mailing = Mailing(
            edition=number,
            rendition=lambda _: rendition,
            letterhead=_LETTERHEAD,
            unsubscribe_url=lambda key: f"https://news.example.com/bench/unsubscribe/{key}.{'s' * 43}",
        )
        sender = Sender(
            mailing,
            store.ledger,
            store.rates,
            [lane],
            this_owner("bench"),
            clock=lambda: datetime.now(UTC),
            monotonic=time.monotonic,
            wait=time.sleep,
            may_go_on=lambda: True,
        )
        start = time.perf_counter()
        sent = sender.run()
        seconds = time.perf_counter() - start
        assert sent.fault is None, sent.fault
        assert store.ledger.counts(number) == {"accepted": _MESSAGES}
        lane.transport.close()
        store.close()
    return _MESSAGES / seconds


def _plan(store: SqlStore, batch: int) -> int:
    readers = (
        Subscriber(email=f"reader{n}@example.com", name="Jo Reader", state=SubscriberState.ACTIVE, consent_at=NOW)
        for n in range(_MESSAGES)
    )
    store.subscribers.add_many("bench", readers, now=NOW)
    edition = replace(make_edition(), sections=())
    number = store.editions.save(edition, [_make_rendition()], EditionState.READY, None, now=NOW).id
    planned = [Planned(subscriber=r, send_key=r.key[::-1], variant="all") for r in store.subscribers.reached("bench")]
    store.ledger.plan(number, planned, batch_size=batch, now=NOW)
    assert store.ledger.begin(number, as_of=None, now=NOW)
    return number


def _make_rendition() -> Rendition:
    """So large that a message has the size that smtp-source is told."""
    line = "<p>" + "words of a story, and " * 3 + "</p>\n"
    text = "A story in a few words.\n" * 100 + f"Leave: {UNSUBSCRIBE_TOKEN}\n"
    html = line * 750 + f'<a href="{UNSUBSCRIBE_TOKEN}">Leave</a>\n'
    return Rendition(variant="all", subject="The day's stories", html=html, text=text)


def _make_signer(folder: Path) -> Signer:
    key = folder / "key.pem"
    key.touch(mode=0o600)
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return Signer(domain="example.com", selector="bench", key=key)


MEASURES: dict[str, Callable[[], Iterator[Figure]]] = {"smtp": measure_smtp}
