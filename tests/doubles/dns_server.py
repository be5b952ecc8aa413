"""A DNS server on loopback that knows what a test tells it."""

import socket
import threading
from collections.abc import Collection

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


class DnsServer:
    """Answers over UDP; a name that it does not know is none. Enter it."""

    def __init__(
        self, records: dict[tuple[str, str], list[str]], *, is_dead: bool = False, dead: Collection[str] = ()
    ) -> None:
        """`records` by name and type, as in a zone file; a dead one answers nobody, and of `dead` names nothing."""
        self.records = records
        self.asked: list[tuple[str, str]] = []
        self._is_dead, self._dead = is_dead, dead
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._socket.getsockname()

    def __enter__(self) -> "DnsServer":
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
            ours.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            query, client = self._socket.recvfrom(4096)
            if not query:
                return
            asked = dns.message.from_wire(query)
            (question,) = asked.question
            name, kind = str(question.name).rstrip("."), dns.rdatatype.to_text(question.rdtype)
            self.asked.append((name, kind))
            reply = dns.message.make_response(asked)
            found = self.records.get((name, kind))
            if self._is_dead or name in self._dead:
                reply.set_rcode(dns.rcode.SERVFAIL)
            elif found is not None:
                texts = [f'"{text}"' if kind == "TXT" else text for text in found]
                reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *texts))
            elif not any(known == name for known, _ in self.records):
                reply.set_rcode(dns.rcode.NXDOMAIN)
            self._socket.sendto(reply.to_wire(), client)
