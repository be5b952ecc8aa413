"""A drill's verdict, what arrived held against the ledger; and how it is ended."""

import signal
from collections import Counter
from collections.abc import Iterator

import pytest

from digest.cli.drilling import read_sink
from digest.errors import ConfigError
from digest.operate.drill_hunter import held_back
from digest.operate.drill_verdict import compare, list_arrived

READERS = ["a@x", "b@x", "c@x"]


def test_the_promise_holds_when_each_is_accepted_and_arrived_or_named() -> None:
    ledger = {"a@x": "accepted", "b@x": "unknown", "c@x": "skipped"}
    for arrived in (Counter({"a@x": 1}), Counter({"a@x": 1, "b@x": 1})):
        compared = compare(arrived, ledger, READERS)
        assert compared.faults(1) == []
        assert (compared.accepted, compared.unknown, compared.left_out) == ({"a@x"}, {"b@x"}, {"c@x"})
        assert len(compared.unknown_arrived) == arrived["b@x"]


@pytest.mark.parametrize("state", ["accepted", "unknown"])
def test_somebody_who_got_it_twice_breaks_it_whatever_the_ledger_says(state: str) -> None:
    ledger = {"a@x": state, "b@x": "accepted", "c@x": "accepted"}
    compared = compare(Counter({"a@x": 2, "b@x": 1, "c@x": 1}), ledger, READERS)
    assert compared.twice == {"a@x"}
    assert compared.faults(3) == ["1 got it more than once: a@x"]


def test_who_was_accepted_and_never_arrived_is_lost() -> None:
    compared = compare(Counter({"b@x": 1, "c@x": 1}), dict.fromkeys(READERS, "accepted"), READERS)
    assert compared.lost == {"a@x"}
    assert compared.faults(0)


@pytest.mark.parametrize("state", ["planned", "claimed", "attempted", "deferred", None])
def test_who_is_in_no_state_that_names_them_is_lost(state: str | None) -> None:
    ledger = {"b@x": "accepted", "c@x": "accepted"} | ({"a@x": state} if state else {})
    compared = compare(Counter({"b@x": 1, "c@x": 1}), ledger, READERS)
    assert compared.lost == {"a@x"}


@pytest.mark.parametrize("state", ["planned", "refused", "skipped", "deferred"])
def test_who_has_it_against_the_ledgers_word_is_a_fault(state: str) -> None:
    compared = compare(Counter(READERS), {"a@x": state, "b@x": "accepted", "c@x": "accepted"}, READERS)
    assert compared.denied == {"a@x"}
    assert compared.faults(0)


def test_more_unknown_than_kills_explain_and_strangers_are_faults() -> None:
    ledger = {"a@x": "unknown", "b@x": "unknown", "c@x": "accepted"}
    compared = compare(Counter({"c@x": 1, "who@x": 1}), ledger, READERS)
    assert compared.faults(2) == ["1 got it and are no subscribers: who@x"]
    assert compared.faults(1)[1:] == ["2 are unknown, where 1 may be"]


def test_a_list_of_what_arrived_is_counted() -> None:
    assert list_arrived("a@x\nb@x\na@x\n") == {"a@x": 2, "b@x": 1}


def test_a_sink_is_on_this_machine_or_its_network() -> None:
    assert read_sink("127.0.0.1:2525") == ("127.0.0.1", 2525)
    assert read_sink("[::1]:2525") == ("::1", 2525)
    assert read_sink("10.1.2.3:25") == ("10.1.2.3", 25)
    for wrong in ("127.0.0.1", ":25", "127.0.0.1:0", "127.0.0.1:99999", "127.0.0.1:x", "8.8.8.8:25"):
        with pytest.raises(ConfigError):
            read_sink(wrong)


@pytest.fixture
def interrupt() -> Iterator[None]:
    """SIGTERM ends as Ctrl-C does; which itself may be ignored where tests run."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    assert signal.signal(signal.SIGTERM, before) is signal.default_int_handler


@pytest.mark.usefixtures("interrupt")
def test_who_ends_a_drill_while_a_sender_starts_ends_it_when_it_has_started() -> None:
    started = []

    def start() -> None:
        with held_back():
            signal.raise_signal(signal.SIGTERM)
            started.append("a sender")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert started


@pytest.mark.usefixtures("interrupt")
def test_a_sender_that_cannot_be_started_says_why() -> None:
    with pytest.raises(OSError, match="no process"), held_back():
        raise OSError("no process")
