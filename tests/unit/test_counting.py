"""Who followed a link: a person, or one of the programs that follow every link; and how a mail's links are counted."""

from dataclasses import replace
from datetime import timedelta

import pytest

from digest.audience.counting import find_bursts, is_at_once, judge, name_network
from digest.models import Count, CountKind, MadeBy, Mention, Rendition, Section
from digest.render.redirecting import count_links, list_links, without_picture
from tests.contract.editions import NOW, make_edition
from tests.unit.builders import make_item

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.0 Mobile/15E148 Safari/604.1"
)
OUTLOOK = "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Win64; x64; Trident/7.0; Microsoft Outlook 16.0.17328)"


@pytest.mark.parametrize(
    ("method", "headers", "kind", "expected"),
    [
        ("GET", {"user-agent": FIREFOX}, "click", MadeBy.PERSON),
        ("GET", {"user-agent": IPHONE}, "click", MadeBy.PERSON),
        ("GET", {"user-agent": OUTLOOK}, "open", MadeBy.PERSON),
        ("HEAD", {"user-agent": FIREFOX}, "click", MadeBy.SCANNER),
        ("GET", {}, "click", MadeBy.SCANNER),
        ("GET", {"user-agent": "curl/8.5.0"}, "click", MadeBy.SCANNER),
        ("GET", {"user-agent": "python-requests/2.32"}, "open", MadeBy.SCANNER),
        ("GET", {"user-agent": "Mozilla/5.0 (compatible; bingbot/2.0)"}, "click", MadeBy.SCANNER),
        ("GET", {"user-agent": "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"}, "click", MadeBy.SCANNER),
        ("GET", {"user-agent": f"{FIREFOX} BarracudaCentral"}, "click", MadeBy.SCANNER),
        ("GET", {"user-agent": "Mozilla/5.0 (X11) HeadlessChrome/140.0"}, "click", MadeBy.SCANNER),
        ("GET", {"user-agent": "Mozilla/5.0"}, "click", MadeBy.SCANNER),
        ("GET", {"user-agent": "Mozilla/5.0"}, "open", MadeBy.PROXY),
        ("GET", {"user-agent": f"{FIREFOX} (via ggpht.com GoogleImageProxy)"}, "open", MadeBy.PROXY),
        ("GET", {"user-agent": "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail"}, "open", MadeBy.PROXY),
        ("GET", {"user-agent": FIREFOX, "sec-purpose": "prefetch;prerender"}, "click", MadeBy.PREFETCHER),
        ("GET", {"user-agent": FIREFOX, "purpose": "prefetch"}, "click", MadeBy.PREFETCHER),
        ("GET", {"user-agent": IPHONE, "x-purpose": "preview"}, "click", MadeBy.PREFETCHER),
    ],
)
def test_a_request_tells_who_made_it(method: str, headers: dict[str, str], kind: CountKind, expected: MadeBy) -> None:
    assert judge(method, headers, kind) is expected


def click(number: int, link: int, seconds: float, network: str = "one", edition: int = 1) -> Count:
    at = NOW + timedelta(seconds=seconds)
    return Count(id=number, edition=edition, kind="click", link=link, made_by=MadeBy.PERSON, network=network, at=at)


def test_three_links_within_ten_seconds_from_one_network_are_a_machine() -> None:
    quick = [click(1, 1, 0), click(2, 2, 4), click(3, 3, 10)]
    assert find_bursts(quick) == {1, 2, 3}
    assert find_bursts([*quick, click(4, 9, 300)]) == {1, 2, 3}


@pytest.mark.parametrize(
    "clicks",
    [
        [click(1, 1, 0), click(2, 2, 4), click(3, 3, 10.1)],
        [click(1, 1, 0), click(2, 1, 1), click(3, 2, 2), click(4, 2, 3)],
        [click(1, 1, 0), click(2, 2, 1), click(3, 3, 2, network="other")],
        [click(1, 1, 0), click(2, 2, 1), click(3, 3, 2, edition=2)],
        [replace(click(number, number, 0), kind="open") for number in range(5)],
        [],
    ],
    ids=["slowly", "two links", "two networks", "two editions", "opens", "nothing"],
)
def test_what_a_person_may_do_is_no_burst(clicks: list[Count]) -> None:
    assert find_bursts(clicks) == set()


def test_nobody_has_read_a_mail_that_left_a_moment_ago() -> None:
    assert is_at_once(NOW + timedelta(seconds=9), NOW)
    assert not is_at_once(NOW + timedelta(seconds=10), NOW)
    assert not is_at_once(NOW, None)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("unix:", ""),
        ("", ""),
    ],
)
def test_a_network_is_an_address_or_what_one_household_has(address: str, expected: str) -> None:
    assert name_network(address) == expected


HOME, TRAM, ELSEWHERE = "https://wire.test/home?a=1&b=2", "https://wire.test/straßenbahn", "https://other.test/x"


def test_links_keep_their_numbers_when_stories_are_moved_or_dropped() -> None:
    first = make_item(1, link=HOME, also=(Mention(outlet="Other", title="X", link=ELSEWHERE),))
    second, third = make_item(2, link=TRAM), make_item(3, link="javascript:alert(1)")
    edition = make_edition(sections=(Section(id="", title="", items=(first, second, third)),))
    moved = make_edition(sections=(Section(id="", title="", items=(second,)),))
    links = list_links(edition)
    assert list(links.values()) == [HOME, ELSEWHERE, "https://wire.test/stra%C3%9Fenbahn"]
    assert list_links(moved).items() <= links.items()


def test_links_of_stories_are_led_and_all_others_stay_as_they_are() -> None:
    html = (
        f'<body><a class="x" href="{HOME.replace("&", "&amp;")}">Home</a> {HOME.replace("&", "&amp;")}'
        f'<a href="{TRAM}">Tram</a><!--[if mso]><v:roundrect href="{ELSEWHERE}"></v:roundrect><![endif]-->'
        '<a href="__DIGEST_UNSUBSCRIBE__">Out</a><a href="https://other.test/xy">Another</a></body></html>'
    )
    text = f"Home\n  {HOME}\nRead {HOME} too\n{TRAM}\n__DIGEST_UNSUBSCRIBE__\n"
    tram = "https://wire.test/stra%C3%9Fenbahn"
    redirects = {HOME: "https://n.test/1", tram: "https://n.test/2", ELSEWHERE: "https://n.test/3"}
    led = count_links(Rendition(variant="all", subject="S", html=html, text=text), redirects, None)
    assert led.html == (
        f'<body><a class="x" href="https://n.test/1">Home</a> {HOME.replace("&", "&amp;")}'
        '<a href="https://n.test/2">Tram</a><!--[if mso]><v:roundrect href="https://n.test/3"></v:roundrect><![endif]-->'
        '<a href="__DIGEST_UNSUBSCRIBE__">Out</a><a href="https://other.test/xy">Another</a></body></html>'
    )
    assert led.text == f"Home\n  https://n.test/1\nRead {HOME} too\nhttps://n.test/2\n__DIGEST_UNSUBSCRIBE__\n"


def test_the_picture_stands_at_the_end_and_can_be_taken_out_again() -> None:
    kept = Rendition(variant="all", subject="S", html="<body><p>News</p>\n</body></html>", text="News\n")
    counted = count_links(kept, {}, "https://n.test/morning/open/x.gif")
    assert counted.html.endswith('role="presentation" data-counts="open">\n</body></html>')
    assert counted.text == kept.text
    assert without_picture(counted.html).replace("\n\n", "\n") == kept.html
