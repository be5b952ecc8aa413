"""Errors: one line, and whole after a journey between processes."""

import pickle

import pytest

from digest import errors
from digest.errors import ConfigError, DigestError, SourceError


@pytest.mark.parametrize(
    "kind", [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, DigestError)]
)
def test_an_error_survives_the_way_back_from_a_worker_process(kind: type[DigestError]) -> None:
    error = kind("subject", "fault", remedy="remedy")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(again) is kind
    assert str(again) == str(error) == "subject: fault (remedy)"


def test_the_message_of_an_error_is_one_line_with_its_cause() -> None:
    def fail() -> None:
        try:
            raise OSError("no\n such thing")
        except OSError as error:
            raise SourceError("wire", "it cannot be\nread") from error

    with pytest.raises(SourceError) as caught:
        fail()
    assert str(caught.value) == "wire: it cannot be read: OSError: no such thing"


def test_without_a_message_the_kind_of_the_error_speaks() -> None:
    assert str(SourceError("wire")) == "wire: The source could not be collected"


def test_a_configuration_error_keeps_every_fault() -> None:
    error = pickle.loads(pickle.dumps(ConfigError("config.toml", faults=["one", "two"])))  # noqa: S301
    assert error.faults == ("one", "two")
    assert error.message == "one"
