"""`digest serve`: the edition at its time, the way out, the web view."""

import re
import sqlite3
import urllib.error
import urllib.request
from contextlib import closing
from datetime import UTC, datetime

import pytest

from digest.app import App
from digest.config import load_config
from tests.acceptance.conftest import Desk
from tests.acceptance.serving import serving, wait_for
from tests.doubles.zones import SEARCHED, appointment


def ask(
    url: str, *, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, str, dict[str, str]]:
    """One request without cookies; the status, the page and the headers."""
    request = urllib.request.Request(url, data=body, headers=headers or {}, method="GET" if body is None else "POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), dict(error.headers)


def link_in(desk: Desk) -> str:
    """The path of the way out in the first mail of the outbox."""
    mail = desk.mails()[0].read_bytes().decode()
    match = re.search(r"List-Unsubscribe: <https://[^/]+(/\S+)>", mail)
    assert match
    return match[1]


def states(desk: Desk) -> dict[str, str]:
    """Every reader's state."""
    return {row["email"]: row["state"] for row in desk.digest("subscribers", "list", "--json").rows}


def test_an_edition_goes_out_at_its_time_once(sample_desk: Desk) -> None:
    config = sample_desk.folder / "config.toml"

    def has_edition() -> bool:
        with closing(sqlite3.connect(f"file:{sample_desk.folder / 'digest.db'}?mode=ro", uri=True)) as database:
            return bool(database.execute("select count(*) from editions where state = 'sent'").fetchone()[0])

    with appointment(sample_desk.folder, seconds=12) as its:
        text = config.read_text().replace('at = "07:00"', f'at = "{its.at}"')
        config.write_text(text.replace('timezone = "UTC"', f'timezone = "{its.zone}"'))
        sample_desk.environment[SEARCHED] = its.path
        with serving(sample_desk):
            assert not sample_desk.mails()
            wait_for(has_edition, 60, "the edition")
            assert datetime.now(UTC) >= its.due
            assert len(sample_desk.mails()) == 1
            assert "already sent" in sample_desk.digest("run", "--on", f"{its.day}").out
        with serving(sample_desk):  # a restart within the allowed lateness sends nothing again
            assert len(sample_desk.mails()) == 1
        rows = sample_desk.digest("editions", "list", "--json").rows
    assert [row["date"] for row in rows] == [f"{its.day}"]


ONE_CLICK = {
    "urlencoded": (b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"),
    "multipart": (
        b'--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n',
        "multipart/form-data; boundary=b",
    ),
}


@pytest.mark.parametrize("form", ONE_CLICK)
def test_a_post_unsubscribes_at_once_and_a_get_changes_nothing(sample_desk: Desk, form: str) -> None:
    sample_desk.digest("run")
    path = link_in(sample_desk)
    body, kind = ONE_CLICK[form]
    with serving(sample_desk) as url:
        status, page, headers = ask(url + path)
        assert status == 200
        assert re.search(r"<form[^>]*method=\"?post", page, re.IGNORECASE)
        assert "reader@rehearsal.test" not in page
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer"
        assert "set-cookie" not in headers
        assert states(sample_desk) == {"reader@rehearsal.test": "active"}
        for _ in range(2):  # mail programs ask twice
            status, page, headers = ask(url + path, body=body, headers={"Content-Type": kind})
            assert status == 200
        assert states(sample_desk) == {"reader@rehearsal.test": "unsubscribed"}
    back = sample_desk.digest("subscribers", "add", "reader@rehearsal.test")
    assert back.code == 2
    assert "left before" in back.err


def test_links_that_lie_in_mailboxes_stay_valid_when_a_key_is_configured_later(sample_desk: Desk) -> None:
    path = sample_desk.folder / "config.toml"
    with App(load_config(path, {})) as app:
        old = app.links.sign("0" * 32)
    with App(load_config(path, {"DIGEST_SECRET_KEY": "x" * 40})) as app:
        assert app.links.verify(old) == "0" * 32
        new = app.links.sign("0" * 32)
        assert app.links.verify(new) == "0" * 32
    assert new != old
    with App(load_config(path, {"DIGEST_SECRET_KEY": f"{'x' * 40} {'y' * 40}"})) as app:
        assert {app.links.verify(token) for token in (old, new)} == {"0" * 32}


def test_an_altered_or_shortened_link_is_refused_and_changes_nothing(sample_desk: Desk) -> None:
    sample_desk.digest("run")
    path = link_in(sample_desk)
    last = path[-1]
    sibling = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = sibling[sibling.index(last) ^ 1]  # the same bytes for a careless decoder
    with serving(sample_desk) as url:
        for altered in (
            path[:-1] + twin,
            path[:-1],
            path + "=",
            path.replace("unsubscribe/", "unsubscribe/f"),
            path[:-44],
        ):
            for body in (None, b"List-Unsubscribe=One-Click"):
                assert ask(url + altered, body=body)[0] == 404, altered
        assert states(sample_desk) == {"reader@rehearsal.test": "active"}


def test_the_web_view_shows_the_edition_without_anybodys_link(sample_desk: Desk) -> None:
    sample_desk.digest("run")
    day = sample_desk.digest("editions", "list", "--json").rows[0]["date"]
    with serving(sample_desk) as url:
        status, page, _ = ask(f"{url}/morning/{day}")
        assert status == 200
        assert "Morning Brief" in page
        assert "__DIGEST" not in page
        assert link_in(sample_desk).rpartition("/")[2] not in page
        for missing in ("/morning/2020-01-01", "/morning/tomorrow", "/nothing", f"/morning/{day}?variant=nope"):
            status, page, _ = ask(url + missing)
            assert status == 404
            assert "<h1" in page
        assert ask(f"{url}/healthz")[:2] == (200, "ok\n")
        assert ask(f"{url}/morning/unsubscribe")[0] == 200


def test_a_port_that_is_taken_is_one_clear_line(sample_desk: Desk) -> None:
    with serving(sample_desk) as url:
        done = sample_desk.digest("serve", "--port", url.rpartition(":")[2])
    assert done.code == 2
    assert "--port" in done.err.strip().splitlines()[-1]


def test_a_server_that_is_ended_as_soon_as_it_says_its_address_ends(sample_desk: Desk) -> None:
    with serving(sample_desk) as url:
        pass  # at the end it is told to stop, and must exit with 0
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(url, timeout=5)
