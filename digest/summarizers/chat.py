"""A talk with any service that speaks OpenAI's chat completions: one question, one answer, within a time that holds.

The one module that knows the `openai` package. A service may be down, slow, drip its answer byte by byte or never stop:
the time is that of the whole exchange, and what is read of an answer is bounded.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, Field, ValidationError

from digest.errors import SummarizeError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_MOST_BYTES: Final = 1_000_000  # of an answer, with what a model that reasons says before it
_RETRIES: Final = 1
_CHECK_SECONDS: Final = 10.0
_CHARACTERS_A_TOKEN: Final = 3  # where a service does not count


class Unreachable(SummarizeError):
    """The service did not answer."""


class Unusable(SummarizeError):
    """The service will not answer: a wrong key, an unknown model. No further question will help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the model said, and how many tokens question and answer took."""

    content: str
    tokens: int


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    total_tokens: int | None = None


class _Completion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None


class Chat:
    """One model at one service. Usable from several threads at once."""

    def __init__(self, *, base_url: str, model: str, api_key: str | None, options: Mapping[str, Any]) -> None:
        """`options` are further fields of each request."""
        self._base_url = base_url
        self._model = model
        self._api_key = api_key
        self._options = dict(options)

    def ask(self, messages: Sequence[Mapping[str, str]], *, seconds: float) -> Reply:
        """The answer, within `seconds`. Raises SummarizeError, as Unreachable or Unusable where that is why."""
        try:
            body = _run_within(self._ask(messages), seconds)
        except TimeoutError:
            raise Unreachable(
                self._base_url, f"no complete answer within {seconds:.3g} seconds", kind="timeout"
            ) from None
        try:
            completion = _Completion.model_validate_json(body)
        except ValidationError:
            raise Unreachable(self._base_url, "its answer is no chat completion", kind="form") from None
        choice = completion.choices[0]
        if choice.finish_reason == "length":
            raise SummarizeError("the model's answer", "it was cut off for its length", kind="form")
        content = choice.message.content or ""
        counted = completion.usage.total_tokens if completion.usage else None
        said = sum(len(message["content"]) for message in messages) + len(content)
        return Reply(content=content, tokens=counted or said // _CHARACTERS_A_TOKEN)

    def check(self) -> str:
        """Ask the service for its models. Raises Unreachable or Unusable."""
        try:
            known = _run_within(self._list(), _CHECK_SECONDS)
        except TimeoutError:
            raise Unreachable(self._base_url, f"no answer within {_CHECK_SECONDS:g} seconds") from None
        if known is not None and self._model not in known:
            raise Unusable(self._base_url, f'it has no model "{self._model}"', remedy=f"it has {', '.join(known[:10])}")
        return f"{self._model} at {self._base_url}" + (
            "" if known else " answers, and does not say which models it has"
        )

    async def _ask(self, messages: Sequence[Mapping[str, str]]) -> bytes:
        async with self._open() as client, _mapped(self):
            request: dict[str, Any] = {"model": self._model, "messages": list(messages), "extra_body": self._options}
            async with client.chat.completions.with_streaming_response.create(**request) as response:
                body = bytearray()
                async for part in response.iter_bytes():
                    body += part
                    if len(body) > _MOST_BYTES:
                        message = f"its answer is larger than {_MOST_BYTES:,} bytes"
                        raise Unreachable(self._base_url, message, kind="length")
                return bytes(body)

    async def _list(self) -> list[str] | None:
        from openai import NotFoundError

        async with self._open() as client, _mapped(self):
            try:
                return [model.id async for model in client.models.list()]
            except NotFoundError:  # a service without the list may have the chat
                return None

    def _open(self) -> "AsyncOpenAI":
        """A client for one exchange: with a loop of its own, nothing is left behind in the thread."""
        from openai import AsyncOpenAI

        # What the operator has set for other programs in OPENAI_… is not meant for this service.
        client = AsyncOpenAI(api_key=self._api_key or "-", base_url=self._base_url, max_retries=_RETRIES)
        client.organization = client.project = None
        return client

    def _hide(self, text: str) -> str:
        """Without the key, which some services repeat, and on one line."""
        hidden = text.replace(self._api_key, "…") if self._api_key else text
        return " ".join(hidden.split())[:200]


class _mapped:  # noqa: N801 - it reads as what it does
    """Turns what the package raises into our errors."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        import openai

        url = self._chat._base_url  # noqa: SLF001 - one thing in two classes
        match error:
            case openai.AuthenticationError() | openai.PermissionDeniedError():
                remedy = "set DIGEST_LLM_API_KEY in the environment"
                raise Unusable(
                    url, f"it refused the key ({error.status_code})", remedy=remedy, kind="unusable"
                ) from None
            case openai.NotFoundError() | openai.BadRequestError() | openai.UnprocessableEntityError():
                said = self._chat._hide(error.message)  # noqa: SLF001
                raise Unusable(url, f"it refused the request ({error.status_code}): {said}", kind="unusable") from None
            case openai.APITimeoutError():
                raise Unreachable(url, "it did not answer in time", kind="timeout") from None
            case openai.APIStatusError():
                raise Unreachable(url, f"it answered {error.status_code}", kind="unavailable") from None
            case openai.OpenAIError():
                raise Unreachable(url, "it cannot be reached", kind="unavailable") from None


def _run_within(work: Any, seconds: float) -> Any:
    """Run asynchronous work on a loop of this thread's own; raises TimeoutError.

    Not `asyncio.run`: at its end it waits for look-ups of names, which nobody can stop.
    """
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(asyncio.wait_for(work, seconds))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
