"""SendGrid: many readers in one request, through the `sendgrid` package over kept connections.

The request is marked before it leaves. 202 (200 in the sandbox) is accepted: queued, not yet delivered. 429 and 503
and a connection that never came about sent nothing. Everything that is lost after the request left is unknown:
SendGrid knows no idempotency key, so nothing of it is sent again by a machine; the opaque `send_key` in each
personalization's custom_args is what its events, and its Email Activity API, are matched by.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, Literal

from digest.errors import Ambiguous, PolicyRefused, Refused, Unavailable
from digest.models import Batch, DeliveryState, Outcome
from digest.transports.sendgrid_client import Answer, NotSent, PooledClient, errors_of, read_wait
from digest.transports.sendgrid_request import (
    MOST_READERS,
    Part,
    divide,
    encode_parts,
    encode_shared,
    join,
)

_ABOUT_READER: Final = re.compile(r"personalizations[.\[](\d+)")  # the field of an error that one reader caused
_ADDRESS: Final = re.compile(r"[^\s<>\"'(),;:]+@[^\s<>\"'(),;:]+")
_ABOUT_SENDER: Final = re.compile(r"sender identity|from (email )?address|verified sender", re.IGNORECASE)
_ABOUT_ACCOUNT: Final = re.compile(r"suspend|deactivat|disabled|under review|banned|frozen", re.IGNORECASE)
_USED_UP: Final = re.compile(r"credits exceeded", re.IGNORECASE)
_LONGEST_ID: Final = 255


class SendGridTransport:
    """The v3 mail/send API. One TLS context and its connections are kept; for use by any number of threads."""

    name = "sendgrid"
    batch_size = MOST_READERS

    def __init__(
        self,
        *,
        api_key: str,
        host: str = "https://api.sendgrid.com",
        region: Literal["global", "eu"] = "global",
        sandbox: bool = False,
        categories: Sequence[str] = (),
        connect_seconds: float = 10.0,
        read_seconds: float = 30.0,
        total_seconds: float = 60.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`host` replaces the region's when it is not the public one.

        `connect_seconds` bounds name, TCP and TLS of a new connection, `read_seconds` each wait for the other side, and
        `total_seconds` the whole of a request: less than a lease, in which the next one is marked.
        """
        self._sandbox = sandbox
        self._categories = tuple(categories)
        self._clock = clock
        self._client = PooledClient(
            api_key=api_key,
            host=host,
            region=region,
            connect_seconds=connect_seconds,
            read_seconds=read_seconds,
            total_seconds=total_seconds,
        )

    def __repr__(self) -> str:
        return f"SendGridTransport(host={self._client.host!r}, sandbox={self._sandbox})"

    def send(
        self,
        batch: Batch,
        on_attempt: Callable[[Sequence[int]], None],
        on_outcome: Callable[[Sequence[Outcome]], None],
    ) -> None:
        """One request for each thousand readers. Raises Unavailable (sent nothing) and Refused."""
        shared, parts = self._encode(batch)
        if unfit := [part for part in parts if part.fault]:
            on_attempt(_deliveries(unfit))
            on_outcome([_refuse(part, part.fault or "") for part in unfit])
        waiting = list(divide([part for part in parts if not part.fault], shared))
        rejected: set[int] = set()  # in a request of which nothing was sent
        while waiting:
            request = waiting.pop(0)
            try:
                on_attempt(_deliveries(request))
            except BaseException:
                again = [part for later in waiting for part in later if part.message.delivery in rejected]
                if again:
                    on_outcome(_all(again, DeliveryState.DEFERRED, "its request was rejected, and did not go again"))
                raise
            try:
                answer = self._client.post_mail(join(request, shared))
            except NotSent as error:
                words = "no connection" if error.__cause__ else f"no connection: {error}"
                raise Unavailable(self._subject, words) from error.__cause__
            except Ambiguous as error:
                on_outcome(_all(request, DeliveryState.UNKNOWN, str(error)))
                continue
            outcomes = self._judge(answer, request)
            if outcomes:
                on_outcome(outcomes)
            # Nothing of a rejected request was sent: those it was not about go again, in smaller requests.
            settled = {outcome.delivery for outcome in outcomes}
            rest = [part for part in request if part.message.delivery not in settled]
            rejected.update(_deliveries(rest))
            waiting[:0] = _halve(rest, split=not outcomes)

    def render(self, batch: Batch) -> list[bytes]:
        """The very request bodies: SendGrid builds the messages itself."""
        shared, parts = self._encode(batch)
        return [join(request, shared) for request in divide([part for part in parts if not part.fault], shared)]

    def check(self) -> str:
        """Ask what the key may do. Raises TransportError."""
        try:
            answer = self._client.get_scopes()
        except (NotSent, Ambiguous) as error:
            raise Unavailable(self._subject, "no answer") from error.__cause__
        if answer.status in (401, 403):
            raise self._bad_key(answer.status)
        if answer.status != 200:
            raise Unavailable(self._subject, f"it answers {answer.status}")
        if "mail.send" not in answer.body.decode("utf-8", "replace"):
            raise Refused(self._subject, "the key may not send mail", remedy="give it the scope mail.send")
        return f"{self._client.host} takes the key, which may send mail"

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    @property
    def _subject(self) -> str:
        return f"sendgrid {self._client.host}"

    def _encode(self, batch: Batch) -> tuple[bytes, list[Part]]:
        shared = encode_shared(batch, sandbox=self._sandbox, categories=self._categories, subject=self._subject)
        return shared, encode_parts(batch.messages, batch.letterhead)

    def _bad_key(self, status: int) -> Refused:
        return Refused(self._subject, f"the key is refused ({status})", remedy="check DIGEST_SENDGRID_API_KEY")

    def _judge(self, answer: Answer, request: Sequence[Part]) -> list[Outcome]:
        """What an answer says of each message; none of those that must go again by themselves."""
        errors = errors_of(answer)
        said = "; ".join(dict.fromkeys(words for _, words in errors[:3]))
        raw = f"{answer.status} {said}".strip()
        match answer.status:
            case 202:
                return _all(request, DeliveryState.ACCEPTED, raw, answer.headers.get("x-message-id"))
            case 200 if self._sandbox:
                return _all(request, DeliveryState.ACCEPTED, raw, answer.headers.get("x-message-id"))
            case 429:
                wait = read_wait(answer.headers, self._clock())
                fault = f"too many requests; it asks to wait {wait:.0f} seconds"
                raise Unavailable(self._subject, fault, wait_seconds=wait)
            case 503:
                wait_seconds = read_wait(answer.headers, self._clock()) if "retry-after" in answer.headers else None
                raise Unavailable(self._subject, _mask(raw), wait_seconds=wait_seconds)
            case 401 | 403:
                raise self._explain_refusal(answer.status, errors, _mask(raw))
            case 413 if len(request) > 1:
                return []
            case 301 | 307 | 308:
                fault = f"it answers {answer.status}: the API is somewhere else"
                raise Refused(self._subject, fault, remedy="correct [transport] host; a key follows no redirect")
            # 408 is also what gateways say that lost the answer of the server behind them.
            case status if 400 <= status < 500 and status != 408:
                blamed = _blame(errors, len(request))
                if not blamed:
                    # It is about what all share, and would be said of every request: nothing was sent, nobody is lost.
                    raise Refused(self._subject, _mask(raw), remedy="correct what it names, then run again")
                return [_refuse(request[number], f"{status} {words}") for number, words in sorted(blamed.items())]
        return _all(request, DeliveryState.UNKNOWN, raw)

    def _explain_refusal(
        self, status: int, errors: Sequence[tuple[str, str]], raw: str
    ) -> Refused | PolicyRefused | Unavailable:
        """Whom it does not let in: the key, the sender's address, or the account."""
        said = " ".join(words for _, words in errors)
        if _USED_UP.search(said):
            return Unavailable(self._subject, raw, remedy="the account's credits are used up")
        if any(field.startswith("from") for field, _ in errors) or _ABOUT_SENDER.search(said):
            return PolicyRefused(self._subject, raw, remedy="verify the sender of [newsletter] at SendGrid")
        if _ABOUT_ACCOUNT.search(said):
            return PolicyRefused(self._subject, raw, remedy="SendGrid's support says why")
        return self._bad_key(status)


def _blame(errors: Sequence[tuple[str, str]], readers: int) -> dict[int, str]:
    """What is said of single readers, by their place in the request; nothing when the fault is everybody's."""
    blamed = {int(found[1]): words for field, words in reversed(errors) if (found := _ABOUT_READER.match(field))}
    about_all = len(blamed) > max(10, readers // 2) or any(place >= readers for place in blamed)
    return {} if about_all else blamed


def _halve(parts: Sequence[Part], *, split: bool) -> Iterator[list[Part]]:
    """The readers as one request, or as two when they were too much together."""
    middle = len(parts) // 2 if split and len(parts) > 1 else 0
    return (list(part) for part in (parts[:middle], parts[middle:]) if part)


def _deliveries(parts: Sequence[Part]) -> list[int]:
    return [part.message.delivery for part in parts]


def _refuse(part: Part, why: str) -> Outcome:
    return Outcome(delivery=part.message.delivery, state=DeliveryState.REFUSED, raw=why)


def _all(parts: Sequence[Part], state: DeliveryState, raw: str, provider_id: str | None = None) -> list[Outcome]:
    name = provider_id[:_LONGEST_ID] if provider_id else None
    return [Outcome(delivery=number, state=state, raw=raw, provider_id=name) for number in _deliveries(parts)]


def _mask(words: str) -> str:
    """What SendGrid says, for a fault that is shown and logged: it may quote an address."""
    return _ADDRESS.sub("…", words)
