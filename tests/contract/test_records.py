"""The DNS by a real one: texts in parts, names that are not there, and servers that do not answer."""

import pytest

from digest.records import UnansweredError, make_ask
from tests.doubles.dns_server import DnsServer


def test_a_text_in_parts_is_one_and_what_the_dns_does_not_know_is_no_record() -> None:
    with DnsServer({("there.test", "TXT"): ["v=spf1 -all", 'v=DKIM1; k=rsa; p=AA" "BB']}) as server:
        ask = make_ask([server.address])
        assert sorted(ask("there.test", "TXT")) == ["v=DKIM1; k=rsa; p=AABB", "v=spf1 -all"]
        assert ask("there.test", "MX") == ask("missing.test", "TXT") == []


def test_a_dns_that_does_not_answer_is_told_apart_from_one_that_knows_of_nothing() -> None:
    with DnsServer({}, is_dead=True) as server, pytest.raises(UnansweredError):
        make_ask([server.address])("there.test", "TXT")
