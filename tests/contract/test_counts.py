"""Opens and clicks in the store: once a minute, by nobody's name, and a network for one day only."""

from dataclasses import replace
from datetime import timedelta

import pytest

from digest.errors import StoreError
from digest.models import Count, MadeBy
from digest.stores.sql import SqlStore
from tests.contract.editions import NOW, save_edition

MINUTE, WITHIN = timedelta(minutes=1), timedelta(seconds=10)


def click(edition: int, link: int = 1, *, after: timedelta = timedelta(), **changes: object) -> Count:
    one = Count(edition=edition, kind="click", link=link, made_by=MadeBy.PERSON, network="192.0.2.7", at=NOW + after)
    return replace(one, **changes)  # type: ignore[arg-type]


def test_the_same_once_more_within_a_minute_counts_once(store: SqlStore) -> None:
    edition = save_edition(store).id
    seen = [click(edition), click(edition), click(edition, after=timedelta(seconds=59)), click(edition, 2)]
    seen += [click(edition, after=timedelta(seconds=61)), click(edition, made_by=MadeBy.SCANNER)]
    seen += [replace(click(edition), kind="open", link=None)] * 2
    store.counts.add(seen, again=MINUTE, within=WITHIN)
    assert store.counts.tally(edition) == {
        ("click", 1, MadeBy.PERSON): 2,
        ("click", 2, MadeBy.PERSON): 1,
        ("click", 1, MadeBy.SCANNER): 1,
        ("open", None, MadeBy.PERSON): 1,
    }


def test_what_a_network_asked_for_shortly_before_is_told_and_may_be_judged_anew(store: SqlStore) -> None:
    edition = save_edition(store).id
    store.counts.add([click(edition, 1)], again=MINUTE, within=WITHIN)
    near = store.counts.add([click(edition, 2, after=timedelta(seconds=9))], again=MINUTE, within=WITHIN)
    assert [one.link for one in near] == [1, 2]
    store.counts.reclassify([one.id for one in near], MadeBy.SCANNER)
    assert {made_by for _, _, made_by in store.counts.tally(edition)} == {MadeBy.SCANNER}
    assert store.counts.add([click(edition, 3, network="192.0.2.8")], again=MINUTE, within=WITHIN)[0].link == 3


def test_a_network_is_a_hash_that_is_another_the_next_day(store: SqlStore) -> None:
    edition = save_edition(store).id
    names = [
        store.counts.add([click(edition, link, after=after)], again=MINUTE, within=WITHIN)[-1].network
        for link, after in ((1, timedelta()), (2, timedelta(hours=1)), (3, timedelta(days=1)))
    ]
    assert names[0] == names[1] != names[2]
    assert not any("192" in name[:3] for name in names)
    # What was seen right before midnight, and is kept right after it, brings no old key back.
    late = store.counts.add([click(edition, 4)], again=MINUTE, within=WITHIN)[-1]
    assert late.network == names[2]


def test_a_count_of_no_edition_is_a_fault_of_the_store_and_nothing_is_kept(store: SqlStore) -> None:
    with pytest.raises(StoreError):
        store.counts.add([click(99)], again=MINUTE, within=WITHIN)
    assert store.counts.add([], again=MINUTE, within=WITHIN) == []
