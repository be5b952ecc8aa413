"""digest sources: OPML in and out, other kinds, and what is said of how sources do."""

from collections.abc import Callable

from tests.acceptance.conftest import Answer, Desk

OPML = """<opml version="2.0"><body><outline text="World"><outline text="One" xmlUrl="https://one.example/rss"/></outline>
<outline text="Two" xmlUrl="https://two.example/rss"/><outline text="Bad" xmlUrl="ftp://three.example/rss"/></body></opml>"""


def test_a_list_of_subscriptions_is_imported_once_and_given_back(sample_desk: Desk) -> None:
    (sample_desk.folder / "list.opml").write_text(OPML)
    done = sample_desk.digest("sources", "import", "list.opml", "--json")
    assert done.code == 0, done.err
    assert [(row["id"], row["result"].partition(":")[0]) for row in done.rows] == [
        ("one", "added"),
        ("two", "added"),
        (None, "passed over"),
    ]
    listed = {row["id"]: row for row in sample_desk.digest("sources", "list", "--json").rows}
    assert listed["one"]["topics"] == ["world"]
    assert listed["two"]["topics"] == []
    again = sample_desk.digest("sources", "import", "list.opml", "--json")
    assert [row["result"].partition(":")[0] for row in again.rows] == ["known", "known", "passed over"]
    exported = sample_desk.digest("sources", "export")
    assert "https://one.example/rss" in exported.out
    assert "the-orbit" in exported.err


def test_what_is_no_list_changes_nothing(sample_desk: Desk) -> None:
    before = (sample_desk.folder / "config.toml").read_text()
    (sample_desk.folder / "list.opml").write_text("<html>no</html>")
    done = sample_desk.digest("sources", "import", "list.opml")
    assert done.code == 2
    assert "not OPML" in done.err
    assert (sample_desk.folder / "config.toml").read_text() == before


ARTICLE = """<html lang="en"><head><title>{0} | Paper</title></head><body><article><h1>{0}</h1>
<p>The council voted on Monday to close the old bridge for two weeks, for repairs that are due in the spring.</p>
<p>Engineers found cracks in two of the five arches, and said that traffic could not go on during repairs.</p>
<p>Ferries will run every ten minutes from six in the morning until midnight while the work is going on.</p></article>
</body></html>"""


def test_an_edition_is_made_of_an_index_page_and_a_mail(
    desk: Desk, serve_web: Callable[[Callable[[str], Answer]], str]
) -> None:
    def answer(path: str) -> Answer:
        if path == "/":
            links = "".join(f'<article><h2><a href="/2026/03/{s}">{s} told at length</a></h2></article>' for s in "abc")
            return 200, {"Content-Type": "text/html"}, f"<html><body><main>{links}</main></body></html>".encode()
        if path.startswith("/2026/"):
            return 200, {"Content-Type": "text/html"}, ARTICLE.format(f"Story {path[-1]} of the day").encode()
        return 404, {}, b""

    url = serve_web(answer)
    mail = "From: w@rehearsal.test\nSubject: By mail\nMessage-ID: <1@x>\n\n" + "A line that says something new. " * 8
    (desk.folder / "mail.eml").write_text(mail)
    desk.configure(
        f'[[sources]]\nid = "front"\nkind = "page"\nurl = "{url}/"\nrights = "own"\n',
        '[[sources]]\nid = "mail"\nkind = "file"\npath = "mail.eml"\nrights = "own"\n',
        '[fetch]\nallow_private = ["127.0.0.0/8"]\n[edition]\nmin_stories = 1\n',
    )
    assert desk.digest("subscribers", "add", "reader@rehearsal.test").code == 0
    (report,) = desk.digest("run", "--json").rows
    assert (report["status"], report["stories"]) == ("done", 2), report  # the three pages tell one story
    assert [source["new"] for source in report["sources"]] == [3, 1]
    checked = {row["id"]: row for row in desk.digest("sources", "check", "--json").rows}
    assert (checked["front"]["entries"], checked["front"]["page"]) == (3, "read")
    assert checked["mail"]["entries"] == 1


def test_a_page_that_cannot_be_read_is_told_before_a_run_and_after_it(
    desk: Desk, serve_web: Callable[[Callable[[str], Answer]], str]
) -> None:
    def answer(path: str) -> Answer:
        if path.startswith("/page"):
            return 403, {}, b""
        items = "".join(
            f"<item><guid>{n}</guid><title>{title}</title><link>{addresses[0]}/page/{n}</link></item>"
            for n, title in enumerate(["A bridge was closed", "Bread costs more"])
        )
        return 200, {}, f'<rss version="2.0"><channel><title>A</title>{items}</channel></rss>'.encode()

    addresses: list[str] = []
    addresses.append(serve_web(answer))
    source = f'[[sources]]\nid = "a"\nkind = "feed"\nurl = "{addresses[0]}/feed"\nrights = "extract"\n'
    desk.configure(source, '[fetch]\nallow_private = ["127.0.0.0/8"]\n[edition]\nmin_stories = 1\n')
    tried = desk.digest("sources", "check", "--json")
    assert (tried.code, tried.rows[0]["page"], tried.rows[0]["ok"]) == (0, "it answers 403 Forbidden", True)
    (checked,) = [row for row in desk.digest("check", "--json").rows if row["subject"] == "source a"]
    assert (checked["result"], checked["message"]) == (
        "warning",
        "2 entries; the page of the newest: it answers 403 Forbidden",
    )
    (report,) = desk.digest("run", "--json").rows
    (extract,) = [stage for stage in report["stages"] if stage["stage"] == "extract"]
    assert extract["counts"] == {"entries": 2, "articles": 2, "pages": 0, "without_page": 2}
    assert extract["notes"] == ["a: it answers 403 Forbidden (2 ×)"]
