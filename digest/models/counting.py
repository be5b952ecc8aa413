"""What is counted of an edition, where the operator wants it: by nobody's name."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

CountKind = Literal["open", "click"]


class MadeBy(StrEnum):
    """Who most likely asked for a link or a picture."""

    PERSON = "person"
    SCANNER = "scanner"  # a filter or a preview of links that follows everything
    PREFETCHER = "prefetcher"  # a program that fetches what may be wanted
    PROXY = "proxy"  # a mailbox that fetches pictures itself, whoever reads, and when


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """One request for a link or the picture of an edition. `network` is an address, and a keyed hash once stored."""

    edition: int
    kind: CountKind
    link: int | None  # a number made of the link's address; None of an open
    made_by: MadeBy
    network: str
    at: datetime
    id: int = 0  # the store's own key; 0 before it is stored
