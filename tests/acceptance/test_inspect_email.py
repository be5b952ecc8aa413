"""`digest inspect email --online`: links are tried through the guarded way out."""

from collections.abc import Callable

from tests.acceptance.conftest import Answer, Desk


def test_links_are_tried_when_that_is_asked_for(
    desk: Desk, serve_web: Callable[[Callable[[str], Answer]], str]
) -> None:
    asked: list[str] = []

    def answer(path: str) -> Answer:
        asked.append(path)
        status = {"/gone": 410, "/shy": 403}.get(path, 200)
        return status, {"Content-Type": "text/html"}, b"<p>A page.</p>"

    site = serve_web(answer)
    desk.configure('[fetch]\nallow_private = ["127.0.0.0/8"]\n')
    links = "".join(f'<a href="{site}{path}">x</a>' for path in ("/here", "/gone", "/shy", "/unsubscribe/1"))
    html = f"<html><body><h1>Mail</h1>{links}<a href='http://10.0.0.1/'>inside</a></body></html>"
    (desk.folder / "mail.html").write_text(html, encoding="utf-8")
    assert desk.digest("inspect", "email", "mail.html", "--json").code == 0
    assert asked == []
    [row] = desk.digest("inspect", "email", "mail.html", "--online", "--json").rows
    found = {
        one["message"].split()[0]: (one["rule"], one["severity"])
        for one in row["findings"]
        if one["rule"].startswith("link-")
    }
    assert found == {
        f"{site}/gone": ("link-dead", "warn"),
        f"{site}/shy": ("link-refused", "info"),
        "http://10.0.0.1/": ("link-dead", "warn"),
    }
    assert set(asked) - {"/robots.txt"} == {"/here", "/gone", "/shy"}


def test_without_a_configuration_it_says_that_it_wants_one(desk: Desk) -> None:
    (desk.folder / "mail.html").write_text("<p>x</p>", encoding="utf-8")
    done = desk.digest("inspect", "email", "mail.html", "--online")
    assert done.code == 2
    assert "config.toml" in done.err and "--config" in done.err


def test_the_configuration_may_be_named(desk: Desk) -> None:
    desk.configure()
    (desk.folder / "config.toml").rename(desk.folder / "other.toml")
    (desk.folder / "mail.html").write_text("<p>x</p>", encoding="utf-8")
    done = desk.digest("inspect", "email", "mail.html", "--online", "--config", "other.toml", "--json")
    assert done.code == 0, done.err
    assert done.rows[0]["path"] == "mail.html"
