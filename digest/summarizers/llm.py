"""A summary in a language model's words, of which nothing stands that its source does not bear out.

    articles ─ prompt ─> kept answer, else the model ─ read strictly ─> sentences ─ ground ─> Summary, or SummarizeError

Whatever goes wrong — the model is down, slow, over budget, babbles, or invents — is a SummarizeError, and the next
summarizer, the extract, says the story instead. No edition waits longer for all its stories than the deadline.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Final

from digest.errors import SummarizeError
from digest.models import Article, Budget, Passage, Sentence, Story, Summary
from digest.protocols import AnswerStore, Clock
from digest.summarizers.chat import Chat, Reply, Unreachable, Unusable
from digest.summarizers.grounding import Grounded, ground
from digest.summarizers.prompt import MOST_ARTICLES, Answer, find_link, name_question, read_answer, write_prompt
from digest.text import count_words

_MOST_OVER: Final = 1.2  # times the budget in words
_FEWEST_WORDS: Final = 8
_CHARACTERS_A_TOKEN: Final = 4
_TOKENS_OF_AN_ANSWER: Final = 400  # until the service says how many they were
_MOST_READ: Final = 40_000  # characters of an article that an answer is held against: the model saw less
_MOST_FAILURES: Final = 3  # in a row: then the model is left alone for the rest of the run


class LlmSummarizer:
    """One run's summaries by a language model. Usable from several threads at once."""

    def __init__(
        self,
        chat: Chat,
        answers: AnswerStore,
        *,
        identity: object,
        language: str,
        timeout: float,
        deadline: float,
        budget: int,
        concurrency: int,
        of_all_outlets: bool,
        clock: Clock,
        monotonic: Callable[[], float],
    ) -> None:
        """`identity` is what makes answers different besides the question: the service, the model, its options.

        `language` is that of articles that state none. `timeout` bounds one question and `deadline` all of them, in
        seconds from the first; `budget` is in tokens.
        """
        self._chat = chat
        self._answers = answers
        self._identity = identity
        self._language = language
        self._timeout = timeout
        self._deadline = deadline
        self._budget = budget
        self._places = threading.BoundedSemaphore(concurrency)
        self._of_all_outlets = of_all_outlets
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._began: float | None = None
        self._spent = 0
        self._failures = 0
        self._given_up: SummarizeError | None = None

    def summarize(self, story: Story, budget: Budget) -> Summary:
        """A summary that is borne out by the story's articles. Raises SummarizeError, with the kind of the fault."""
        quotable = {n: article for n, article in enumerate(story.articles) if article.rights != "headline"}
        articles = (
            dict(list(quotable.items())[:MOST_ARTICLES]) if self._of_all_outlets and quotable else {0: story.lead}
        )
        if not any(article.text.strip() for article in articles.values()):
            raise SummarizeError(f'"{story.lead.title}"', "there is no text", kind="no text")
        messages = write_prompt(articles, budget)
        question = name_question(self._identity, messages)
        kept = self._answers.find(question)
        answer = read_answer(kept or self._ask(messages).content, articles=len(articles))
        summary = _judge(answer, articles, budget, self._language)
        if kept is None:  # an answer that was refused may be better the next time
            self._answers.keep(question, answer.model_dump_json(), now=self._clock())
        return summary

    def check(self) -> str:
        """Whether the service answers; says what was found. Raises SummarizeError."""
        return self._chat.check()

    def _ask(self, messages: list[dict[str, str]]) -> Reply:
        left = self._left()
        if left <= 0 or not self._places.acquire(timeout=left):
            raise self._late()
        try:
            seconds = min(self._timeout, self._left())
            if seconds <= 0:
                raise self._late()
            expected = self._reserve(messages)
            try:
                reply = self._chat.ask(messages, seconds=seconds)
            except (Unreachable, Unusable) as error:
                self._note_failure(error)
                raise
            with self._lock:
                self._failures = 0
                self._spent += reply.tokens - expected
            if reply.is_cut_off:
                raise SummarizeError("the model's answer", "it was cut off for its length", kind="length")
            return reply
        finally:
            self._places.release()

    def _left(self) -> float:
        """Seconds until the deadline, which is counted from the first question."""
        with self._lock:
            if self._began is None:
                self._began = self._monotonic()
            return self._began + self._deadline - self._monotonic()

    def _late(self) -> SummarizeError:
        return SummarizeError("the model", f"{self._deadline:g} seconds were over for all stories", kind="deadline")

    def _reserve(self, messages: list[dict[str, str]]) -> int:
        """Take what a question will cost from the budget. Raises SummarizeError when none may be asked any more."""
        asked = sum(len(message["content"]) for message in messages) // _CHARACTERS_A_TOKEN
        expected = asked + _TOKENS_OF_AN_ANSWER
        with self._lock:
            if self._given_up:
                raise SummarizeError(self._given_up.subject, self._given_up.message, kind=self._given_up.kind)
            if self._spent + expected > self._budget:
                spent = f"{self._spent:,} of {self._budget:,} tokens are spent"
                raise SummarizeError("the model", spent, kind="budget")
            self._spent += expected
        return expected

    def _note_failure(self, error: SummarizeError) -> None:
        with self._lock:
            self._failures += 1
            if isinstance(error, Unusable) or self._failures >= _MOST_FAILURES:
                self._given_up = error


def _judge(answer: Answer, articles: Mapping[int, Article], budget: Budget, language: str) -> Summary:
    """The answer as a summary, each sentence with what bears it out. Raises SummarizeError when it must not stand."""
    length = sum(count_words(said.text) for said in answer.sentences)
    if budget.sentences and len(answer.sentences) > budget.sentences:
        raise SummarizeError("the model's answer", f"it has {len(answer.sentences)} sentences", kind="length")
    if not budget.sentences and not _FEWEST_WORDS <= length <= budget.words * _MOST_OVER:
        raise SummarizeError("the model's answer", f"it has {length} words", kind="length")
    known = "\n".join(f"{article.title}\n{article.text[:_MOST_READ]}" for article in articles.values())
    for said in answer.sentences:
        if link := find_link(said.text, known):
            raise SummarizeError("the model's answer", f'it holds "{link}", which no article does', kind="form")
    numbers = list(articles)
    told: dict[int, list[str]] = {number: [] for number in numbers}
    for said in answer.sentences:
        told[numbers[said.article - 1]].append(said.text.strip())
    grounded = {number: iter(_ground(told[number], articles[number], language)) for number in numbers}
    sentences = [
        _link(said.text.strip(), next(grounded[number]), number)
        for said in answer.sentences
        if (number := numbers[said.article - 1]) in grounded
    ]
    return Summary(sentences=tuple(sentences), kind="llm")


def _ground(texts: list[str], article: Article, language: str) -> list[Grounded]:
    spoken = (article.language or language).split("-")[0].lower()
    return ground(texts, article.text[:_MOST_READ], language=spoken, title=article.title)


def _link(text: str, grounded: Grounded, number: int) -> Sentence:
    if grounded.fault:
        said = " ".join(grounded.fault.text.split())[:60]
        raise SummarizeError("the model's answer", f'the article does not bear out "{said}"', kind=grounded.fault.kind)
    if not grounded.passages:
        raise SummarizeError("the model's answer", "no sentence of the article bears it out", kind="support")
    support = tuple(Passage(document=number, start=span.start, end=span.end) for span in grounded.passages)
    return Sentence(text=text, document=number, start=support[0].start, end=support[0].end, support=support)
