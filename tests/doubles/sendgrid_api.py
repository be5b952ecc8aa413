"""SendGrid on loopback: mail/send judges a request by the documented limits and builds each reader's message from it;
the suppression lists are kept, and the Email Activity tells of what was delivered."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit

from tests.doubles.sendgrid_activity import ActivityDouble

# The lists, with what a row of each has beside address and time.
LISTS: dict[str, dict[str, str]] = {
    "bounces": {"reason": "550 5.1.1 no such user", "status": "5.1.1"},
    "blocks": {"reason": "error dialing remote address", "status": "4.0.0"},
    "invalid_emails": {"reason": "Mail domain mentioned in email address is unknown"},
    "spam_reports": {"ip": "192.0.2.7"},
    "unsubscribes": {},
}
_RESERVED = {
    "x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding",
    "to", "from", "subject", "reply-to", "cc", "bcc",
}  # fmt: skip


@dataclass(frozen=True)
class Delivered:
    """A message as the service would deliver it."""

    email: str
    send_key: str
    person: dict[str, Any] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def message(self) -> EmailMessage:
        """Built when it is looked at: a thousand take seconds."""
        return build_message(self.request, self.person)


class SendGridDouble:
    """`with SendGridDouble() as api: api.url, api.api_key, api.requests, api.delivered`; methods may be overridden.

    `answer` may replace what is done with a valid request: "accept" (202), a status, a status and its body,
    "drop" (hangs up), "stall" (no answer), "garbage" (no HTTP), and the same with "accept-and-" before it, or such a
    status, as in "accept-and-502": that takes it first.
    """

    KEY = "SG.loopback-key"

    def __init__(self, *, answer: Callable[[int], str | int | tuple[int, object]] = lambda number: "accept") -> None:
        self.api_key = self.KEY
        self.requests: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.delivered: list[Delivered] = []
        self.connections = 0
        self.lists: dict[str, dict[str, int]] = {name: {} for name in LISTS}  # address → when it came there
        self.asked: list[tuple[str, str, Any]] = []  # of the lists: method, path and body
        self.erased: list[str] = []
        self.refusals: list[tuple[int, dict[str, str]]] = []  # given to the next requests about lists, instead
        self.activity = ActivityDouble()
        self.answer = answer
        self._lock = threading.Lock()
        self.stalling = threading.Event()  # a request has been dealt with, and its answer is held back
        self._released = threading.Event()
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                double.connections += 1

            def finish(self) -> None:
                super().finish()
                double.close()

            def do_GET(self) -> None:
                if self.headers["Authorization"] != f"Bearer {double.api_key}":
                    self._reply(401, {"errors": [{"message": "authorization required"}]})
                elif self.path == "/v3/scopes":
                    self._reply(200, {"scopes": ["mail.send"]})
                elif self.path.startswith(("/v3/suppression/", "/v3/asm/")):
                    self._deal_with_lists("GET", None)
                elif self.path.startswith("/v3/messages"):
                    known = [(one.send_key, one.email) for one in double.delivered]
                    status, content, headers = double.activity.answer(self.path, known)
                    self._reply(status, content, headers)
                else:
                    self._reply(404, {})

            def do_POST(self) -> None:
                body = double.receive(self.rfile, int(self.headers["Content-Length"]))
                if self.headers["Authorization"] != f"Bearer {double.api_key}":
                    return self._reply(401, {"errors": [{"message": "authorization required"}]})
                if self.path.startswith("/v3/asm/"):
                    return self._deal_with_lists("POST", json.loads(body))
                if self.path == "/v3/recipients/erasejob":
                    return self._erase(json.loads(body)["email_addresses"])
                if self.path != "/v3/mail/send" or self.headers["Content-Type"] != "application/json":
                    return self._reply(404, {"errors": [{"message": "not found"}]})
                fault = judge(body)
                if fault:
                    return self._reply(fault[0], {"errors": [{"message": fault[1]}]})
                request = json.loads(body)
                with double._lock:
                    number = len(double.requests)
                    what = double.answer(number)
                    double.requests.append(request)
                    double.bodies.append(body)
                    if str(what).startswith("accept"):
                        double.take(request)
                if what == "accept":
                    # In the sandbox nothing is queued, and the answer is another.
                    sandbox = request.get("mail_settings", {}).get("sandbox_mode", {}).get("enable")
                    return self._reply(200 if sandbox else 202, None, {"X-Message-Id": f"request-{number + 1}"})
                if str(what).endswith("stall"):
                    double.stalling.set()
                    double.hold(self.rfile)
                if str(what).endswith("garbage"):
                    self.wfile.write(b"+OK who is there?\r\n\r\n")
                words, _, status = str(what).rpartition("-")
                if words == "accept-and" and status.isdigit():
                    return self._reply(int(status), {"errors": [{"message": f"told to say {status}"}]})
                if isinstance(what, tuple):
                    return self._reply(*what)
                if isinstance(what, int):
                    reset = {"X-RateLimit-Reset": "1900000000"} if what == 429 else {}
                    return self._reply(what, {"errors": [{"message": f"told to say {what}"}]}, reset)
                self.close_connection = True
                return None

            def do_DELETE(self) -> None:
                length = int(self.headers["Content-Length"] or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                if self.headers["Authorization"] != f"Bearer {double.api_key}":
                    return self._reply(401, {"errors": [{"message": "authorization required"}]})
                return self._deal_with_lists("DELETE", body)

            def _deal_with_lists(self, method: str, body: Any) -> None:
                double.asked.append((method, self.path, body))
                if self._refuse():
                    return None
                status, content = change_lists(double.lists, method, self.path, body)
                return self._reply(status, content)

            def _refuse(self) -> bool:
                if not double.refusals:
                    return False
                status, headers = double.refusals.pop(0)
                self._reply(status, {"errors": [{"message": f"told to say {status}"}]}, headers)
                return True

            def _erase(self, emails: list[str]) -> None:
                if self._refuse():
                    return None
                double.erased += emails
                return self._reply(202, {"job_id": "12a975bd-c742-4713-8f47-cb3ae4e56c74"})

            def _reply(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
                body = b"" if content is None else json.dumps(content).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def get_request(self) -> Any:
                connection = super().get_request()
                double.open()
                return connection

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def __enter__(self) -> "SendGridDouble":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def open(self) -> None:
        """A connection has come."""

    def close(self) -> None:
        """A connection has ended."""

    def receive(self, stream: BinaryIO, length: int) -> bytes:
        """The body of a request."""
        return stream.read(length)

    def take(self, request: dict[str, Any]) -> None:
        """Answer for a request: its messages are on their way."""
        self.delivered += deliver(request)

    def hold(self, stream: BinaryIO) -> None:
        """Give no answer, for as long as the test runs."""
        self._released.wait(60)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_port}"


def change_lists(lists: dict[str, dict[str, int]], method: str, path: str, body: Any) -> tuple[int, object]:
    """What the service answers about its suppression lists."""
    parts, query = urlsplit(path).path.split("/")[2:], parse_qs(urlsplit(path).query)
    match method, parts:
        case "GET", ["suppression", name] if name in lists:
            limit, offset = int(query["limit"][0]), int(query["offset"][0])
            if not 1 <= limit <= 500:
                return 400, {"errors": [{"message": "limit"}]}
            rows = list(lists[name].items())[offset : offset + limit]
            return 200, [{"email": email, "created": at, **LISTS[name]} for email, at in rows]
        case "POST", ["asm", "suppressions", "global"]:
            lists["unsubscribes"] |= {email: int(time.time()) for email in body["recipient_emails"]}
            return 201, {"recipient_emails": body["recipient_emails"]}
        case "DELETE", ["asm", "suppressions", "global", email]:
            return (204, None) if lists["unsubscribes"].pop(unquote(email), None) else (404, {})
        case "DELETE", ["suppression", name] if name in lists:
            if not body.get("emails") or body.get("delete_all"):
                raise AssertionError("this would empty the list")
            for email in body["emails"]:
                lists[name].pop(email, None)
            return 204, None
    return 404, {"errors": [{"message": "not found"}]}


def judge(body: bytes) -> tuple[int, str] | None:
    """The status and words of what is wrong with a request; None when it is taken."""
    if len(body) > 31_457_280:
        return 413, "payload too large"
    try:
        request = json.loads(body)
    except ValueError:
        return 400, "bad request"
    people = request.get("personalizations") or []
    addresses = [party["email"].casefold() for p in people for kind in ("to", "cc", "bcc") for party in p.get(kind, [])]
    kinds = [part.get("type") for part in request.get("content") or []]
    names = [party.get("name", "") for p in people for party in p.get("to", [])]
    headers = [name.lower() for holder in [request, *people] for name in holder.get("headers", {})]
    faults = {
        "the personalizations field is required": not people or not all(p.get("to") for p in people),
        "too many personalizations": len(people) > 1000,
        "too many recipients": len(addresses) > 1000,
        "each email address must be unique": len(set(addresses)) != len(addresses),
        "from is required and ASCII": not request.get("from", {}).get("email", "").isascii() or not request.get("from"),
        "the subject is required": not request.get("subject"),
        "the content is required": not kinds or not all(part.get("value") for part in request["content"]),
        "text/plain must be first": kinds != sorted(kinds, key=lambda kind: kind != "text/plain"),
        "a header is reserved": bool(_RESERVED.intersection(headers)),
        "a display name has , or ;": any("," in name or ";" in name for name in names),
        "substitutions are too large": any(len(json.dumps(p.get("substitutions", {}))) > 10_000 for p in people),
        "custom_args are too large or no strings": any(
            len(json.dumps(p.get("custom_args", {}))) > 10_000
            or not all(isinstance(v, str) for v in p.get("custom_args", {}).values())
            for p in people
        ),
        "too many categories": len(request.get("categories", [])) > 10,
    }
    return next(((400, words) for words, is_so in faults.items() if is_so), None)


def deliver(request: dict[str, Any]) -> list[Delivered]:
    """Each reader's message."""
    return [
        Delivered(person["to"][0]["email"], person["custom_args"]["send_key"], person, request)
        for person in request["personalizations"]
    ]


def build_message(request: dict[str, Any], person: dict[str, Any]) -> EmailMessage:
    """A reader's message, substitutions applied."""
    replace = person.get("substitutions", {})

    def fill(text: str) -> str:
        for tag, value in replace.items():
            text = text.replace(tag, value)
        return text

    message = EmailMessage(policy=SMTP.clone(max_line_length=998))
    message["From"] = f"{request['from'].get('name', '')} <{request['from']['email']}>"
    message["To"] = person["to"][0]["email"]
    message["Subject"] = fill(request["subject"])
    for name, value in {**request.get("headers", {}), **person.get("headers", {})}.items():
        message[name] = value
    plain, html = (part["value"] for part in request["content"])
    message.set_content(fill(plain))
    message.add_alternative(fill(html), subtype="html")
    return message
