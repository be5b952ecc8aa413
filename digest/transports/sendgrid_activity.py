"""SendGrid's Email Activity: what it knows of single messages, asked by their `send_key`.

    deliveries ──50 keys a query──> messages with a status ──those not delivered, one by one──> why

A paid addition to an account, and slow: six requests a minute. `may_ask` is called before each and keeps that pace. A
delivery that is found was taken by SendGrid, that is certain. One that is not found may still be on its way into these
records: nothing is concluded from that.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from digest.errors import Ambiguous, Refused, Unavailable
from digest.models import Delivery, DeliveryState, Trace, fold_address
from digest.transports.mime import ascii_address
from digest.transports.sendgrid_client import Answer, NotSent, PooledClient, read_wait

_KEYS: Final = 50  # in a query: its address then stays under 8 kB
_LIMIT: Final = 1000  # the most that may be asked for
_ANSWER_LIMIT: Final = 5_000_000
_TRIES: Final = 3
_LONGEST_WAIT: Final = 120.0  # seconds for a reset: the limit is by the minute
_CLOCKS_APART: Final = timedelta(minutes=15)
# What outweighs what, where a key was met more than once.
_STATUSES: Final = ("processed", "not_delivered", "delivered")
_ENDS: Final = {"bounced": DeliveryState.BOUNCED, "dropped": DeliveryState.DROPPED}


class SendGridActivity:
    """protocols.Activity. One TLS context and a pool of connections are kept."""

    def __init__(
        self,
        *,
        api_key: str,
        host: str = "https://api.sendgrid.com",
        may_ask: Callable[[], bool] = lambda: True,
        wait: Callable[[float], None] = time.sleep,
        clock: Callable[[], datetime],
        seconds: float = 30.0,
    ) -> None:
        """`may_ask` returns when another request may be made, False when none may; `seconds` bounds each answer."""
        self._may_ask, self._wait, self._clock = may_ask, wait, clock
        self._client = PooledClient(
            api_key=api_key,
            host=host,
            region="global",
            connect_seconds=10.0,
            read_seconds=seconds,
            total_seconds=2 * seconds,
        )

    def __repr__(self) -> str:
        return f"SendGridActivity(host={self._client.host!r})"

    def ask(self, deliveries: Sequence[Delivery]) -> Iterator[list[Trace]]:
        """What is found of them, a query at a time, until no more may be asked. Raises Unavailable and Refused."""
        for asked in _divide(deliveries):
            clauses = " OR ".join(f"(unique_args['send_key']=\"{one.send_key}\")" for one in asked.values())
            answer = self._ask(f"/v3/messages?limit={_LIMIT}&query={quote(clauses, safe='')}")
            if answer is None:
                return
            rows = self._read_rows(answer)
            if len(rows) > 2 * len(asked):
                # It told of others: then it did not understand the question, and nothing it says is an answer.
                raise Refused(self._subject, "it answers about messages that it was not asked about")
            found: dict[str, tuple[str, str]] = {}
            for address, status, message, at in rows:
                delivery = asked.get(address)
                # A reader whose address was changed since is not recognised.
                if delivery is None or _is_before(at, delivery.attempted_at):
                    continue
                known = found.get(delivery.send_key, ("", ""))[0]
                if not known or _STATUSES.index(status) > _STATUSES.index(known):
                    found[delivery.send_key] = (status, message)
            yield [
                Trace(
                    send_key=key,
                    state=DeliveryState.DELIVERED if status == "delivered" else DeliveryState.ACCEPTED,
                    raw=f"{status}, as its activity says",
                )
                for key, (status, _) in found.items()
                if status != "not_delivered"
            ]
            for key, (status, message) in found.items():
                if status == "not_delivered":
                    detail = self._ask(f"/v3/messages/{quote(message, safe='')}")
                    if detail is None:
                        return
                    yield _judge(key, detail)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    @property
    def _subject(self) -> str:
        return f"sendgrid {self._client.host} activity"

    def _ask(self, path: str) -> Answer | None:
        """The answer, once it is one; None when no more may be asked."""
        for _ in range(_TRIES):
            if not self._may_ask():
                return None
            try:
                answer = self._client.ask("GET", path, limit=_ANSWER_LIMIT)
            except (NotSent, Ambiguous) as error:
                raise Unavailable(self._subject, "no answer") from error.__cause__
            if answer.status != 429:
                break
            seconds = read_wait(answer.headers, self._clock())
            if seconds > _LONGEST_WAIT:
                raise Unavailable(self._subject, f"too many requests; it asks to wait {seconds:.0f} seconds")
            self._wait(seconds)
        if answer.status in (200, 404):
            return answer
        if answer.status in (401, 403):
            remedy = (
                'it needs "additional email activity history", which is bought at SendGrid, and a key with the scope '
                "of email activity; else leave [transport] activity false"
            )
            raise Refused(self._subject, f"the key may not ask ({answer.status})", remedy=remedy)
        if answer.status == 429 or answer.status >= 500:
            raise Unavailable(self._subject, f"it answers {answer.status}")
        raise Refused(self._subject, f"it does not take the question ({answer.status})")

    def _read_rows(self, answer: Answer) -> list[tuple[str, str, str, datetime | None]]:
        """The folded address, status, name and last instant of each message."""
        found = []
        rows = _read_object(answer).get("messages")
        if not isinstance(rows, list):
            raise Unavailable(self._subject, "its answer makes no sense")
        for row in rows:
            if not isinstance(row, dict):
                continue
            email, status, message = row.get("to_email"), row.get("status"), row.get("msg_id")
            # Another status is one that we do not know the meaning of.
            if isinstance(email, str) and isinstance(message, str) and status in _STATUSES:
                found.append((fold_address(email), status, message, _read_instant(row.get("last_event_time"))))
        return found


def _divide(deliveries: Sequence[Delivery]) -> Iterator[dict[str, Delivery]]:
    """By folded address, so many as a query takes. The answer names addresses only, so none stands in a query twice."""
    asked: dict[str, Delivery] = {}
    for delivery in deliveries:
        address = fold_address(ascii_address(delivery.email))
        # Our keys are hexadecimal; whatever else would have to be escaped in a way that nobody has written down.
        if not (delivery.send_key.isascii() and delivery.send_key.replace("-", "").isalnum()):
            continue
        if address in asked or len(asked) == _KEYS:
            yield asked
            asked = {}
        asked[address] = delivery
    if asked:
        yield asked


def _judge(send_key: str, answer: Answer) -> list[Trace]:
    """What became of a message that was not delivered: bounced, dropped, or still being tried."""
    detail = _read_object(answer)
    events, args = detail.get("events"), detail.get("unique_args")
    if not isinstance(events, list) or not isinstance(args, str) or send_key not in args:
        return []
    ends = [
        (str(event.get("processed", "")), state, event)
        for event in events
        if isinstance(event, dict) and (state := _ENDS.get(str(event.get("event_name"))))
    ]
    if not ends:
        return [Trace(send_key=send_key, state=DeliveryState.ACCEPTED, raw="not delivered so far")]
    _, state, event = max(ends, key=lambda end: end[0])
    why = " ".join(str(event.get("reason") or event.get("server_response") or "").split())[:200]
    return [Trace(send_key=send_key, state=state, raw=f"{event['event_name']}: {why}".removesuffix(": "))]


def _is_before(at: datetime | None, attempted_at: datetime | None) -> bool:
    return at is not None and attempted_at is not None and at < attempted_at - _CLOCKS_APART


def _read_object(answer: Answer) -> dict[str, Any]:
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _read_instant(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
