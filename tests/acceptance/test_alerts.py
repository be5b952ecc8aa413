"""The operator is told, by the configured transport, of an edition that a machine holds."""

import email
import email.policy
from email.message import EmailMessage

import pytest

from tests.acceptance.conftest import Desk
from tests.doubles.smtp_server import SmtpServer


def alerts(desk: Desk) -> list[EmailMessage]:
    return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in desk.mails()]


@pytest.fixture
def held(sample_desk: Desk) -> Desk:
    """An edition that too few stories hold, and an operator."""
    path = sample_desk.folder / "config.toml"
    text = path.read_text().replace("min_stories = 3 ", "min_stories = 90 ")
    path.write_text(text.replace("to = []", 'to = ["The desk <desk@rehearsal.test>", "b@rehearsal.test"]'))
    return sample_desk


def test_a_held_edition_is_told_once_to_each_address(held: Desk) -> None:
    first = held.digest("run")
    assert first.code == 3
    assert "alert" in first.out
    told = alerts(held)
    assert {mail["To"] for mail in told} == {"desk@rehearsal.test", "b@rehearsal.test"}
    assert {mail["Subject"].startswith("[Morning Brief] The edition of ") for mail in told} == {True}
    body = told[0].get_body(("plain",))
    assert body is not None
    assert "few stories: " in body.get_content() and "digest editions approve" in body.get_content()
    # It is a message to a person, of no list.
    assert not {"List-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "Precedence"} & set(told[0].keys())
    assert told[0]["Auto-Submitted"] == "auto-generated"
    for _ in range(2):
        held.digest("run")
    assert len(alerts(held)) == 2


def test_what_was_held_while_somebody_looked_on_is_still_told(held: Desk) -> None:
    held.digest("run", "--no-send")
    assert alerts(held) == []
    held.digest("run")
    assert len(alerts(held)) == 2


def test_what_preflight_fails_is_named(held: Desk) -> None:
    path = held.folder / "config.toml"
    path.write_text(path.read_text().replace("min_stories = 90", "min_stories = 1"))
    base = held.folder / "templates" / "email" / "base.html"
    base.write_text(base.read_text().replace("</body>", "<script>1</script></body>"))
    assert held.digest("run").code == 3
    body = alerts(held)[0].get_body(("html",))
    assert body is not None
    assert "forbidden-element" in body.get_content() and "&lt;script&gt;" in body.get_content()
    assert "<script>" not in body.get_content()


@pytest.mark.parametrize("arguments", [("--no-send",), ("--dry-run",)])
def test_who_looks_on_is_not_told_by_mail(held: Desk, arguments: tuple[str, ...]) -> None:
    held.digest("run", *arguments)
    assert alerts(held) == []


def test_an_edition_that_nothing_holds_is_no_news(held: Desk) -> None:
    path = held.folder / "config.toml"
    path.write_text(path.read_text().replace("min_stories = 90", "min_stories = 1"))
    assert held.digest("run").code == 0
    assert {mail["To"] for mail in alerts(held)} == {"reader@rehearsal.test"}


def test_an_alert_that_cannot_go_is_a_remark_and_the_edition_is_held(held: Desk) -> None:
    with SmtpServer(on_rcpt=lambda address: "550 5.1.1 no") as server:
        path = held.folder / "config.toml"
        transport = f'kind = "smtp"\nhost = "127.0.0.1"\nport = {server.port}\ntls = "none"\n'
        text = path.read_text()
        start = text.index('kind = "outbox"')
        end = text.index("rate =", start)
        path.write_text(text[:start] + transport + text[end:])
        done = held.digest("run")
    assert done.code == 3
    assert "2 of 2 alerts were not accepted" in done.out
    assert "desk@rehearsal.test" not in done.out + done.err
    assert held.digest("editions", "list", "--json").rows[0]["state"] == "held"


def test_an_address_that_is_none_is_named(held: Desk) -> None:
    path = held.folder / "config.toml"
    path.write_text(path.read_text().replace('"b@rehearsal.test"', '"nowhere"'))
    done = held.digest("run")
    assert done.code == 2
    assert "alerts" in done.err and "nowhere" in done.err
