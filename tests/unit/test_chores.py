"""What is done again and again beside the schedule."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from digest.errors import MailboxError
from digest.operate.chores import Chore, Chores, next_pause

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


def test_after_a_fault_the_pauses_grow_to_an_hour_and_are_never_shorter_than_usual() -> None:
    pause = 10 * SECOND
    seen = []
    for _ in range(12):
        pause = next_pause(10 * SECOND, pause)
        seen.append(pause)
    assert seen[:3] == [20 * SECOND, 40 * SECOND, 80 * SECOND]
    assert seen[-1] == HOUR
    assert next_pause(24 * HOUR, timedelta()) == 24 * HOUR


class Work:
    """Gives one answer after the other, then says that all were given."""

    def __init__(self, *answers: str | Exception | None) -> None:
        self._answers: Iterator[str | Exception | None] = iter(answers)
        self.done = threading.Event()

    def __call__(self) -> str | None:
        answer = next(self._answers, self)
        if answer is self:
            self.done.set()
            return None
        if isinstance(answer, Exception):
            raise answer
        assert answer is None or isinstance(answer, str)
        return answer


def do(work: Work) -> list[str]:
    told: list[str] = []
    with Chores([Chore(name="inbox", every=timedelta(milliseconds=1), work=work)], tell=told.append):
        assert work.done.wait(20)
    return told


def test_a_fault_is_told_once_and_once_more_when_it_has_passed() -> None:
    fault = MailboxError("inbox", "no connection")
    told = do(Work("inbox: 2 bounces", fault, fault, fault, None, None))
    assert told == ["inbox: 2 bounces", "digest: inbox: no connection", "digest: inbox: it works again"]


def test_another_fault_is_told_as_well() -> None:
    told = do(Work(MailboxError("inbox", "no connection"), MailboxError("inbox", "the login was refused"), None))
    assert told[:2] == ["digest: inbox: no connection", "digest: inbox: the login was refused"]


def test_a_bug_ends_nothing() -> None:
    told = do(Work(ZeroDivisionError("a bug"), "inbox: 1 bounces"))
    assert "ZeroDivisionError: a bug" in told[0]
    assert "inbox: 1 bounces" in told


def test_a_chore_may_wait_for_its_first_time_and_ends_with_the_others() -> None:
    begun: list[str] = []
    chore = Chore(name="late", every=HOUR, first=HOUR, work=lambda: begun.append("late"))
    with Chores([chore], tell=begun.append):
        pass
    assert begun == []


@pytest.mark.parametrize("count", [0, 3])
def test_there_may_be_any_number_of_chores(count: int) -> None:
    works = [Work() for _ in range(count)]
    chores = [Chore(name=str(number), every=HOUR, work=work) for number, work in enumerate(works)]
    with Chores(chores, tell=print):
        assert all(work.done.wait(20) for work in works)
