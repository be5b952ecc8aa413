"""Who asks, behind proxies too; and how often one network may."""

import pytest

from digest.web.clients import find_client, is_among, network_around, read_networks
from digest.web.limiting import Limits, RateLimit

PROXIES = read_networks(["10.0.0.0/8", "127.0.0.1", "fd00::/8"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("198.51.100.7", [], "198.51.100.7"),
        ("198.51.100.7", ["203.0.113.9"], "198.51.100.7"),  # no proxy of ours: whoever likes can send that header
        ("10.0.0.3", [], "10.0.0.3"),
        ("10.0.0.3", [""], "10.0.0.3"),
        ("10.0.0.3", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.3", ["198.51.100.7, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.3", ["198.51.100.7, 203.0.113.9, 10.0.0.9"], "203.0.113.9"),
        ("10.0.0.3", ["198.51.100.7", "203.0.113.9", "10.0.0.9"], "203.0.113.9"),
        ("10.0.0.3", ["10.0.0.8, 10.0.0.9"], "10.0.0.8"),
        ("10.0.0.3", ["203.0.113.9:4711"], "203.0.113.9"),
        ("10.0.0.3", ['"[2001:DB8::1]:4711"'], "2001:db8::1"),
        ("10.0.0.3", ["[2001:db8::1]"], "2001:db8::1"),
        ("10.0.0.3", ["2001:db8::1"], "2001:db8::1"),
        ("10.0.0.3", ["fe80::1%eth0"], "fe80::1"),
        ("10.0.0.3", ["::ffff:203.0.113.9"], "203.0.113.9"),
        ("::ffff:10.0.0.3", ["203.0.113.9"], "203.0.113.9"),
        ("::ffff:203.0.113.9", ["198.51.100.7"], "203.0.113.9"),
        ("fd00::1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.3", ["198.51.100.7, unknown"], "10.0.0.3"),
        ("10.0.0.3", ["198.51.100.7, _hidden, 10.0.0.9"], "10.0.0.9"),
        ("10.0.0.3", ["198.51.100.7,"], "10.0.0.3"),
        ("10.0.0.3", ["999.1.1.1"], "10.0.0.3"),
        ("10.0.0.3", ["127.1"], "10.0.0.3"),
        ("10.0.0.3", ["\x00" * 3000], "10.0.0.3"),
        ("", ["203.0.113.9"], ""),
        ("testclient", ["203.0.113.9"], ""),
    ],
)
def test_the_client_is_the_right_most_that_is_no_proxy_of_ours(peer: str, forwarded: list[str], client: str) -> None:
    assert find_client(peer, forwarded, PROXIES) == client


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("198.51.100.7", "198.51.100.0/24"),
        ("::ffff:198.51.100.7", "198.51.100.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("", ""),
        ("nonsense", ""),
    ],
)
def test_neighbours_count_together(address: str, network: str) -> None:
    assert network_around(address) == network


def test_a_configured_address_is_a_network_of_one() -> None:
    assert is_among("127.0.0.1", PROXIES)
    assert not is_among("127.0.0.2", PROXIES)
    assert not is_among("nonsense", PROXIES)


def test_each_network_and_each_kind_counts_by_itself() -> None:
    rates = RateLimit({**Limits().minutely, "form": 2})
    assert [rates.take("form", "a") > 0 for _ in range(3)] == [False, False, True]
    assert rates.take("form", "b") == 0
    assert rates.take("page", "a") == 0


def test_a_flood_from_everywhere_takes_no_memory_without_end() -> None:
    rates = RateLimit(Limits().minutely, most_networks=50)
    for number in range(500):
        assert rates.take("page", f"2001:db8:{number:x}::/48") == 0
    assert len(rates._storage.events) <= 51
