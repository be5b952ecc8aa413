"""A newsletter that the world knows below a path of a site: every link and form of its pages stays there."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest

from digest.models import Subscriber, SubscriberState
from tests.acceptance.pages import NOW, Pages, serving_pages

ADA = "ada@rehearsal.test"


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    with serving_pages(tmp_path, below="/letters") as served:
        yield served


def follow(pages: Pages, at: str, page: str) -> list[str]:
    """Where a page leads, links and forms, by whole address."""
    leads = re.findall(r'<(?:a|link)\b[^>]*\shref="([^"#][^"]*)"', page)
    leads += re.findall(r'<form\b[^>]*\saction="([^"]*)"', page)
    whole = [urljoin(at, lead) for lead in leads if not lead.startswith(("data:", "mailto:"))]
    assert whole
    assert [one for one in whole if not one.startswith(f"{pages.url}/morning/")] == []
    return whole


def test_the_way_from_subscribing_to_leaving_stays_below_it(pages: Pages) -> None:
    start = f"{pages.url}/morning/subscribe"
    (action,) = {one for one in follow(pages, start, pages.ask(start)[1]) if one == start}
    status, asked, _ = pages.ask(action, [("key", pages.form_key()), ("email", ADA)])
    assert status == 200
    follow(pages, action, asked)
    (link,) = pages.links_of(pages.answer()[0])
    follow(pages, link, pages.ask(link)[1])
    confirmed = pages.ask(link, [])[1]
    (preferences,) = (one for one in follow(pages, link, confirmed) if "/preferences/" in one)
    chosen = pages.ask(preferences)[1]
    assert preferences in follow(pages, preferences, chosen)
    left = pages.ask(preferences, [("action", "leave")])[1]
    (back,) = (one for one in follow(pages, preferences, left) if "/unsubscribe/" in one)
    assert pages.ask(back, [])[0] == 200
    assert len(pages.answer()) == 1


def test_the_way_out_and_an_old_link_stay_below_it(pages: Pages) -> None:
    reader = Subscriber(email=ADA, state=SubscriberState.ACTIVE, consent_at=NOW)
    pages.app.store.subscribers.add("morning", reader, now=NOW)
    found = pages.find(ADA)
    assert found
    leave = pages.app.links.unsubscribe_url(found.key)
    (instead,) = (one for one in follow(pages, leave, pages.ask(leave)[1]) if one.endswith("/preferences"))
    assert pages.ask(instead, [])[0] == 200
    (link,) = pages.links_of(pages.answer()[0])
    pages.clock.wait(7 * 86_400)
    status, page, _ = pages.ask(link)
    assert status == 410
    assert link in follow(pages, link, page)
    follow(pages, leave, pages.ask(leave, [])[1])
