"""What a server's reply means for one message, and for all others."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from digest.errors import PolicyRefused, Refused
from digest.models import DeliveryState
from digest.transports.smtp_connection import Reply


class Code(IntEnum):
    """Replies that are looked for (RFC 5321 §4.2.3)."""

    OK = 250
    FORWARDED = 251
    GO_ON = 354
    CLOSING = 421


class Step(StrEnum):
    """Where a transaction stands: what the server was asked last."""

    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    CONTENT = "content"  # all of it has left, and the dot that ends it


WANTED = {
    Step.MAIL: frozenset({Code.OK}),
    Step.RCPT: frozenset({Code.OK, Code.FORWARDED}),
    Step.DATA: frozenset({Code.GO_ON}),
    Step.CONTENT: frozenset({Code.OK}),
}
_LOGIN = frozenset({530, 534, 535, 538})  # RFC 4954 §6: it wants us to log in, or to encrypt before that
_SIZE = frozenset({"5.2.3", "5.3.4"})  # RFC 3463 §3.3-3.4: longer than the mailbox, or than the server, takes
_SENDER = frozenset({"5.1.7", "5.1.8"})  # the sender's address has bad syntax, or its system cannot be found
_TOO_BIG = 552


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of a message.

    `fault` is the error for the whole edition when the reply is not about this reader: then nobody was refused.
    `is_server` says that the server is in trouble, not the reader: when that happens again it is better left alone.
    """

    state: DeliveryState
    fault: type[Refused] | None = None
    remedy: str | None = None
    is_server: bool = False


def judge(step: Step, reply: Reply) -> Verdict:
    """The meaning of the reply that decided about a message."""
    code = reply.code
    if code in WANTED[step]:
        return Verdict(state=DeliveryState.ACCEPTED if step is Step.CONTENT else DeliveryState.DEFERRED)
    if 500 <= code < 600:
        return _judge_refusal(step, reply)
    if reply.is_failure:
        return Verdict(state=DeliveryState.DEFERRED, is_server=step is Step.MAIL or code == Code.CLOSING)
    return lost(step)


def lost(step: Step) -> Verdict:
    """What is known of a message whose fate was not told: until all its content left, it certainly was not taken.

    A server has to forget a message whose end it did not see (RFC 5321 §4.1.1.10).
    """
    if step is Step.CONTENT:
        return Verdict(state=DeliveryState.UNKNOWN)
    return Verdict(state=DeliveryState.DEFERRED, is_server=True)


def _judge_refusal(step: Step, reply: Reply) -> Verdict:
    """RFC 3463 §3.8: 5.7.x speaks of the sender's right to send; at RCPT it may be one mailbox's own rule.

    What is said of MAIL is never about the reader, nor is the wish that we log in.
    """
    if reply.code in _LOGIN:
        remedy = "check [transport] username and tls, and DIGEST_SMTP_PASSWORD"
        return Verdict(state=DeliveryState.DEFERRED, fault=Refused, remedy=remedy)
    is_policy = reply.status.startswith("5.7.")
    if step is Step.MAIL or (is_policy and step is not Step.RCPT):
        fault = PolicyRefused if is_policy else Refused
        return Verdict(state=DeliveryState.DEFERRED, fault=fault, remedy=_advise(reply))
    return Verdict(state=DeliveryState.REFUSED)


def _advise(reply: Reply) -> str | None:
    if reply.status.startswith("5.7."):
        return "ask the server's operator what is wrong with this mail before it is sent again"
    if reply.status in _SIZE or reply.code == _TOO_BIG:
        return "make the edition smaller: fewer or shorter stories"
    if reply.status in _SENDER:
        return "check [newsletter] sender, and [inbox] where there is one"
    return None
