"""Every error that Digest raises on purpose.

    DigestError                 prints as  subject: message: cause
    ├── ConfigError             the operator's configuration or arguments; exit 2
    ├── SourceError             one source failed; a value: the other sources go on
    ├── ExtractError            a page has no article; the feed's own text is used instead
    ├── SummarizeError          no summary; the next summarizer, in the end the headline alone
    ├── RenderError             a template is missing or wrong; nothing is sent
    ├── TransportError          abstract: what happened when messages were handed over
    │   ├── Refused             never will be sent
    │   │   └── PolicyRefused   our mail is not wanted there: the edition stops, and no other provider gets it
    │   ├── Unavailable         certainly not sent: try again, or elsewhere
    │   └── Ambiguous           perhaps sent: never re-sent by machine
    ├── MailboxError            a mailbox cannot be read: of the inbox, then mail goes out all the same, or of a canary
    │   └── LoginRefused        it would not help to try again
    ├── StoreError              the database; the run stops
    │   ├── OtherRevision       it is of another version of Digest: somebody upgrades the one or the other
    │   └── StoreUnavailable    it cannot be reached or is locked now: trying again may help
    └── BadToken                a link that we did not sign; HTTP 4xx

No third-party exception leaves an adapter: each adapter maps what its library raises to one of these.
"""

from collections.abc import Sequence


class DigestError(Exception):
    """Something went wrong that Digest expected could."""

    def __init__(self, subject: str, message: str | None = None, *, remedy: str | None = None) -> None:
        """`subject` is what the error is about, `message` the fault, `remedy` what the reader can do."""
        # Only what `__init__` takes by position: an error must survive the way back from a worker process.
        super().__init__(subject, message)
        self.subject = subject
        self.message = message or (type(self).__doc__ or "").splitlines()[0].rstrip(".")
        self.remedy = remedy

    def __str__(self) -> str:
        """One line: subject, message, cause when there is one, and the remedy in brackets."""
        parts = [self.subject, self.message]
        cause = self.__cause__
        if cause is not None:
            parts.append(f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__)
        line = ": ".join(" ".join(part.split()) for part in parts if part)
        return f"{line} ({self.remedy})" if self.remedy else line


class ConfigError(DigestError):
    """The configuration cannot be used."""

    def __init__(
        self,
        subject: str,
        message: str | None = None,
        *,
        remedy: str | None = None,
        faults: Sequence[str] = (),
    ) -> None:
        """`faults` holds every fault of a file, a line each; `message` is then the first of them."""
        super().__init__(subject, message or (faults[0] if faults else None), remedy=remedy)
        self.faults = tuple(faults)


class SourceError(DigestError):
    """The source could not be collected."""

    def __init__(
        self,
        subject: str,
        message: str | None = None,
        *,
        remedy: str | None = None,
        status: int | None = None,
        wait_seconds: float | None = None,
    ) -> None:
        """`status` is the answer's, `wait_seconds` how long the source asks to be left alone (RFC 9110 §10.2.3)."""
        super().__init__(subject, message, remedy=remedy)
        self.status = status
        self.wait_seconds = wait_seconds

    def about(self, subject: str) -> "SourceError":
        """The same of another subject: what failed at an address is said of the source."""
        return SourceError(
            subject, self.message, remedy=self.remedy, status=self.status, wait_seconds=self.wait_seconds
        )


class ExtractError(DigestError):
    """No article was found in the page."""


class SummarizeError(DigestError):
    """No summary could be made."""

    def __init__(self, subject: str, message: str | None = None, *, remedy: str | None = None, kind: str = "") -> None:
        """`kind` is the sort of fault in a word or two, by which a run's report counts them."""
        super().__init__(subject, message, remedy=remedy)
        self.kind = kind


class RenderError(DigestError):
    """The edition could not be rendered."""


class TransportError(DigestError):
    """The messages could not be handed over."""


class Refused(TransportError):
    """The message was refused for good."""


class PolicyRefused(Refused):
    """The mail itself is not wanted, whoever hands it over."""


class Unavailable(TransportError):
    """Nothing was sent; try again later or elsewhere."""

    def __init__(
        self,
        subject: str,
        message: str | None = None,
        *,
        remedy: str | None = None,
        wait_seconds: float | None = None,
    ) -> None:
        """`wait_seconds` is how long the provider asks to be left alone, where it says so."""
        super().__init__(subject, message, remedy=remedy)
        self.wait_seconds = wait_seconds


class Ambiguous(TransportError):
    """The message may have been sent."""


class MailboxError(DigestError):
    """The mailbox cannot be used."""


class LoginRefused(MailboxError):
    """The login was refused."""


class StoreError(DigestError):
    """The database cannot be used."""


class StoreUnavailable(StoreError):
    """The database cannot be reached now."""


class OtherRevision(StoreError):
    """The database is of another version of Digest, or another one than the one that was opened."""


class BadToken(DigestError):
    """The link is not one that we signed."""
