"""Where entries come from, who says stories, what hands messages over, and what is asked of a provider or a mailbox."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from digest.models import (
    Batch,
    Budget,
    Collected,
    Copy,
    Delivery,
    Incoming,
    Listed,
    Outcome,
    ProviderList,
    Story,
    Summary,
    Trace,
)


class Source(Protocol):
    """Where entries come from."""

    async def collect(self, cursor: Mapping[str, str]) -> Collected:
        """Visit the source once. Raises SourceError, and nothing else."""
        ...


class Summarizer(Protocol):
    """Who says a story in few words."""

    def summarize(self, story: Story, budget: Budget) -> Summary:
        """Raises SummarizeError, and nothing else."""
        ...


class Transport(Protocol):
    """What hands messages over."""

    name: str  # as the ledger records it
    batch_size: int  # how many messages it takes at once

    def send(
        self,
        batch: Batch,
        on_attempt: Callable[[Sequence[int]], None],
        on_outcome: Callable[[Sequence[Outcome]], None],
    ) -> None:
        """Hand a batch over, and account for each message.

        `on_attempt(deliveries)` is called before the first byte of those messages leaves and returns when that is
        written down; if it raises, nothing of them may be sent. `on_outcome` is called once for each attempted
        message with accepted, refused, deferred or unknown. Raises Unavailable when the rest of the batch was
        certainly not sent, Refused when the provider will take none of it (bad credentials, a policy refusal), and
        Ambiguous when what was attempted and has no outcome may have been sent.
        """
        ...

    def render(self, batch: Batch) -> list[bytes]:
        """The very bytes that would be handed over: a message each (SendGrid: the request bodies), and no sending."""
        ...

    def check(self) -> str:
        """Log in without sending; returns what was found. Raises TransportError."""
        ...

    def close(self) -> None:
        """Let go of connections. May be called twice."""
        ...


class Mailbox(Protocol):
    """Where bounces, complaints and requests to leave come. Raises MailboxError, and nothing else."""

    def batches(self) -> Iterator[list[Incoming]]:
        """What nobody has looked at yet, oldest first, some mails at a time; nothing is changed by it."""
        ...

    def move(self, places: Sequence[str], folder: str) -> None:
        """Put mails into a folder of ours, made when it is not there. What is gone already stays gone."""
        ...

    def pass_over(self, places: Sequence[str]) -> None:
        """Remember that these were looked at and are a person's; they stay as they are, unread."""
        ...

    def check(self) -> str:
        """Look without changing anything; returns what was found."""
        ...

    def close(self) -> None:
        """Let go of the connection. May be called twice."""
        ...


class SeedMailbox(Protocol):
    """Where the copies of seeds arrive. Raises MailboxError, and nothing else."""

    def begin(self) -> None:
        """Log in, and remember what is there already."""
        ...

    def arrived(self) -> list[Copy]:
        """What came since, and was not told yet; nothing is changed by it."""
        ...

    def mark(self, copies: Sequence[Copy]) -> None:
        """Mark these as read; they stay where they are."""
        ...

    def check(self) -> str:
        """Look without changing anything; returns what was found."""
        ...

    def close(self) -> None:
        """Let go of the connection. May be called twice."""
        ...


class Lists(Protocol):
    """Whom a provider does not mail. Raises TransportError, and nothing else."""

    def read(self, name: ProviderList) -> Iterator[Listed]:
        """Everybody on one of its lists."""
        ...

    def add(self, emails: Sequence[str]) -> None:
        """Have these mailed no more, whoever asks."""
        ...

    def remove(self, name: ProviderList, emails: Sequence[str]) -> None:
        """Take these off one of its lists."""
        ...

    def erase(self, emails: Sequence[str]) -> None:
        """Have it forget all that it knows of these."""
        ...

    def close(self) -> None:
        """Let go of connections. May be called twice."""
        ...


class Activity(Protocol):
    """What a provider's own records say of single deliveries. Raises TransportError, and nothing else."""

    def ask(self, deliveries: Sequence[Delivery]) -> Iterator[list[Trace]]:
        """What is found of them, as the answers come; of those that no list names, nothing is known."""
        ...

    def close(self) -> None:
        """Let go of connections. May be called twice."""
        ...
