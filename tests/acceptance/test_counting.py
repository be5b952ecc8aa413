"""Clicks and opens: counted only where the operator wants it, by nobody's name, and never a way to somewhere else."""

import email
import email.policy
import html
import http.client
import re
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvicorn

from digest.app import App, system_clock
from digest.config import load_config
from digest.web.public import create_public
from tests.acceptance.conftest import Desk
from tests.acceptance.serving import wait_for

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}


def switch_on(desk: Desk) -> None:
    config = desk.folder / "config.toml"
    config.write_text(
        config.read_text().replace("opens = false", "opens = true").replace("clicks = false", "clicks = true")
    )


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that counts both, and has sent its edition."""
    desk = Desk(tmp_path_factory.mktemp("sent"))
    assert desk.digest("init").code == 0
    assert desk.digest("subscribers", "add", "reader@rehearsal.test").code == 0
    switch_on(desk)
    assert desk.digest("run").code == 0
    return desk.folder


@pytest.fixture
def counting_desk(sent: Path, tmp_path: Path) -> Desk:
    """A copy of it."""
    shutil.copytree(sent, tmp_path / "desk")
    return Desk(tmp_path / "desk")


def mail_of(desk: Desk) -> tuple[str, str]:
    """The HTML and the text of the one mail."""
    message = email.message_from_bytes(desk.mails()[0].read_bytes(), policy=email.policy.default)
    bodies = [message.get_body((kind,)) for kind in ("html", "plain")]
    return bodies[0].get_content(), bodies[1].get_content()  # type: ignore[union-attr]


def links_in(page: str) -> list[str]:
    return [html.unescape(link) for link in re.findall(r'<a[^>]* href="([^"]+)"', page)]


@contextmanager
def listening(desk: Desk) -> Iterator[tuple[str, int]]:
    """The public app on a socket, an hour later: at once after sending nobody reads."""
    with App(load_config(desk.folder / "config.toml", {}), clock=lambda: system_clock() + timedelta(hours=1)) as app:
        config = uvicorn.Config(create_public(app), host="127.0.0.1", port=0, log_level="error", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            wait_for(lambda: server.started, 20, "the server")
            yield server.servers[0].sockets[0].getsockname()[:2]
            wait_for(lambda: not any(one.name == "counts" for one in threading.enumerate()), 20, "the counts")
        finally:
            server.should_exit = True
            thread.join()


def ask(
    place: tuple[str, int], url: str, *, method: str = "GET", headers: dict[str, str] | None = None
) -> tuple[int, str | None, bytes]:
    """The status, where it leads, and the body; nothing is followed."""
    with closing(http.client.HTTPConnection(*place, timeout=20)) as connection:
        connection.request(method, urlsplit(url).path, headers=BROWSER if headers is None else headers)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Location"), answer.read()


def test_by_default_a_mail_has_the_links_themselves_and_no_picture_that_counts(sample_desk: Desk) -> None:
    assert sample_desk.digest("run").code == 0
    page, text = mail_of(sample_desk)
    assert "/click/" not in page + text
    assert "/open/" not in page
    told = sample_desk.digest("editions", "counts")
    assert (told.out, "nothing is counted" in told.err) == ("", True)


def test_a_mails_links_lead_to_the_stories_and_people_are_told_from_machines(counting_desk: Desk) -> None:
    page, text = mail_of(counting_desk)
    clicks = list(dict.fromkeys(link for link in links_in(page) if "/click/" in link))
    dot = re.search(r'<img src="([^"]+/open/[^"]+)"', page)
    assert len(clicks) > 3
    assert dot
    assert set(re.findall(r"https://\S+/click/\S+", text)) <= set(clicks)
    assert not [
        link for link in links_in(page) if "/click/" not in link and "news" not in link and "mailto" not in link
    ]
    with listening(counting_desk) as place:
        shown = ask(place, f"/morning/{system_clock():%Y-%m-%d}")
        stories = links_in(shown[2].decode())
        targets = [ask(place, clicks[0]), ask(place, clicks[0], method="HEAD")]
        assert {(status, where) for status, where, _ in targets} == {(302, targets[0][1])}
        assert targets[0][1] in stories
        assert ask(place, clicks[0], headers=BROWSER | {"Sec-Purpose": "prefetch"})[0] == 302
        assert ask(place, clicks[0], headers={})[0] == 302
        assert ask(place, clicks[0])[0] == 302  # once more within a minute
        status, _, picture = ask(place, dot[1])
        assert (status, picture[:6]) == (200, b"GIF89a")
        assert ask(place, dot[1], headers={"User-Agent": "GoogleImageProxy"})[0] == 200
    # The web view is no mail: nothing of it counts.
    assert "/click/" not in shown[2].decode()
    assert "/open/" not in shown[2].decode()
    (told,) = counting_desk.digest("editions", "counts", "--json").rows
    by_link = {row["link"]: row for row in told["counts"]}
    first = by_link[targets[0][1]]
    assert (first["people"], first["scanners"], first["prefetchers"]) == (1, 1, 1)  # once a minute
    assert (by_link[None]["people"], by_link[None]["proxies"]) == (1, 1)
    assert "Left out of the people" in told["rule"]
    assert "Left out of the people" in counting_desk.digest("editions", "counts").err
    with closing(sqlite3.connect(counting_desk.folder / "digest.db")) as raw:
        assert "127.0.0.1" not in "\n".join(raw.iterdump())


def test_who_follows_every_link_at_once_is_no_person(counting_desk: Desk) -> None:
    clicks = list(dict.fromkeys(link for link in links_in(mail_of(counting_desk)[0]) if "/click/" in link))
    with listening(counting_desk) as place:
        assert {ask(place, link)[0] for link in clicks} == {302}
    rows = counting_desk.digest("editions", "counts", "--json").rows[0]["counts"]
    assert sum(row["people"] for row in rows if row["kind"] == "click") == 0
    assert sum(row["scanners"] for row in rows if row["kind"] == "click") == len(clicks)


def test_a_link_leads_nowhere_but_to_its_own_edition(counting_desk: Desk) -> None:
    link = next(link for link in links_in(mail_of(counting_desk)[0]) if "/click/" in link)
    token = link.rpartition("/")[2]
    value, _, signature = token.rpartition(".")
    with App(load_config(counting_desk.folder / "config.toml", {})) as app:
        elsewhere = [
            app.links.url("click", f"{value[:-7]}0000000"),  # signed by us, and no link of that edition
            app.links.url("click", f"1999-01-01-daily-{value[-7:]}"),
            app.links.url("click", f"2026-02-30-daily-{value[-7:]}"),
            app.links.url("click", f"{value[:-13]}weekly-{value[-7:]}"),
            f"/morning/click/{value}.{signature[:-1]}{'A' if signature[-1] != 'A' else 'B'}",
            f"/morning/click/{value[:-1]}{'0' if value[-1] != '0' else '1'}.{signature}",
            f"/morning/open/{token}.gif",
            f"/morning/unsubscribe/{token}",
            "/morning/click/https:%2F%2Fevil.test",
        ]
    with listening(counting_desk) as place:
        assert [ask(place, url)[:2] for url in elsewhere] == [(404, None)] * len(elsewhere)
    assert counting_desk.digest("editions", "withdraw", "latest", "--note", "it was wrong").code == 0
    with listening(counting_desk) as place:
        assert ask(place, link)[:2] == (404, None)


def test_the_reader_gets_there_while_the_store_is_locked(counting_desk: Desk) -> None:
    link = next(link for link in links_in(mail_of(counting_desk)[0]) if "/click/" in link)
    with listening(counting_desk) as place, closing(sqlite3.connect(counting_desk.folder / "digest.db")) as other:
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")
        assert ask(place, link)[0] == 302
        other.execute("ROLLBACK")


def test_the_preview_shows_what_is_sent_and_preflight_warns_of_no_picture_that_was_asked_for(
    counting_desk: Desk, tmp_path: Path
) -> None:
    out = tmp_path / "shown.html"
    shown = counting_desk.digest("preview", "--out", str(out))
    sent = mail_of(counting_desk)[0]
    way_out = re.compile(r'href="[^"]*/unsubscribe/[^"]*"')
    assert way_out.sub("", out.read_text()).strip() == way_out.sub("", sent).replace("\r\n", "\n").strip()
    assert "preflight: ok" in shown.err, shown.err
