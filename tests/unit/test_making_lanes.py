"""[transport] → lanes: what each may do, and by which name all processes know it."""

from datetime import date
from pathlib import Path

from digest.config import load_config
from digest.decisions import make_lanes, make_limits
from digest.deliver import WarmUp

NEWSLETTER = '[newsletter]\nname = "M"\nslug = "m"\nsender = "M <m@example.com>"\n'
TABLES = """
[transport]
kind = "smtp"
host = "one.example"
per_hour = 500
domains = { "Slow.Example" = "1/s", "bücher.example" = "2/s" }
fallback = [
  { kind = "smtp", host = "two.example", port = 25, connections = 1, per_domain = "off" },
  { kind = "sendgrid", rate = "1000/s" },
  { kind = "outbox" },
  { kind = "tests.unit.test_making_lanes:make", connections = "many" },
]
[transport.warm_up]
start = 2026-03-01
[breakers]
after = 7
"""


class Own:
    """An adapter of the operator's."""

    name, batch_size = "own", 1

    def __init__(self, connections: str) -> None:
        self.connections = connections


def make(connections: str) -> Own:
    """Its factory."""
    return Own(connections)


def test_each_table_is_a_lane(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(NEWSLETTER + TABLES, encoding="utf-8")
    config = load_config(path, {"DIGEST_SENDGRID_API_KEY": "k"})
    first, second, third, outbox, own = lanes = make_lanes(config)
    assert [lane.name for lane in lanes] == [
        "smtp one.example:587",
        "smtp two.example:25",
        "sendgrid https://api.sendgrid.com",
        "outbox",
        "tests.unit.test_making_lanes:make",
    ]
    # Of two servers, the ledger must say which it was.
    assert [lane.label for lane in lanes] == ["smtp one.example:587", "smtp two.example:25", "", "", ""]
    assert [lane.connections for lane in lanes] == [4, 1, 1, 1, 1]
    assert [lane.per_domain for lane in lanes] == [20, None, 400, None, 20]
    assert first.domains == {"slow.example": 1.0, "xn--bcher-kva.example": 2.0}
    assert (first.per_hour, second.per_hour) == (500, None)
    assert first.warm_up == WarmUp(start=date(2026, 3, 1), first=200, growth=1.5, until=100_000)
    assert (third.rate, outbox.warm_up) == (1000.0, None)
    assert own.connect
    assert own.connect() is not own.transport
    assert make_limits(config).after == 7
    for lane in lanes[:4]:
        lane.transport.close()
