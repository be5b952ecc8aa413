"""The store's slices for who asked for what. Each raises StoreError."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from digest.models import (
    Arrival,
    Asked,
    AskedFor,
    Choices,
    Counted,
    PageRequest,
    Subscriber,
    SubscriberState,
    Subscription,
    Taken,
    Token,
)


class SubscriberStore(Protocol):
    """Who asked for what. Unique: (newsletter, folded address). Raises StoreError."""

    def add(self, newsletter: str, subscriber: Subscriber, *, now: datetime) -> bool:
        """Add one; False when the address is known to the newsletter already, and nothing is changed."""
        ...

    def add_many(self, newsletter: str, subscribers: Iterable[Subscriber], *, now: datetime) -> int:
        """Add many, in commits of some thousands; returns how many were new."""
        ...

    def take(
        self,
        newsletter: str,
        readers: Sequence[Subscriber | Arrival],
        *,
        now: datetime,
        mark: tuple[str, int] | None = None,
    ) -> Taken:
        """Take some thousand in as one transaction; `mark` is the import that they are of, and how far it came.

        Nobody who left, bounced or complained is revived; who is said to have is no longer mailed; who was pending and
        has agreed now is active.
        """
        ...

    def everyone(self, newsletter: str, state: SubscriberState | None = None) -> list[Subscriber]:
        """By address."""
        ...

    def find(self, newsletter: str, email: str) -> Subscriber | None:
        """By address, whatever its letter case."""
        ...

    def by_key(self, newsletter: str, key: str) -> Subscriber | None:
        """By the random key that signed links carry."""
        ...

    def choose(
        self, newsletter: str, key: str, choices: Choices, *, paused_until: datetime | None, now: datetime
    ) -> bool:
        """What an active reader chose for themselves; False when there is none of that key."""
        ...

    def leave(self, newsletter: str, key: str, *, now: datetime) -> bool:
        """Unsubscribe; True when there is such a subscription, also when it had left before."""
        ...

    def each(self, newsletter: str, state: SubscriberState | None = None) -> Iterator[Subscriber]:
        """The same one after the other, however many there are; without those who were erased."""
        ...

    def erase(self, email: str, *, now: datetime) -> bool:
        """Forget a person in every newsletter, but for a suppression that names nobody; False when unknown."""
        ...

    def history(self, email: str) -> list[Subscription]:
        """Everything that is kept of one person, newsletter by newsletter."""
        ...

    def is_suppressed(self, newsletter: str, email: str) -> bool:
        """Whether the address must not be mailed, whoever adds it."""
        ...

    def remove(self, newsletter: str, email: str, *, now: datetime) -> bool:
        """Unsubscribe by the operator's hand; False when unknown."""
        ...

    def reached(self, newsletter: str) -> Iterator[Subscriber]:
        """The active ones that may be mailed; those who paused too: planning leaves them out, with the reason.

        One after the other, however many there are.
        """
        ...

    def zones(self, newsletter: str) -> Mapping[str | None, int]:
        """How many active readers chose which time zone, known here or not; None: none. Reads all of them."""
        ...

    def has_weekly(self, newsletter: str) -> bool:
        """Whether an active reader asked for the weekly edition. May be asked each minute."""
        ...


class RequestStore(Protocol):
    """What somebody asked for on a page, until it is answered, used or forgotten. Raises StoreError."""

    def add(
        self,
        newsletter: str,
        request: PageRequest,
        network: str,
        *,
        may_be_kept: Callable[[Counted], bool],
        counted_since: datetime,
        kept_since: datetime,
    ) -> bool:
        """Keep a request, unless its address or network asked too often since; what is too old is forgotten."""
        ...

    def forget_old(self, newsletter: str, kept_since: datetime) -> None:
        """Forget what is too old, though nobody asks for anything new."""
        ...

    def open(self, newsletter: str, since: datetime) -> list[PageRequest]:
        """Those that were neither mailed nor dropped, and are younger; the oldest first."""
        ...

    def mark(self, key: str, kind: AskedFor, *, now: datetime) -> bool:
        """Mark as mailed before the mail leaves; False when somebody else did, or it is gone."""
        ...

    def unmark(self, key: str) -> None:
        """The mail certainly did not go: it is open again."""
        ...

    def drop(self, key: str, *, now: datetime) -> bool:
        """Answer it by no mail."""
        ...

    def mailed_since(self, email: str, since: datetime) -> int:
        """How many mails went to an address, for any newsletter."""
        ...

    def find(self, newsletter: str, key: str) -> Asked | None:
        """The request that a link carries, beside who is known by its address."""
        ...

    def confirm(
        self,
        newsletter: str,
        key: str,
        *,
        may_act: Callable[[Asked], bool],
        is_done: Callable[[Asked], bool],
        consent_from: str | None,
        now: datetime,
    ) -> Asked | None:
        """Use a link: where it may act, its reader is active from now on, whatever kept them from being mailed.

        Returns how things stood before; None when there is no such request. One that has nothing to do is used up.
        """
        ...

    def of(self, email: str) -> list[tuple[str, PageRequest]]:
        """What is kept that was asked for in the name of an address: newsletter and request, the oldest first."""
        ...


class ManagingStore(Protocol):
    """Subscriptions as another program manages them, by the API. Raises StoreError."""

    def page(
        self, newsletter: str, *, state: SubscriberState | None, after: str | None, limit: int
    ) -> list[Subscriber] | None:
        """Those that came behind the one with the key `after`, in that order; None when nobody has that key."""
        ...

    def suppressed(self, newsletter: str, emails: Sequence[str]) -> set[str]:
        """Those of these addresses that must not be mailed."""
        ...

    def count(self, newsletter: str) -> dict[str, int]:
        """Subscribers by state."""
        ...

    def change(self, newsletter: str, key: str, changes: Mapping[str, Any], *, now: datetime) -> bool:
        """Change choices and the name of somebody pending or active; False when nobody of that key is."""
        ...

    def erase(self, newsletter: str, key: str, *, now: datetime) -> bool:
        """Forget a person in one newsletter, but for a suppression that names nobody; False when unknown."""
        ...


class TokenStore(Protocol):
    """Who may use the API, by the hash of a secret. Raises StoreError."""

    def add(self, newsletter: str, token: Token, hashed: str) -> None:
        """Keep a new one."""
        ...

    def find(self, newsletter: str, hashed: str) -> Token | None:
        """The one with that hash; None when there is none, it was revoked, or it is another newsletter's."""
        ...

    def everyone(self, newsletter: str) -> list[Token]:
        """All, the revoked ones too, the newest first."""
        ...

    def revoke(self, newsletter: str, number: str, *, now: datetime) -> bool:
        """End one for good; False when there is none of that id."""
        ...

    def note_use(self, number: str, *, now: datetime) -> None:
        """Remember when it was used last."""
        ...
