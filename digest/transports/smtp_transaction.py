"""One message over an open connection: RSET where it is due, MAIL, RCPT, DATA, the content, and what decides."""

import contextlib
import smtplib
from collections.abc import Iterator

from digest.transports.smtp_connection import Connection, NotAllLeftError, Reply
from digest.transports.smtp_replies import WANTED, Code, Step

_RSET, _DATA, _DOT = b"RSET\r\n", b"DATA\r\n", b".\r\n"


class LostError(Exception):
    """The connection ended in this step, or the server is out of step with us."""

    def __init__(self, step: Step, words: str) -> None:
        """`step` says what is known of the message."""
        super().__init__(words)
        self.step = step


def hand_over(connection: Connection, mail: bytes, rcpt: bytes, content: bytes) -> tuple[Step, Reply]:
    """The reply that decides about a message, and what it answers. Raises LostError.

    `mail` and `rcpt` are whole commands, `content` has its dots doubled and the last one behind it. After a LostError,
    a reply that makes no sense or a 421, the connection is not to be used again.
    """
    refused = _open(connection, mail, rcpt)
    if refused:
        return refused
    step = Step.DATA
    try:
        connection.send(content)
        step = Step.CONTENT
        # It may look at the message for long (RFC 5321 §4.5.3.2.6), and giving up would leave it unknown.
        reply = connection.read_reply(is_patient=True)
    except NotAllLeftError as error:
        # Some servers say why, and hang up, before they have seen everything.
        with contextlib.suppress(smtplib.SMTPServerDisconnected):
            reply = connection.read_reply()
            connection.drop()
            if reply.is_failure:
                return step, reply
        raise LostError(step, str(error)) from None
    except smtplib.SMTPServerDisconnected as error:
        raise LostError(step, str(error)) from None
    connection.must_reset = False  # whatever it said: the end of the content ends the transaction
    return step, reply


def _open(connection: Connection, mail: bytes, rcpt: bytes) -> tuple[Step, Reply] | None:
    """The reply that refuses, None when the content may follow. Raises LostError.

    With PIPELINING (RFC 2920 §3.1) the server has DATA before it has refused MAIL or RCPT, and may say 354 all the
    same: then the dot alone follows, a message of nothing to nobody, and its reply is no outcome.
    """
    refused: tuple[Step, Reply] | None = None
    replies = _ask(connection, mail, rcpt)
    while True:
        try:
            step, reply = next(replies)
        except StopIteration:
            break
        except LostError:
            if refused:
                return refused
            raise
        if refused is None:
            if reply.code in WANTED[step]:
                continue
            refused = step, reply
            if not connection.is_pipelined or not reply.is_failure or reply.code == Code.CLOSING:
                return refused
        elif step is Step.DATA and reply.code == Code.GO_ON:
            _end(connection)
        elif reply.code == Code.CLOSING or not (reply.is_failure or reply.code in WANTED[step]):
            connection.drop()
            return refused
    if refused is None and connection.has_more:
        raise LostError(Step.DATA, "the server answers more than it was asked")
    return refused


def _ask(connection: Connection, mail: bytes, rcpt: bytes) -> Iterator[tuple[Step, Reply]]:
    """The replies to MAIL, RCPT and DATA, which are sent as far ahead as the server allows. Raises LostError."""
    reset = _RSET if connection.must_reset else b""
    step = Step.MAIL
    try:
        if connection.is_pipelined:
            connection.send(b"".join((reset, mail, rcpt, _DATA)))
        elif reset:
            connection.send(reset)
        if reset and connection.read_reply().code != Code.OK:
            raise LostError(step, "the server does not take RSET")
        connection.must_reset = True
        for step, command in ((Step.MAIL, mail), (Step.RCPT, rcpt), (Step.DATA, _DATA)):
            if not connection.is_pipelined:
                connection.send(command)
            yield step, connection.read_reply()
    except smtplib.SMTPServerDisconnected as error:
        raise LostError(step, str(error)) from None


def _end(connection: Connection) -> None:
    try:
        connection.send(_DOT)
        connection.read_reply()
    except smtplib.SMTPServerDisconnected:
        connection.drop()
