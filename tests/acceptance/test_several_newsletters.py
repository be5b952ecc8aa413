"""Two newsletters in two folders, over one database: as docs/several-newsletters.md says."""

import re
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from tests.acceptance.conftest import Desk
from tests.acceptance.public_site import ask
from tests.acceptance.test_stopping import read_until
from tests.doubles.ports import free_port

READER = "reader@rehearsal.test"


@pytest.fixture
def two(tmp_path: Path) -> tuple[Desk, Desk]:
    """The morning's and the evening's, each with the same reader."""
    desks = []
    for slug in ("morning", "evening"):
        port = free_port()
        assert Desk(tmp_path).digest("init", slug).code == 0
        desk = Desk(tmp_path / slug)
        path = desk.folder / "config.toml"
        text = path.read_text()
        for old, new in (
            ('slug = "morning"', f'slug = "{slug}"'),
            ('name = "Morning Brief"', f'name = "The {slug} brief"'),
            ('base_url = "https://news.example.com"', f'base_url = "http://127.0.0.1:{port}"'),
            ('url = "sqlite:///digest.db"', 'url = "sqlite:///../digest.db"'),
            ("port = 8000", f"port = {port}"),
        ):
            assert old in text
            text = text.replace(old, new)
        path.write_text(text)
        assert desk.digest("subscribers", "add", READER).code == 0
        desks.append(desk)
    return desks[0], desks[1]


def test_each_is_sent_and_previewed_and_leaving_one_does_not_end_the_other(
    two: tuple[Desk, Desk], tmp_path: Path
) -> None:
    morning, evening = two
    for desk, name in ((morning, "The morning brief"), (evening, "The evening brief")):
        assert desk.digest("preview", "--out", "shown.html").code == 0
        assert name in (desk.folder / "shown.html").read_text()
        assert desk.digest("run").code == 0
        (mail,) = desk.mails()
        assert name in str(message_from_bytes(mail.read_bytes(), policy=policy.default)["List-ID"])
    assert sorted(path.name for path in tmp_path.glob("digest.db")) == ["digest.db"]
    assert not list(morning.folder.glob("digest.db*"))

    processes = [desk.start("serve") for desk in two]
    try:
        urls = []
        for desk, process in zip(two, processes, strict=True):
            found = re.search(r"http://[\d.]+:\d+", read_until(process, "http://"))
            assert found
            urls.append(found[0])
            assert ask(f"{urls[-1]}/{desk.folder.name}/").status == 200
        message = message_from_bytes(morning.mails()[0].read_bytes(), policy=policy.default)
        (link,) = re.findall(r"<(http[^>]+)>", message["List-Unsubscribe"])
        assert link.startswith(f"{urls[0]}/morning/")
        form = {"Content_Type": "application/x-www-form-urlencoded"}
        assert ask(link, method="POST", body=b"List-Unsubscribe=One-Click", **form).status == 200
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.communicate(timeout=60)
    states = [desk.digest("subscribers", "list", "--json").rows[0]["state"] for desk in two]
    assert states == ["unsubscribed", "active"]


def test_who_is_erased_from_one_is_mailed_by_none(two: tuple[Desk, Desk]) -> None:
    morning, evening = two
    assert morning.digest("subscribers", "erase", READER).code == 0
    assert [row["state"] for row in evening.digest("subscribers", "list", "--json").rows] == ["erased"]
    assert evening.digest("subscribers", "add", READER).code == 2
    assert evening.digest("run").code == 0
    assert evening.mails() == []
