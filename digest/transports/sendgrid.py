"""SendGrid: many readers in one request, through the `sendgrid` package over a pool of kept connections.

The request is marked before it leaves. 202 (200 in the sandbox) is accepted: queued, not yet delivered. 429 and 503
and a connection that never came about sent nothing. Everything that is lost after the request left is unknown:
SendGrid knows no idempotency key, so nothing of it is sent again by a machine; the opaque `send_key` in each
personalization's custom_args is what its events are matched by.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from email.utils import format_datetime, parseaddr
from typing import Any, Literal

from digest.errors import Ambiguous, Refused, Unavailable
from digest.models import UNSUBSCRIBE_TOKEN, Batch, DeliveryState, Letterhead, Message, Outcome
from digest.transports.mime import ascii_address, ways_out
from digest.transports.sendgrid_client import Answer, NotSent, PooledClient

_MAX_BYTES = 30_000_000
_MAX_READERS = 1000
_ABOUT_READER = re.compile(r"personalizations[.\[](\d+)")  # the field of an error that one reader caused


class SendGridTransport:
    """The v3 mail/send API. One TLS context and a pool of connections are kept."""

    name = "sendgrid"
    batch_size = _MAX_READERS

    def __init__(
        self,
        *,
        api_key: str,
        host: str = "https://api.sendgrid.com",
        region: Literal["global", "eu"] = "global",
        sandbox: bool = False,
        connect_seconds: float = 5.0,
        read_seconds: float = 30.0,
        total_seconds: float = 60.0,
    ) -> None:
        """`host` replaces the region's when it is not the public one."""
        self._host = host
        self._sandbox = sandbox
        self._client = PooledClient(
            api_key=api_key,
            host=host,
            region=region,
            connect_seconds=connect_seconds,
            read_seconds=read_seconds,
            total_seconds=total_seconds,
        )

    def __repr__(self) -> str:
        return f"SendGridTransport(host={self._host!r}, sandbox={self._sandbox})"

    def send(
        self,
        batch: Batch,
        on_attempt: Callable[[Sequence[int]], None],
        on_outcome: Callable[[Sequence[Outcome]], None],
    ) -> None:
        """One request for each thousand readers. Raises Unavailable (sent nothing) and Refused."""
        waiting = list(self._requests(batch))
        while waiting:
            messages = waiting.pop(0)
            deliveries = [message.delivery for message in messages]
            on_attempt(deliveries)
            try:
                answer = self._client.post_mail(self._encode(batch, messages))
            except NotSent as error:
                raise Unavailable(self._subject, "no connection") from error.__cause__
            except Ambiguous as error:
                on_outcome(_all(deliveries, DeliveryState.UNKNOWN, str(error)))
                continue
            outcomes = self._judge(answer, messages)
            if outcomes:
                on_outcome(outcomes)
            # Nothing of a rejected request was sent: those it was not about go again, in smaller requests.
            settled = {outcome.delivery for outcome in outcomes}
            waiting[:0] = _halve([m for m in messages if m.delivery not in settled], split=not outcomes)

    def render(self, batch: Batch) -> list[bytes]:
        """The very request bodies: SendGrid builds the messages itself."""
        return [self._encode(batch, messages) for messages in self._requests(batch)]

    def _encode(self, batch: Batch, messages: Sequence[Message]) -> bytes:
        personalizations = [_personalize(message, batch.letterhead) for message in messages]
        body = {"personalizations": personalizations, **_shared(batch, sandbox=self._sandbox)}
        return json.dumps(body, ensure_ascii=False).encode()

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
        return f"{self._host} takes the key, which may send mail"

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    @property
    def _subject(self) -> str:
        return f"sendgrid {self._host}"

    def _bad_key(self, status: int) -> Refused:
        return Refused(self._subject, f"the key is refused ({status})", remedy="check DIGEST_SENDGRID_API_KEY")

    def _requests(self, batch: Batch) -> Iterator[list[Message]]:
        room = _MAX_BYTES - len(json.dumps(_shared(batch, sandbox=self._sandbox), ensure_ascii=False).encode())
        yield from _split(batch.messages, room)

    def _judge(self, answer: Answer, messages: Sequence[Message]) -> list[Outcome]:
        """What an answer says of each message; none of those that must go again by themselves."""
        deliveries = [message.delivery for message in messages]
        errors = _errors_of(answer)
        raw = f"{answer.status} {'; '.join(dict.fromkeys(words for _, words in errors[:3]))}".strip()
        match answer.status:
            case 200 | 202:
                return _all(deliveries, DeliveryState.ACCEPTED, raw, answer.headers.get("x-message-id"))
            case 429:
                reset = answer.headers.get("x-ratelimit-reset")
                raise Unavailable(
                    self._subject, f"too many requests; the limit is reset at {reset or 'an unknown time'}"
                )
            case 503:
                raise Unavailable(self._subject, raw)
            case 401 | 403:
                raise self._bad_key(answer.status)
            case 413 if len(messages) > 1:
                return []
            case 413:
                return _all(deliveries, DeliveryState.REFUSED, raw)
            case status if 400 <= status < 500:
                blamed = _blame(errors, len(messages))
                if not blamed:
                    # It is about what all share, and would be said of every request: nothing was sent, nobody is lost.
                    raise Refused(self._subject, raw, remedy="correct what it names, then run again")
                return [
                    Outcome(delivery=deliveries[number], state=DeliveryState.REFUSED, raw=f"{status} {words}")
                    for number, words in sorted(blamed.items())
                ]
        return _all(deliveries, DeliveryState.UNKNOWN, raw)


def _blame(errors: Sequence[tuple[str, str]], readers: int) -> dict[int, str]:
    """What is said of single readers, by their place in the request; nothing when the fault is everybody's."""
    blamed = {int(found[1]): words for field, words in reversed(errors) if (found := _ABOUT_READER.match(field))}
    about_all = len(blamed) > max(10, readers // 2) or any(place >= readers for place in blamed)
    return {} if about_all else blamed


def _halve(messages: Sequence[Message], *, split: bool) -> list[list[Message]]:
    """The messages as one request, or as two when they were too much together."""
    middle = len(messages) // 2 if split and len(messages) > 1 else 0
    return [list(part) for part in (messages[:middle], messages[middle:]) if part]


def _shared(batch: Batch, *, sandbox: bool) -> dict[str, Any]:
    """What all readers of a request share. Tracking is off: links stay as they are, and nobody is watched."""
    letterhead, rendition = batch.letterhead, batch.rendition
    shared: dict[str, Any] = {
        "from": _party(*parseaddr(letterhead.sender)),
        "subject": " ".join(rendition.subject.split()),
        # RFC 2046 §5.1.4: the plainest first.
        "content": [
            {"type": "text/plain", "value": rendition.text},
            {"type": "text/html", "value": rendition.html},
        ],
        "headers": {
            **_list_headers(letterhead),
            "Auto-Submitted": "auto-generated",
            "Date": format_datetime(letterhead.dated_at),
        },
        "categories": [letterhead.list_id[:255]],
        "tracking_settings": {
            "click_tracking": {"enable": False, "enable_text": False},
            "open_tracking": {"enable": False},
            "subscription_tracking": {"enable": False},
            "ganalytics": {"enable": False},
        },
    }
    if letterhead.reply_to:
        shared["reply_to"] = _party(*parseaddr(letterhead.reply_to))
    settings = {"sandbox_mode": sandbox, "bypass_list_management": not letterhead.is_bulk}
    if any(settings.values()):
        # Who is on a list there and asks on our page to come back could otherwise never confirm it.
        shared["mail_settings"] = {name: {"enable": True} for name, is_on in settings.items() if is_on}
    return shared


def _list_headers(letterhead: Letterhead) -> dict[str, str]:
    if not letterhead.is_bulk:
        return {}
    return {"List-ID": f"{_plain(letterhead.list_name)} <{letterhead.list_id}>", "Precedence": "bulk"}


def _personalize(message: Message, letterhead: Letterhead) -> dict[str, Any]:
    domain = parseaddr(letterhead.sender)[1].rpartition("@")[2]
    way_out = {
        "List-Unsubscribe": ways_out(message, letterhead.inbox),
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    return {
        "to": [_party(message.name or "", ascii_address(message.email))],
        "headers": {**(way_out if letterhead.is_bulk else {}), "Message-ID": f"<{message.send_key}@{domain}>"},
        **({"substitutions": {UNSUBSCRIBE_TOKEN: message.unsubscribe_url}} if letterhead.is_bulk else {}),
        "custom_args": {"send_key": message.send_key},
    }


def _party(name: str, email: str) -> dict[str, str]:
    """A name and address; SendGrid takes no comma or semicolon in a name."""
    plain = " ".join(_plain(name).replace(",", " ").replace(";", " ").split())
    return {"email": email, "name": plain} if plain else {"email": email}


def _plain(text: str) -> str:
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def _split(messages: Sequence[Message], room: int) -> Iterator[list[Message]]:
    """Requests of at most a thousand readers and `room` bytes, in none of which an address stands twice."""
    request: list[Message] = []
    addresses: set[str] = set()
    used = 0
    for message in messages:
        size = 1100 + 4 * len(message.unsubscribe_url) + 12 * len(message.name or "") + len(message.email)
        folded = message.email.casefold()
        if request and (len(request) == _MAX_READERS or folded in addresses or used + size > room):
            yield request
            request, addresses, used = [], set(), 0
        request.append(message)
        addresses.add(folded)
        used += size
    if request:
        yield request


def _all(deliveries: Sequence[int], state: DeliveryState, raw: str, provider_id: str | None = None) -> list[Outcome]:
    return [Outcome(delivery=delivery, state=state, raw=raw, provider_id=provider_id) for delivery in deliveries]


def _errors_of(answer: Answer) -> list[tuple[str, str]]:
    """The field and the message of each error of an answer, and nothing of the request that it may quote."""
    try:
        errors = json.loads(answer.body).get("errors") or []
        return [(str(error.get("field") or ""), str(error.get("message", ""))[:200]) for error in errors[:_MAX_READERS]]
    except (ValueError, AttributeError, TypeError):
        return []
