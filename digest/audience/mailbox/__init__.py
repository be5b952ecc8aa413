"""A mail that came back → what it is, and what it says of which delivery.

    bytes ──read_mail──> headers and parts ──sort_mail──> Sorted: bounce, complaint, leave, auto, or a person's

Everything in it was written by a stranger, From included. So nobody is ever named by an address that stands in a mail:
only by what we made and nobody guesses, which is a delivery's send key (in the envelope address that it was sent from,
or in the Message-ID of the mail that comes back) or the signed token of a reader's own link. What names nobody in this
way stays where it is, for people.
"""

from digest.audience.mailbox.sorting import MailKind, Sorted, Terms, sort_mail

__all__ = ["MailKind", "Sorted", "Terms", "sort_mail"]
