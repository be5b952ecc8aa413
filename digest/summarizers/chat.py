"""A talk with any service that speaks OpenAI's chat completions: one question, one answer, within a time that holds.

The one module that knows the `openai` package. A service may be down, slow, drip its answer byte by byte or never stop:
the time is that of the whole exchange, and what is read of an answer is bounded.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel, Field, ValidationError

from digest.errors import SummarizeError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_MOST_BYTES: Final = 1_000_000  # of an answer, with what a model that reasons says before it
_RETRIES: Final = 1
_CHECK_SECONDS: Final = 10.0
_CHARACTERS_A_TOKEN: Final = 6  # at most: what a service counts is never believed to be less


class Unreachable(SummarizeError):
    """The service did not answer."""


class Unusable(SummarizeError):
    """The service will not answer: a wrong key, an unknown model. No further question will help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the model said, and how many tokens question and answer took."""

    content: str
    tokens: int
    is_cut_off: bool = False  # the service ended it for its length


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


class _Model(BaseModel):
    id: str


class _Models(BaseModel):
    data: list[_Model]


_Shape = TypeVar("_Shape", bound=BaseModel)


class Chat:
    """One model at one service. Usable from several threads at once."""

    def __init__(self, *, base_url: str, model: str, api_key: str | None, options: Mapping[str, Any]) -> None:
        """`options` are further fields of each request."""
        self._base_url = base_url
        self._model = model
        self._api_key = api_key
        self._options = dict(options)

    def ask(self, messages: Sequence[Mapping[str, str]], *, seconds: float) -> Reply:
        """The answer, within `seconds`. Raises Unreachable, or Unusable when no further question will help."""
        try:
            body = _run_within(self._ask(messages), seconds)
        except TimeoutError:
            late = f"no complete answer within {seconds:.3g} seconds"
            raise Unreachable(self._base_url, late, kind="timeout") from None
        completion = self._read(_Completion, body, "its answer is no chat completion")
        choice = completion.choices[0]
        content = choice.message.content or ""
        counted = completion.usage.total_tokens if completion.usage else None
        said = sum(len(message["content"]) for message in messages) + len(content)
        return Reply(
            content=content,
            tokens=max(counted or 0, said // _CHARACTERS_A_TOKEN),
            is_cut_off=choice.finish_reason == "length",
        )

    def check(self) -> str:
        """Ask the service for its models. Raises Unreachable or Unusable."""
        try:
            body = _run_within(self._list(), _CHECK_SECONDS)
        except TimeoutError:
            raise Unreachable(self._base_url, f"no answer within {_CHECK_SECONDS:g} seconds") from None
        if body is None:
            return f"{self._model} at {self._base_url}: it answers, and does not say which models it has"
        known = [model.id for model in self._read(_Models, body, "its list of models is none").data]
        if self._model not in known:
            raise Unusable(
                self._base_url, f'it has no model "{self._model}"', remedy=f"it has {self._hide(', '.join(known[:10]))}"
            )
        return f"{self._model} at {self._base_url}"

    def _read(self, shape: type[_Shape], body: bytes, fault: str) -> _Shape:
        try:
            return shape.model_validate_json(body)
        except ValidationError:
            raise Unreachable(self._base_url, fault, remedy="check base_url", kind="form") from None

    async def _ask(self, messages: Sequence[Mapping[str, str]]) -> bytes:
        async with self._talk() as client:
            request: dict[str, Any] = {"model": self._model, "messages": list(messages), "extra_body": self._options}
            async with client.chat.completions.with_streaming_response.create(**request) as response:
                return await self._read_bounded(response)

    async def _list(self) -> bytes | None:
        from openai import NotFoundError

        async with self._talk() as client:
            try:
                async with client.models.with_streaming_response.list() as response:
                    return await self._read_bounded(response)
            except NotFoundError:  # a service without the list may have the chat
                return None

    async def _read_bounded(self, response: Any) -> bytes:
        body = bytearray()
        async for part in response.iter_bytes():
            body += part
            if len(body) > _MOST_BYTES:
                large = f"its answer is larger than {_MOST_BYTES:,} bytes"
                raise Unreachable(self._base_url, large, kind="length")
        return bytes(body)

    def _open(self) -> "AsyncOpenAI":
        """A client for one exchange: with a loop of its own, nothing is left behind in the thread."""
        from openai import AsyncOpenAI

        # What the operator has set for other programs in OPENAI_… is not meant for this service.
        client = AsyncOpenAI(
            api_key=self._api_key or "-",
            base_url=self._base_url,
            max_retries=_RETRIES,
            default_headers={"Accept-Encoding": "identity"},
            http_client=_make_http_client(),
        )
        client.organization = client.project = None
        return client

    @asynccontextmanager
    async def _talk(self) -> "AsyncIterator[AsyncOpenAI]":
        """A client for one exchange, whose errors are ours."""
        try:
            async with self._open() as client:
                yield client
        except SummarizeError:
            raise
        except Exception as error:  # noqa: BLE001 - while the body is read, whatever the package stands on comes through
            raise self._explain(error) from None  # a cause would be printed, and may hold the key

    def _explain(self, error: Exception) -> SummarizeError:
        """What the package raised, in our words."""
        import openai

        url = self._base_url
        match error:
            case openai.AuthenticationError() | openai.PermissionDeniedError():
                remedy = "set DIGEST_LLM_API_KEY in the environment"
                return Unusable(url, f"it refused the key ({error.status_code})", remedy=remedy, kind="unusable")
            case openai.NotFoundError():
                said = self._hide(error.message)
                return Unusable(url, f"it refused the request (404): {said}", kind="unusable")
            # These may be about this one article: its length, or what it speaks of.
            case openai.BadRequestError() | openai.UnprocessableEntityError():
                said = self._hide(error.message)
                return Unreachable(url, f"it refused the request ({error.status_code}): {said}", kind="refused")
            case openai.APITimeoutError():
                return Unreachable(url, "it did not answer in time", kind="timeout")
            case openai.APIStatusError():
                return Unreachable(url, f"it answered {error.status_code}", kind="unavailable")
            case openai.APIConnectionError():
                return Unreachable(url, "it cannot be reached", kind="unavailable")
            case _:
                return Unreachable(url, f"its answer broke off ({type(error).__name__})", kind="unavailable")

    def _hide(self, text: str) -> str:
        """Without the key, which some services repeat, and without what a terminal would obey."""
        hidden = text.replace(self._api_key, "…") if self._api_key else text
        return " ".join("".join(c if c.isprintable() else " " for c in hidden).split())[:200]


def _make_http_client() -> Any:
    """A client that reads no more of any answer, errors too, than it may, and neither unpacks nor follows any."""
    import httpx2

    class Bounded(httpx2.AsyncByteStream):
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        async def __aiter__(self) -> AsyncIterator[bytes]:
            read = 0
            async for part in self._stream:
                read += len(part)
                if read > _MOST_BYTES + len(part):  # a whole part more, so that who counts sees the excess
                    raise httpx2.RemoteProtocolError("the answer is too large")
                yield part

        async def aclose(self) -> None:
            await self._stream.aclose()

    class BoundedTransport(httpx2.AsyncHTTPTransport):
        async def handle_async_request(self, request: Any) -> Any:
            response = await super().handle_async_request(request)
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise httpx2.RemoteProtocolError("the answer is packed, which was not asked for")
            response.stream = Bounded(response.stream)
            return response

    return httpx2.AsyncClient(transport=BoundedTransport(), follow_redirects=False, timeout=httpx2.Timeout(600.0))


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
