"""What stands around every public page: headers, and limits on what strangers send, on real sockets."""

import contextlib
import json
import re
import select
import socket
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from digest.app import App
from digest.models import Subscriber, SubscriberState
from digest.web.limiting import Limits
from tests.acceptance.conftest import NEWSLETTER
from tests.acceptance.public_site import DAY, NOON, ask, keep_edition, open_app, serving_app
from tests.acceptance.serving import wait_for

HEADERS = {
    "content-security-policy",
    "referrer-policy",
    "x-content-type-options",
    "x-frame-options",
    "permissions-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "cache-control",
}
FORM = {"Content_Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def app(own_folder: Path) -> Iterator[App]:
    """A newsletter with one reader and one edition."""
    (own_folder / "templates" / "web").mkdir(parents=True)  # where an operator's own pages would lie
    with open_app(own_folder) as opened:
        reader = Subscriber(email="reader@rehearsal.test", state=SubscriberState.ACTIVE, consent_at=NOON)
        opened.store.subscribers.add("morning", reader, now=NOON)
        keep_edition(opened)
        yield opened


def way_out(app: App) -> str:
    """The path of the reader's way out."""
    reader = app.store.subscribers.find("morning", "reader@rehearsal.test")
    assert reader
    return urlsplit(app.links.unsubscribe_url(reader.key)).path


def is_subscribed(app: App) -> bool:
    """Whether the reader still gets the newsletter."""
    return len(list(app.store.subscribers.reached("morning"))) == 1


@contextlib.contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    """A bare connection."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as connection:
        yield connection


def read_all(connection: socket.socket) -> bytes:
    """All that comes until the other side ends the connection."""
    read = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            read += piece
    return bytes(read)


def names_of(answer: bytes) -> set[str]:
    """The names of the headers of a bare answer, in small letters."""
    head = answer.partition(b"\r\n\r\n")[0].decode("latin-1")
    return {line.partition(":")[0].lower() for line in head.splitlines()[1:]}


def test_every_answer_carries_the_headers_whether_it_went_well_or_not(app: App) -> None:
    out = way_out(app)
    with serving_app(app) as url:
        answers = {
            200: ask(f"{url}/morning/"),
            204: ask(f"{url}/favicon.ico"),
            307: ask(f"{url}/"),
            404: ask(f"{url}/morning/unsubscribe/{'0' * 32}.{'A' * 43}"),
            405: ask(f"{url}/morning/", method="DELETE"),
            413: ask(url + out, method="POST", body=b"x" * 70_000),
            415: ask(url + out, method="POST", body=b"x", Content_Encoding="gzip"),
        }
        for status, answer in answers.items():
            assert answer.status == status
            assert answer.headers.keys() >= HEADERS, status
            assert answer.headers["strict-transport-security"] == "max-age=31536000"
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
            assert "script" not in answer.headers["content-security-policy"]
            assert "server" not in answer.headers
            assert "set-cookie" not in answer.headers
        for path in (out, out.replace("unsubscribe/", "unsubscribe/x"), "/nothing", "/healthz"):
            assert ask(url + path).headers["cache-control"] == "no-store"
        with connected(url) as connection:
            connection.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
            answer = read_all(connection)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert names_of(answer) >= HEADERS - {"cross-origin-resource-policy"}


def test_https_is_insisted_on_only_where_there_is_any(tmp_path: Path) -> None:
    with open_app(tmp_path, newsletter=NEWSLETTER.replace("https:", "http:")) as app, serving_app(app) as url:
        assert "strict-transport-security" not in ask(f"{url}/morning/").headers


@pytest.mark.parametrize(("broken", "kind"), [("archive.html", "text/html"), ("base.html", "text/plain")])
def test_a_page_that_fails_is_an_apology_with_the_headers_and_the_next_one_works(
    tmp_path: Path, app: App, caplog: pytest.LogCaptureFixture, broken: str, kind: str
) -> None:
    (tmp_path / "templates" / "web" / broken).write_text("{{ 1 // 0 }}", encoding="utf-8")
    with serving_app(app) as url:
        failed = ask(f"{url}/morning/")
        assert failed.status == 500
        assert failed.headers.keys() >= HEADERS
        assert failed.headers["content-type"].startswith(kind)
        assert "Traceback" not in failed.text
        assert str(tmp_path) not in failed.text
        assert ask(f"{url}/morning/feed.atom").status == 200
    assert "GET /morning/ failed" in caplog.text


@pytest.mark.parametrize(
    ("path", "most"), [("/morning/unsubscribe/x", 64 * 1024), ("/morning/events/sendgrid", 5 * 1024 * 1024)]
)
def test_a_body_is_counted_as_it_comes(app: App, path: str, most: int) -> None:
    with serving_app(app) as url:
        # No page takes it, and of events there is no key: but what is asked about is the body.
        assert ask(url + path, method="POST", body=b"x" * most).status in (404, 405, 503)
        assert ask(url + path, method="POST", body=b"x" * (most + 1)).status == 413

        def send_chunks(count: int) -> bytes:
            with connected(url) as connection:
                head = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                connection.sendall(head.encode())
                piece = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
                for _ in range(count):
                    connection.sendall(piece)
                connection.sendall(b"0\r\n\r\n")
                return read_all(connection)

        assert send_chunks(most // 0x4000).split(b" ")[1] in (b"404", b"405", b"503")
        assert send_chunks(most // 0x4000 + 1).startswith(b"HTTP/1.1 413 ")


def test_a_form_is_counted_as_one_also_below_the_way_out(app: App) -> None:
    out = way_out(app)
    rates = dict.fromkeys(Limits().minutely, 100) | {"form": 2}
    with serving_app(app, Limits(minutely=rates)) as url:
        # It has a mail sent, which services that press the way out for all their users do not ask for.
        asked = [ask(f"{url}{out}/preferences", method="POST").status for _ in range(3)]
        assert asked == [200, 200, 429]
        assert {ask(url + out, method="POST").status for _ in range(5)} == {200}


def test_a_length_that_lies_reaches_nobody(app: App) -> None:
    out = way_out(app)
    with serving_app(app, Limits(body_seconds=0.3)) as url:
        for length, status in (("99999999999999999999999", b"400"), ("-1", b"400"), ("1, 2", b"400"), ("40", b"408")):
            with connected(url) as connection:
                connection.sendall(f"POST {out} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\nabc".encode())
                answer = read_all(connection)
            assert answer.split(b" ")[1] in (status, b"413"), (length, answer)
        smuggled = f"POST {out} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        with connected(url) as connection:
            connection.sendall(smuggled.encode() + b"GARBAGE\r\n\r\n")
            assert read_all(connection).count(b"HTTP/1.1 200") <= 1
        assert ask(f"{url}/morning/").status == 200


def test_who_asks_before_sending_too_much_is_told_at_once(app: App) -> None:
    with serving_app(app) as url, connected(url) as connection:
        connection.sendall(
            b"POST /morning/x HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\nExpect: 100-continue\r\n\r\n"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip", "GZIP"])
def test_a_compressed_body_is_refused_in_words_and_changes_nothing(app: App, coding: str) -> None:
    with serving_app(app) as url:
        for path in (way_out(app), "/morning/events/sendgrid", "/api/v1/subscribers"):
            answer = ask(url + path, method="POST", body=b"\x1f\x8b\x08", Content_Encoding=coding)
            assert answer.status == 415
            assert answer.headers["accept-encoding"] == "identity"
            assert "compressed" in answer.text
        assert is_subscribed(app)
        assert ask(url + way_out(app), method="POST", body=b"", Content_Encoding="identity").status == 200


def test_a_flood_is_told_to_wait_whatever_address_it_claims(app: App, caplog: pytest.LogCaptureFixture) -> None:
    with serving_app(app, Limits(minutely={**Limits().minutely, "page": 5})) as url:
        said = [ask(f"{url}/morning/", X_Forwarded_For=f"198.51.{number}.7") for number in range(8)]
        assert [one.status for one in said] == [200] * 5 + [429] * 3
        assert 1 <= int(said[-1].headers["retry-after"]) <= 60
        assert said[-1].headers.keys() >= HEADERS
        assert "Too many requests" in said[-1].text
    assert caplog.text.count("[web] proxies") == 1


def test_behind_a_configured_proxy_each_network_counts_by_itself(tmp_path: Path) -> None:
    limits = Limits(minutely={**Limits().minutely, "page": 2})
    with open_app(tmp_path, '[web]\nproxies = ["127.0.0.0/8", "10.0.0.0/8"]\n') as app, serving_app(app, limits) as url:

        def asked(forwarded: str) -> int:
            return ask(f"{url}/healthz", X_Forwarded_For=forwarded).status

        assert [asked("198.51.100.7") for _ in range(3)] == [200, 200, 429]
        assert asked("198.51.100.200") == 429  # the same network
        assert asked("203.0.113.9, 198.51.100.7, 10.0.0.3") == 429  # what stands further left is anybody's word
        assert asked("198.51.100.7, 203.0.113.9") == 200
        assert asked("2001:db8:1::1") == 200
        assert asked("[::ffff:198.51.100.7]:4711") == 429


def test_a_full_form_quota_takes_nobodys_way_out(app: App) -> None:
    with serving_app(app, Limits(minutely={**Limits().minutely, "form": 1, "page": 1})) as url:
        assert [ask(f"{url}/morning/subscribe", method="POST", body=b"").status for _ in range(2)][1] == 429
        assert [ask(f"{url}/morning/").status for _ in range(2)][1] == 429
        done = [ask(url + way_out(app), method="POST", body=b"List-Unsubscribe=One-Click", **FORM) for _ in range(30)]
        assert {one.status for one in done} == {200}
        assert not is_subscribed(app)
        many = [ask(f"{url}/morning/events/sendgrid", method="POST", body=b"[]").status for _ in range(30)]
        assert 429 not in many


def test_a_head_that_never_ends_is_not_waited_for(app: App) -> None:
    with serving_app(app, Limits(head_seconds=1.5)) as url:
        with connected(url) as connection:
            connection.sendall(b"GET /morning/ HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            answer = read_all(connection)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert names_of(answer) >= HEADERS - {"cross-origin-resource-policy"}
        with connected(url) as silent:
            assert read_all(silent) == b""
        with connected(url) as connection:  # also the second one on a connection that was good once
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
            connection.sendall(b"GET /healthz HT")
            assert b"HTTP/1.1 408 " in read_all(connection)


def test_a_body_that_never_ends_is_not_waited_for(app: App) -> None:
    with serving_app(app, Limits(body_seconds=0.3)) as url, connected(url) as connection:
        connection.sendall(f"POST {way_out(app)} HTTP/1.1\r\nHost: x\r\nContent-Length: 26\r\n\r\nList-".encode())
        answer = read_all(connection)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert names_of(answer) >= HEADERS
        assert is_subscribed(app)


def test_a_head_that_is_too_long_is_refused(app: App) -> None:
    with serving_app(app) as url, connected(url) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(b"GET /morning/ HTTP/1.1\r\nX-Long: " + b"x" * 40_000)
        assert read_all(connection).startswith(b"HTTP/1.1 400 ")


def test_a_client_that_does_not_read_is_let_go(app: App) -> None:
    with serving_app(app, Limits(unread_seconds=0.3)) as url, connected(url) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(f"GET /morning/{DAY} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 300)
        polled = select.poll()
        polled.register(connection, select.POLLHUP)
        wait_for(lambda: polled.poll(0), 20, "the end of the connection")
        assert ask(f"{url}/healthz").status == 200  # and the others are served


def test_one_peer_may_not_hold_every_connection(app: App) -> None:
    with serving_app(app, Limits(connections_of_peer=3)) as url, contextlib.ExitStack() as held:
        for _ in range(3):
            connection = held.enter_context(connected(url))
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        with connected(url) as one_more:
            answer = read_all(one_more)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 5" in answer
        connection.close()
        wait_for(lambda: _is_answered(url), 20, "a place")


def _is_answered(url: str) -> bool:
    with contextlib.suppress(ConnectionError):
        return ask(f"{url}/healthz").status == 200
    return False


def test_what_is_too_much_at_once_is_asked_to_come_again_and_the_rest_is_done(tmp_path: Path, app: App) -> None:
    limits = Limits(at_work=1, queue_seconds=0.2)
    with (
        serving_app(app, limits) as url,
        closing(sqlite3.connect(tmp_path / "digest.db", isolation_level=None)) as other,
        ThreadPoolExecutor() as threads,
    ):
        assert ask(url + way_out(app)).status == 200
        other.execute("BEGIN IMMEDIATE")  # now a POST waits for its turn
        leaving = threads.submit(ask, url + way_out(app), method="POST", body=b"")
        busy = []

        def is_busy() -> bool:
            busy.append(ask(f"{url}/healthz"))
            return busy[-1].status == 503

        wait_for(is_busy, 20, "that it is busy")
        assert int(busy[-1].headers["retry-after"]) > 0
        assert busy[-1].headers.keys() >= HEADERS
        other.execute("ROLLBACK")
        assert leaving.result().status == 200
        assert not is_subscribed(app)
        assert ask(f"{url}/healthz").status == 200


def test_methods_are_told_and_nothing_else_is_done(app: App) -> None:
    with serving_app(app) as url:
        out = url + way_out(app)
        told = ask(out, method="OPTIONS")
        assert (told.status, told.headers["allow"]) == (204, "GET, HEAD, POST, OPTIONS")
        assert ask(f"{url}/morning/", method="POST", body=b"").headers["allow"] == "GET, HEAD, OPTIONS"
        for method in ("PUT", "DELETE", "PATCH", "TRACE", "CONNECTED"):
            assert ask(out, method=method).status == 405
        for path in ("/morning/", f"/morning/{DAY}", "/morning/privacy", "/healthz", "/nothing", way_out(app)):
            get, head = ask(url + path), ask(url + path, method="HEAD")
            assert (head.status, head.body) == (get.status, b"")
            assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.body))
        assert ask(f"{url}/nothing", method="OPTIONS").status == 404
        assert is_subscribed(app)


def test_programs_are_refused_in_their_own_words(app: App) -> None:
    with serving_app(app, Limits(minutely={**Limits().minutely, "api": 3})) as url:
        path = f"{url}/api/v1/nowhere"
        said = [
            ask(path),
            ask(path, method="POST", body=b"x" * 1_100_000),
            ask(path, method="POST", body=b"x", Content_Encoding="gzip"),
            ask(path),
            ask(path),
        ]
        assert [one.status for one in said] == [401, 413, 415, 401, 429]
        for one in said:
            assert one.headers["content-type"] == "application/problem+json"
            told = json.loads(one.body)
            assert told["status"] == one.status
            assert told["title"] and told["detail"]
            assert one.headers.keys() >= HEADERS


def test_no_answer_names_the_host_that_the_client_named(app: App) -> None:
    with serving_app(app) as url:
        paths = (
            "/",
            "/morning",
            "/morning/",
            f"/morning/{DAY}",
            "/morning/feed.atom",
            "/morning/feed.json",
            "/nothing",
        )
        for path in (*paths, "/robots.txt", "/morning/privacy", way_out(app)):
            answer = ask(url + path, Host="evil.test", X_Forwarded_Host="evil.test", X_Forwarded_Proto="gopher")
            assert "evil.test" not in answer.text + str(answer.headers)
            assert "gopher" not in answer.text + str(answer.headers)


def test_no_log_names_a_link(app: App, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    (tmp_path / "templates" / "web" / "unsubscribe.html").write_text("{{ nothing }}", encoding="utf-8")
    with serving_app(app) as url:
        assert ask(url + way_out(app)).status == 500
    token = way_out(app).rpartition("/")[2]
    assert "GET /morning/unsubscribe failed" in caplog.text
    assert not re.search(re.escape(token), caplog.text)
