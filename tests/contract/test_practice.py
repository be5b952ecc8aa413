"""The mail server to practise with, by mails over SMTP."""

import asyncio
import mailbox
import smtplib
from pathlib import Path

import pytest

from digest.operate.practice import Practice


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ("Two\r\n lines", "Two lines"),
        ("=?utf-8?q?Caf=C3=A9?=", "Café"),
        ("=?x-unknown?q?Caf=C3=A9?=", "Caf"),  # in a charset that nobody knows
        ("=?utf-8?b?broken", "=?utf-8?b?broken"),
    ],
)
def test_each_mail_is_kept_and_said_whatever_its_subject_is(tmp_path: Path, subject: str, said: str) -> None:
    heard: list[tuple[str, str]] = []

    def mail(port: int) -> None:
        with smtplib.SMTP("127.0.0.1", port) as smtp:
            smtp.sendmail("brief@news.test", ["ann@news.test"], f"Subject: {subject}\r\n\r\nHello\r\n")

    async def practise() -> None:
        announced: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        is_over = asyncio.Event()
        practice = Practice(tmp_path / "mails", on_mail=lambda to, about: heard.append((to, about)))
        async with asyncio.TaskGroup() as group:
            group.create_task(practice.serve(0, announce=announced.set_result, is_over=is_over))
            try:
                await asyncio.to_thread(mail, await announced)
            finally:
                is_over.set()

    asyncio.run(practise())
    ((to, about),) = heard
    assert to == "ann@news.test"
    assert about.startswith(said)
    assert len(mailbox.Maildir(tmp_path / "mails")) == 1
