"""What a segment says → who is of it, and which filters are refused."""

from datetime import UTC, datetime

import pytest

from digest.audience.segments import Predicate, Usual, make_predicate, read_filter
from digest.errors import ConfigError
from digest.models import Subscriber, SubscriberState

ADA = Subscriber(
    email="ada@Mail.org",
    topics=("world",),
    language="de-AT",
    timezone="Europe/Vienna",
    state=SubscriberState.ACTIVE,
    consent_at=datetime(2026, 3, 1, 8, tzinfo=UTC),
    tags=("press", "vip"),
)
NOBODY_IN_PARTICULAR = Subscriber(email="b@news.example", frequency="weekly")


def segment(**given: str) -> Predicate:
    told = {name: given.get(name) for name in ("topic", "language", "timezone", "tag")}
    return make_predicate(**told, filter_text=given.get("filter"), usual=Usual(language="en", timezone="Europe/Lisbon"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"topic": "world"}, (True, True)),  # who chose no topic gets every topic
        ({"topic": "sport"}, (False, True)),
        ({"language": "de"}, (True, False)),
        ({"language": "DE-at"}, (True, False)),
        ({"language": "d"}, (False, False)),
        ({"language": "en"}, (False, True)),  # the newsletter's, where none was chosen
        ({"timezone": "Europe/Lisbon"}, (False, True)),
        ({"tag": "press"}, (True, False)),
        ({"tag": "press", "topic": "sport"}, (False, False)),  # all must hold
        ({"filter": "email_domain == 'MAIL.org'"}, (True, False)),
        ({"filter": "email_domain in ('mail.org', 'news.example')"}, (True, True)),
        ({"filter": "'sport' not in topics"}, (True, False)),
        ({"filter": "'press' in tags and not 'sport' in topics"}, (True, False)),
        ({"filter": "frequency == 'weekly' or 'vip' in tags"}, (True, True)),
        ({"filter": "language not in ['de', 'de-AT']"}, (False, True)),
        ({"filter": "timezone != 'Europe/Vienna'"}, (False, True)),
        ({"filter": "state == 'active'"}, (True, False)),
        ({"filter": "consent_at >= '2026-03-01'"}, (True, False)),
        ({"filter": "consent_at < '2026-03-01T08:00:00+01:00'"}, (False, False)),  # who never agreed is in neither
        ({"filter": "  (\n'press' in tags\n)  "}, (True, False)),
    ],
)
def test_a_segment_is_who_all_that_it_says_holds_of(given: dict[str, str], expected: tuple[bool, bool]) -> None:
    is_member = segment(**given)
    assert (is_member(ADA), is_member(NOBODY_IN_PARTICULAR)) == expected


def test_a_filter_tells_which_topics_it_names() -> None:
    assert read_filter("'world' in topics or ('sport' not in topics and 'press' in tags)").topics == {"world", "sport"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no expression"),
        ("state ==", "no expression"),
        ("a = 1", "no expression"),
        ("state == 'active'; import os", "no expression"),
        ("language == '\\d'", "no expression"),
        ("language is 'de'", "cannot be compared so"),
        ("\0", "no expression"),
        ("(" * 400 + "1" + ")" * 400, "no expression"),
        ("__import__('os').system('id')", "cannot stand in it"),
        ("tags.__class__ == 'x'", "cannot be compared so"),
        ("tags[0] == 'x'", "cannot be compared so"),
        ("language + 'x' == 'dex'", "cannot be compared so"),
        ("f'{state}' == 'x'", "cannot be compared so"),
        ("email_domain == f'{state}'", "cannot be compared so"),
        ("[t for t in tags] == 'x'", "cannot be compared so"),
        ("(lambda: 1)() == 'x'", "cannot be compared so"),
        ("(x := 'de') == 'de'", "cannot be compared so"),
        ("language == 'de' if state else state", "cannot stand in it"),
        ("True", "cannot stand in it"),
        ("tags", "cannot stand in it"),
        ("'a' < language < 'z'", "compares more than two"),
        ("email == 'a@mail.org'", 'there is no "email"'),
        ("name == 'Ada'", 'there is no "name"'),
        ("tags == 'press'", "tags is several"),
        ("language in 'de'", "cannot be compared so"),
        ("language in ['de', 1]", "no text"),
        ("language in []", "no text"),
        ("language == 'deutsch!'", "is no language"),
        ("timezone == 'Mars/Olympus'", "is no time zone"),
        ("frequency == 'hourly'", "there is no frequency"),
        ("state == 'erased'", "there is no state"),
        ("consent_at > 5", "no comparison of dates"),
        ("consent_at > 'yesterday'", "is no date"),
        ("state == 'active' or " * 50 + "state == 'active'", "longer than"),
        ("not " * 20 + "state == 'active'", "too deep"),
        ("'a' in tags or " * 60 + "'a' in tags", "too many"),
    ],
)
def test_what_no_filter_may_hold_is_refused_with_the_piece_and_the_remedy(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        read_filter(text)
    assert caught.value.remedy
