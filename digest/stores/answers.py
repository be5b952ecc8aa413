"""What a language model answered before."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select

from digest.protocols import AnswerStore
from digest.stores.database import Database
from digest.stores.schema import answers
from digest.stores.statements import upsert

_KEPT_FOR: Final = timedelta(days=90)


class SqlAnswers:
    """protocols.AnswerStore."""

    def __init__(self, database: Database) -> None:
        """Over an open database."""
        self._database = database

    def find(self, question: str) -> str | None:
        """The answer to a question, named by its hash; None when it was not asked before."""
        with self._database.read() as connection:
            return connection.execute(select(answers.c.answer).where(answers.c.question == question)).scalar()

    def keep(self, question: str, answer: str, *, now: datetime) -> None:
        """Keep an answer, and let go of those that are three months old."""
        with self._database.write() as connection:
            connection.execute(delete(answers).where(answers.c.made_at < now - _KEPT_FOR))
            row = {"question": question, "answer": answer, "made_at": now}
            connection.execute(upsert(answers).values(row).on_conflict_do_nothing())


class RememberedAnswers:
    """protocols.AnswerStore: the answers of this process before those of a store, which may be a throw-away copy."""

    def __init__(self, remembered: dict[str, str], store: AnswerStore) -> None:
        """`remembered` outlives the store."""
        self._remembered = remembered
        self._store = store

    def find(self, question: str) -> str | None:
        """The answer to a question."""
        return self._remembered.get(question) or self._store.find(question)

    def keep(self, question: str, answer: str, *, now: datetime) -> None:
        """Keep an answer in both."""
        self._remembered[question] = answer
        self._store.keep(question, answer, now=now)
