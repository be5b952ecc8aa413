"""Real feeds and pages from the loopback network, to real servers: everybody gets exactly one message."""

import email
import email.policy
import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from html import escape
from pathlib import Path

import pytest

from tests.acceptance.conftest import Answer, Desk
from tests.doubles.sendgrid_api import SendGridDouble
from tests.doubles.smtp_server import SmtpServer

READERS = [f"reader{number}@rehearsal.test" for number in range(25)]
PRIVATE = '[fetch]\nallow_private = ["127.0.0.0/8"]\n'
RULES = '[edition]\nwindow = "60y"\nmax_stories = 12\n'


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        yield server


@pytest.fixture
def sendgrid() -> Iterator[SendGridDouble]:
    with SendGridDouble() as api:
        yield api


def _add_readers(desk: Desk) -> None:
    table = desk.folder / "readers.csv"
    table.write_text("email,name\n" + "".join(f"{reader},Reader {n}\n" for n, reader in enumerate(READERS)))
    done = desk.digest("subscribers", "import", str(table), "--consent", "asked at the harbour fair", "--json")
    assert done.code == 0, done.err
    assert (done.rows[0]["added"], done.rows[0]["refused"]) == (25, 0)


def _check(message: EmailMessage) -> None:
    """One reader's message: both parts, all headers, the reader's own way out in all three places."""
    headers = ("From", "To", "Subject", "Date", "Message-ID", "List-ID", "List-Unsubscribe", "Auto-Submitted")
    for header in headers:
        assert message[header], header
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text
    assert html
    link = next(part.strip(" <>") for part in str(message["List-Unsubscribe"]).split(",") if "https" in part)
    for part in (text.get_content(), html.get_content()):
        assert link in part
        assert "__DIGEST" not in part


def _feed_sources(folder: Path, url: str) -> list[str]:
    return [
        f'[[sources]]\nid = "feed-{number}"\nkind = "feed"\nurl = "{url}/{path.name}"\nfull_text = false\n'
        for number, path in enumerate(sorted(folder.iterdir()))
    ]


@pytest.fixture
def real_feeds(shared: Path, serve_web: Callable[[Callable[[str], Answer]], str]) -> list[str]:
    """Source tables for every real feed, served on loopback."""
    folder = shared / "data" / "feeds" / "real"

    def answer(path: str) -> Answer:
        file = folder / path.strip("/")
        return (200, {"Content-Type": "application/xml"}, file.read_bytes()) if file.is_file() else (404, {}, b"")

    return _feed_sources(folder, serve_web(answer))


@pytest.fixture
def real_pages(shared: Path, serve_web: Callable[[Callable[[str], Answer]], str]) -> list[str]:
    """A source table for a feed that links to every real page, served on loopback."""
    folder = shared / "data" / "articles"
    manifest = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    address = ""

    def answer(path: str) -> Answer:
        if path == "/feed":
            items = "".join(
                f"<item><guid>{escape(row['path'])}</guid><title>Article {number}</title>"
                f"<link>{address}/{row['path']}</link><description>Short.</description></item>"
                for number, row in enumerate(manifest)
            )
            body = f"<rss version='2.0'><channel><title>Pages</title>{items}</channel></rss>"
            return 200, {"Content-Type": "application/rss+xml"}, body.encode()
        page = folder / path.strip("/")
        if not page.is_file():
            return 404, {}, b""
        return 200, {"Content-Type": "text/html"}, gzip.decompress(page.read_bytes())

    address = serve_web(answer)
    return [f'[[sources]]\nid = "pages"\nkind = "feed"\nurl = "{address}/feed"\nfull_text = true\n']


@pytest.mark.timeout(300)
def test_every_real_feed_in_one_run_reaches_every_reader_once_over_smtp(
    desk: Desk, real_feeds: list[str], smtp: SmtpServer
) -> None:
    transport = f'[transport]\nkind = "smtp"\nhost = "127.0.0.1"\nport = {smtp.port}\ntls = "none"\nrate = "1000/s"\n'
    desk.configure(RULES, PRIVATE, transport, *real_feeds)
    _add_readers(desk)
    done = desk.digest("run", "--json")
    report = done.rows[0]
    assert report["state"] == "sent", done.err
    assert report["deliveries"] == {"accepted": 25}
    assert all(source["ok"] for source in report["sources"]), report["sources"]
    assert report["verdict"] in {"ok", "warn"}
    assert report["stories"] == 12
    got = [email.message_from_bytes(raw, policy=email.policy.default) for raw in smtp.contents()]
    assert Counter(str(message["To"].addresses[0].addr_spec) for message in got) == Counter(READERS)
    for message in got:
        assert isinstance(message, EmailMessage)
        _check(message)
    assert len({str(message["Message-ID"]) for message in got}) == 25

    again = desk.digest("run", "--json").rows[0]
    assert "already sent" in again["message"]
    assert len(smtp.contents()) == 25


@pytest.mark.timeout(300)
def test_real_pages_are_read_through_their_feed_and_reach_every_reader_once_through_sendgrid(
    desk: Desk, real_pages: list[str], sendgrid: SendGridDouble
) -> None:
    desk.configure(RULES, PRIVATE, f'[transport]\nkind = "sendgrid"\nhost = "{sendgrid.url}"\n', *real_pages)
    _add_readers(desk)
    done = desk.digest("run", "--json", DIGEST_SENDGRID_API_KEY=sendgrid.api_key)
    report = done.rows[0]
    assert report["state"] == "sent", (report["message"], done.err)
    assert report["deliveries"] == {"accepted": 25}
    counts = {stage["stage"]: stage["counts"] for stage in report["stages"]}
    assert counts["extract"]["articles"] >= 85
    assert counts["extract"]["pages"] >= 85
    assert counts["summarize"]["summaries"] >= 10
    assert Counter(delivered.email for delivered in sendgrid.delivered) == Counter(READERS)
    for delivered in sendgrid.delivered:
        _check(delivered.message)
    assert len(sendgrid.requests) == 1
    rows = desk.digest("editions", "show", "latest", "--deliveries", "--json").rows
    assert {row["email"] for row in rows} == set(READERS)
    assert {row["transport"] for row in rows} == {"sendgrid"}


def test_a_scraped_text_is_a_source_of_its_own(desk: Desk, shared: Path) -> None:
    text = shared / "data" / "articles" / "000_ebc0fb74b416bdc1.txt"
    desk.configure(
        '[edition]\nwindow = "60y"\nmin_stories = 1\n',
        f'[[sources]]\nid = "scraped"\nkind = "file"\npath = "{text}"\ntrusted = true\n',
    )
    desk.digest("subscribers", "add", READERS[0])
    report = desk.digest("run", "--json").rows[0]
    assert report["stories"] == 1
    assert report["subject"].startswith("Trump Hints at Asset Division")
    message = email.message_from_bytes(desk.mails()[0].read_bytes(), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    html = message.get_body(("html",))
    assert html
    for unwanted in ("TDT", "editor@newsofbahrain", "Uncertain Path", "International Concerns", "Related Posts"):
        assert unwanted not in html.get_content()


def test_inspect_page_and_summary_of_a_scraped_text(desk: Desk, shared: Path) -> None:
    path = shared / "data" / "articles" / "000_ebc0fb74b416bdc1.txt"
    page = desk.digest("inspect", "page", "--json", str(path))
    assert page.code == 0
    (row,) = page.rows
    assert row["path"] == str(path)
    assert row["title"].startswith("Trump Hints at Asset Division")
    for unwanted in ("TDT", "editor@", "Uncertain Path", "International Concerns", "Related Posts"):
        assert unwanted not in row["text"]
    assert "Efforts to broker peace" in row["text"]
    assert "geopolitical dynamics in Europe." in row["text"]

    summary = desk.digest("inspect", "summary", "--json", str(path)).rows[0]
    source = path.read_text(encoding="utf-8")
    assert 2 <= len(summary["sentences"]) <= 4
    assert len(summary["summary"].split()) <= 60
    assert summary["summary"] == "\n".join(sentence["text"] for sentence in summary["sentences"])
    for sentence in summary["sentences"]:
        assert source[sentence["start"] : sentence["end"]] == sentence["text"]
        assert sentence["document"] == 0
