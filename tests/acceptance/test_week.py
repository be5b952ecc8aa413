"""A week of a newsletter as its operator lives it: each day another thing goes wrong, and nothing is lost or doubled.

Mon  all is well                       Fri  the sender is killed in the midst of it; a reader leaves
Tue  a source dies                     Sat  the disk is lost, and Thursday's backup restored
Wed  too little news: held, approved   Sun  the program is upgraded, over a migration
Thu  the source is back; a backup
"""

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from digest.app import App
from digest.config import load_config
from digest.models import Subscriber, SubscriberState
from tests.acceptance.conftest import NEWSLETTER, Desk
from tests.acceptance.serving import wait_for
from tests.faults.later import make_version
from tests.forking import COMMON

READERS = 60
MONDAY = date(2026, 11, 16)
SETTINGS = """\
[schedule]
at = "07:00"

[edition]
min_stories = 2

[[sources]]
id = "wire"
kind = "file"
path = "wire.xml"
rights = "own"
full_text = false

[[sources]]
id = "post"
kind = "file"
path = "post.xml"
rights = "own"
full_text = false

[transport]
kind = "outbox"
path = "outbox"
rate = "{rate}"
"""


@dataclass
class Week:
    """The newsletter's folder, and what is found there."""

    desk: Desk
    root: Path  # of the program that is installed
    published: dict[str, str] = field(default_factory=dict)  # headlines, and the day on which they came

    @property
    def folder(self) -> Path:
        return self.desk.folder

    def configure(self, rate: str = "100000/s") -> None:
        (self.folder / "config.toml").write_text(NEWSLETTER + SETTINGS.format(rate=rate), encoding="utf-8")

    def publish(self, source: str, day: date, number: int) -> None:
        """So many stories of that morning, beside those of before."""
        at = datetime(day.year, day.month, day.day, 5, tzinfo=UTC)
        chance = random.Random(f"{source} {day}")
        for _ in range(number):
            words = ["".join(chance.choices("abcdefghijklmnoprstuvw", k=chance.randint(4, 9))) for _ in range(46)]
            headline = " ".join(words[:6]).capitalize()
            said = " ".join(f"{' '.join(words[at : at + 10]).capitalize()}." for at in range(6, 46, 10))
            item = (
                f"<item><title>{headline}</title><link>https://{source}.test/{words[0]}</link>"
                f"<pubDate>{format_datetime(at)}</pubDate><description>{said}</description></item>"
            )
            self.published[headline] = f"{source} {day}"
            with (self.folder / f"{source}.items").open("a", encoding="utf-8") as kept:
                kept.write(item)
        items = (self.folder / f"{source}.items").read_text(encoding="utf-8")
        feed = f'<rss version="2.0"><channel><title>{source}</title><link>https://{source}.test/</link>{items}'
        (self.folder / f"{source}.xml").write_text(f"{feed}</channel></rss>", encoding="utf-8")

    def begin(self, day: date, *acts: str, hour: int = 7) -> "subprocess.Popen[str]":
        """The process of a day."""
        now = datetime(day.year, day.month, day.day, hour, 0, 1, tzinfo=UTC)
        script = Path(__file__).with_name("week_day.py")
        return subprocess.Popen(
            [sys.executable, str(script), str(self.folder / "config.toml"), now.isoformat(), *acts],
            env={**COMMON, "HOME": str(self.folder / "home"), "PYTHONPATH": str(self.root)},
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def live(self, day: date, *acts: str, hour: int = 7) -> dict[str, Any]:
        """A day to its end; how it stands then."""
        process = self.begin(day, *acts, hour=hour)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        return dict(json.loads(out))

    def mails(self, day: date) -> list[tuple[str, str]]:
        """To whom an edition went, and its lead."""
        found = []
        for path in (self.folder / "outbox" / "new").iterdir():
            mail = message_from_bytes(path.read_bytes(), policy=policy.default)
            if mail["Date"].datetime.date() == day:
                found.append((str(mail["To"]), str(mail["Subject"])))
        return found


def edition_of(status: dict[str, Any], day: date) -> dict[str, Any]:
    return next(one for one in status["editions"] if one["date"] == day.isoformat())


def source_of(status: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in status["sources"] if one["id"] == name)


def test_a_week_in_which_everything_happens(desk: Desk, repository: Path) -> None:
    week, days = Week(desk, repository), [MONDAY + timedelta(days=ahead) for ahead in range(7)]
    monday, tuesday, wednesday, thursday, friday, saturday, sunday = days
    week.configure()
    for name in ("wire", "post"):
        (desk.folder / f"{name}.items").touch()
    with App(load_config(desk.folder / "config.toml", {}), clock=lambda: datetime(2026, 11, 15, 12, tzinfo=UTC)) as app:
        readers = [
            Subscriber(email=f"reader{number:02}@far.test", state=SubscriberState.ACTIVE, consent_at=app.clock())
            for number in range(READERS)
        ]
        assert app.store.subscribers.add_many("morning", readers, now=app.clock()) == READERS
        app.store.runs.note_look("morning", "daily", now=app.clock())

    # Monday: all is well.
    week.publish("wire", monday, 2)
    week.publish("post", monday, 2)
    status = week.live(monday)
    assert edition_of(status, monday)["deliveries"] == {"accepted": READERS}
    assert edition_of(status, monday)["state"] == "sent"
    assert status["told"] is None
    assert status["next_due"]["date"] == tuesday.isoformat()

    # Tuesday: a source dies. The edition goes out, and says who was silent.
    week.publish("wire", tuesday, 3)
    (desk.folder / "post.xml").rename(desk.folder / "post.gone")
    status = week.live(tuesday)
    assert edition_of(status, tuesday)["deliveries"] == {"accepted": READERS}
    assert source_of(status, "post")["failures"] == 1
    assert source_of(status, "wire")["failures"] == 0
    assert "1 of 2 sources failed: post" in status["last_run"]["message"]

    # Wednesday: one story is too few. It is held, a person lets it go, and it goes.
    week.publish("wire", wednesday, 1)
    status = week.live(wednesday)
    held = edition_of(status, wednesday)
    assert (held["state"], held["deliveries"]) == ("held", {})
    assert held["reason"] == "few stories: 1 of at least 2 stories"
    assert source_of(status, "post")["failures"] == 2
    assert "1 of 2 sources fail: post" in status["told"]
    status = week.live(wednesday, "approve", hour=8)
    assert edition_of(status, wednesday)["state"] == "sent"
    assert edition_of(status, wednesday)["deliveries"] == {"accepted": READERS}

    # Thursday: the source is back, with what it published meanwhile. A backup is made in the evening.
    week.publish("wire", thursday, 2)
    week.publish("post", thursday, 2)
    status = week.live(thursday)
    assert source_of(status, "post")["failures"] == 0
    assert edition_of(status, thursday)["deliveries"] == {"accepted": READERS}
    assert desk.digest("db", "backup", "thursday.db").code == 0

    # Friday: the sender is killed in the midst of it. What is left goes, what is in doubt is named, nobody gets two.
    week.publish("wire", friday, 2)
    week.publish("post", friday, 2)
    week.configure(rate="20/s")
    process = week.begin(friday)
    before = len(list((desk.folder / "outbox" / "new").iterdir()))
    wait_for(lambda: len(list((desk.folder / "outbox" / "new").iterdir())) > before + 5, 60, "some have it")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    status = week.live(friday, hour=8)
    counts = Counter(edition_of(status, friday)["deliveries"])
    assert edition_of(status, friday)["state"] == "sent"
    assert counts.total() == READERS
    assert set(counts) <= {"accepted", "unknown"}
    assert counts["unknown"] <= 10
    missing = {row["email"] for row in desk.digest("editions", "show", f"{friday}", "--missing", "--json").rows}
    assert len(missing) == counts["unknown"]
    have = [to for to, _ in week.mails(friday)]
    assert len(have) == len(set(have)), "nobody twice"
    assert {reader.email for reader in readers} - set(have) <= missing, "and nobody is lost unnamed"
    # In the evening a reader leaves.
    leaver = readers[0].email
    assert desk.digest("subscribers", "remove", leaver).code == 0

    # Saturday: the disk is lost, and Thursday's backup restored. Friday is not sent again, nor is mailed who left.
    for path in desk.folder.glob("digest.db*"):
        if not path.name.endswith(".leavers"):
            path.unlink()
    restored = desk.digest("db", "restore", "thursday.db")
    assert restored.code == 0
    assert "1 addresses that left since are not mailed" in restored.out
    assert "1 editions that began to be sent since are not sent again" in restored.out
    sent = len(list((desk.folder / "outbox" / "new").iterdir()))
    status = week.live(saturday, hour=6)
    assert len(list((desk.folder / "outbox" / "new").iterdir())) == sent
    assert edition_of(status, friday)["state"] == "sent"
    assert "who has it is not on record" in edition_of(status, friday)["reason"]
    assert status["subscribers"] == {"active": READERS - 1, "unsubscribed": 1}
    week.configure()
    week.publish("wire", saturday, 2)
    status = week.live(saturday)
    assert edition_of(status, saturday)["deliveries"] == {"accepted": READERS - 1}
    assert leaver not in {to for to, _ in week.mails(saturday)}

    # Sunday: a later version, which has a migration. It says what is to be done, does nothing before, and goes on.
    week.root = make_version(desk.folder, migrates=True)
    week.publish("wire", sunday, 2)
    process = week.begin(sunday)
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "digest db upgrade" in err
    upgraded = subprocess.run(
        [sys.executable, "-m", "digest", "db", "upgrade", "--config", str(desk.folder / "config.toml")],
        cwd=week.root, env=COMMON, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "upgraded from revision" in upgraded.stdout
    status = week.live(sunday)
    assert edition_of(status, sunday)["deliveries"] == {"accepted": READERS - 1}

    # The whole week: seven editions, each once to everybody, and each story told.
    assert [one["date"] for one in reversed(status["editions"])] == [day.isoformat() for day in days]
    assert {one["state"] for one in status["editions"]} == {"sent"}
    for day in days:
        got = Counter(to for to, _ in week.mails(day))
        assert set(got.values()) == {1}, day
        if day != friday:
            assert len(got) == (READERS if day < friday else READERS - 1), day
    told = " ".join(
        path.read_text(encoding="utf-8", errors="replace") for path in (desk.folder / "outbox" / "new").iterdir()
    )
    untold = [headline for headline in week.published if headline.split()[0] not in told]
    assert untold == []
    listed = desk.digest("editions", "list", "--json")
    assert listed.code != 0, "the old version leaves the new one's database alone"
    assert "which this version of Digest does not know" in listed.err
