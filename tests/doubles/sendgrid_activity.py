"""SendGrid's Email Activity on loopback: what was delivered, found by a query, as its OpenAPI document has it."""

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_CLAUSE = re.compile(r"""\(unique_args\['send_key'\]="([^"]*)"\)""")
_AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


@dataclass
class ActivityDouble:
    """What the service keeps, and whether the account may see it. `refusals` are given first, each once."""

    is_paid: bool = True
    statuses: dict[str, str] = field(default_factory=dict)  # by send_key; what has none is "processed"
    events: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # by send_key: name and reason
    hidden: set[str] = field(default_factory=set)  # send_keys that are not in the records yet
    refusals: list[tuple[int, dict[str, str], object]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)  # paths
    at: datetime = _AT  # of every last event

    def answer(self, path: str, delivered: list[tuple[str, str]]) -> tuple[int, object, dict[str, str]]:
        """The status, content and headers for a path; `delivered` is each send_key and address."""
        self.asked.append(path)
        if not self.is_paid:
            return 403, {"errors": [{"field": None, "message": "access forbidden"}]}, {}
        if self.refusals:
            status, headers, content = self.refusals.pop(0)
            return status, content, headers
        parts, query = urlsplit(path).path.split("/")[3:], parse_qs(urlsplit(path).query)
        known = {f"{key}.recvd-1-0": (key, email) for key, email in delivered if key not in self.hidden}
        if len(path) > 8000:
            return 414, {"errors": [{"message": "the address is too long"}]}, {}
        if parts:
            name = unquote(parts[0])
            return (200, self._tell(name, *known[name]), {}) if name in known else (404, {"errors": []}, {})
        limit, asked = int(query.get("limit", ["10"])[0]), query.get("query", [""])[0]
        keys = _CLAUSE.findall(asked)
        if not 1 <= limit <= 1000 or " OR ".join(f"(unique_args['send_key']=\"{key}\")" for key in keys) != asked:
            return 400, {"errors": [{"message": "invalid syntax"}]}, {}
        found = [(name, key, email) for name, (key, email) in known.items() if key in keys]
        return 200, {"messages": [self._list(*one) for one in found[:limit]]}, {}

    def _list(self, name: str, key: str, email: str) -> dict[str, Any]:
        return {
            "from_email": "brief@news.test",
            "msg_id": name,
            "subject": "A subject",
            "to_email": email,
            "status": self.statuses.get(key, "processed"),
            "opens_count": 0,
            "clicks_count": 0,
            "last_event_time": self.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def _tell(self, name: str, key: str, email: str) -> dict[str, Any]:
        row = {name: said for name, said in self._list(name, key, email).items() if not name.endswith("_count")}
        events = [
            {
                "event_name": kind,
                "processed": f"2026-03-02T09:00:{number:02}Z",
                "reason": reason,
                "bounce_type": "hard",
                "http_user_agent": "",
                "mx_server": "mx.far.test",
            }
            for number, (kind, reason) in enumerate(self.events.get(key, []))
        ]
        return {
            **row,
            "template_id": "",
            "asm_group_id": 1,
            "teammate": "",
            "api_key_id": "abcdef",
            "events": events,
            "originating_ip": "192.0.2.1",
            "categories": ["digest"],
            "unique_args": json.dumps({"send_key": key}),
            "outbound_ip": "192.0.2.2",
            "outbound_ip_type": "shared",
        }
