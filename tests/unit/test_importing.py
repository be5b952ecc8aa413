"""Files of subscribers → subscribers, and what is told of their rows."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from digest.audience.importing import Told, read_chunks
from digest.audience.rows import Terms, read_row
from digest.audience.tables import open_table, read_mapping
from digest.errors import ConfigError
from digest.models import Subscriber, SubscriberState
from tests.contract.editions import NOW

TOPICS = ("world", "sport")


def terms(consent: str | None = None) -> Terms:
    return Terms(consent=consent, consent_from="a fair" if consent else None, topics=TOPICS, now=NOW)


def write(tmp_path: Path, content: str | bytes, name: str = "readers.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What a file gave."""

    readers: tuple[Subscriber, ...]
    lines: tuple[int, ...]
    told: tuple[Told, ...]


def read_file(
    path: Path, *, consent: str | None = "yes", mapping: dict[str, str] | None = None, after: int = 0
) -> Read:
    """The whole of a small file."""
    with open_table(path, mapping=mapping or {}) as table:
        chunks = list(read_chunks(table, terms(consent), size=100, after=after))
    return Read(
        readers=tuple(arrival.as_subscriber() for chunk in chunks for arrival in chunk.readers),
        lines=tuple(line for chunk in chunks for line in chunk.lines),
        told=tuple(one for chunk in chunks for one in chunk.told),
    )


def test_a_row_without_consent_is_pending_and_with_it_active() -> None:
    row = {"email": "a@mail.org"}
    assert read_row(row, terms())[0].state is SubscriberState.PENDING
    agreed = read_row(row, terms("asked at the fair"))[0]
    assert (agreed.state, agreed.consent_at, agreed.consent_text, agreed.consent_from) == (
        SubscriberState.ACTIVE,
        NOW,
        "asked at the fair",
        "a fair",
    )


def test_a_row_that_says_active_without_consent_is_pending_all_the_same() -> None:
    row = {"email": "a@mail.org", "state": "active"}
    assert read_row(row, terms())[0].state is SubscriberState.PENDING


@pytest.mark.parametrize("state", ["unsubscribed", "bounced", "complained"])
def test_who_left_or_bounced_elsewhere_stays_so_even_with_consent(state: str) -> None:
    row = {"email": "a@mail.org", "state": state}
    assert read_row(row, terms("yes"))[0].state.value == state


def test_a_file_gives_subscribers_and_a_fault_for_each_row_that_cannot_be_taken(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "\ufeffEmail;Name;Topics;Timezone\na@mail.org;Aa;world,sport;Asia/Bahrain\n;;;\nnobody;;;\nb@mail.org;;chess;\n"
        "c@mail.org;;;Mars/Olympus\nd@rehearsal.test;;;\ne@mail.org;;;;;;\nf@mail.org\n",
    )
    read = read_file(path)
    assert [(reader.email, reader.name, reader.topics) for reader in read.readers] == [
        ("a@mail.org", "Aa", ("world", "sport")),
        ("d@rehearsal.test", None, ()),
        ("f@mail.org", None, ()),
    ]
    assert [told.line for told in read.told if told.is_fault] == [4, 5, 6, 8]
    assert [told.line for told in read.told if not told.is_fault] == [7]
    assert read.lines == (2, 7, 9)


@pytest.mark.parametrize("content", ["", "name,topics\nA,world\n", "email,favourite colour\na@mail.org,red\n"])
def test_a_file_without_the_right_columns_is_refused_as_a_whole(tmp_path: Path, content: str) -> None:
    with pytest.raises(ConfigError, match="column"):
        read_file(write(tmp_path, content))


def test_a_column_is_what_the_operator_says_it_is(tmp_path: Path) -> None:
    path = write(tmp_path, "Kontakt,Favourite colour\na@mail.org,red\n")
    read = read_file(path, mapping=read_mapping(["Kontakt=email", "Favourite colour="]))
    assert [reader.email for reader in read.readers] == ["a@mail.org"]
    with pytest.raises(ConfigError, match="COLUMN=FIELD"):
        read_mapping(["Kontakt=address book"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_the_encodings_that_occur_are_told_apart(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path, "email,name\na@mail.org,Zoë Ångström\n".encode(encoding))
    assert read_file(path).readers[0].name == "Zoë Ångström"


def test_a_byte_that_is_not_of_the_encoding_costs_its_own_row(tmp_path: Path) -> None:
    filler = "".join(f"reader{number}@mail.org,Reader\n" for number in range(60_000))
    content = f"email,name\n{filler}".encode() + b"a@mail.org,Zo\xeb\nb@mail.org,Bea\n"
    with open_table(write(tmp_path, content), mapping={}) as table:
        chunks = list(read_chunks(table, terms("yes"), size=100_000))
    assert [told.said for chunk in chunks for told in chunk.told] == [
        "it holds bytes that are not of the file's encoding"
    ]
    assert chunks[-1].readers[-1].email == "b@mail.org"


def test_a_quotation_mark_that_is_never_closed_loses_nothing_that_stands_before_it(tmp_path: Path) -> None:
    rest = "".join(f"reader{number}@mail.org,Reader\n" for number in range(20_000))
    read = read_file(write(tmp_path, f'email,name\na@mail.org,Aa\nb@mail.org,"Bea\n{rest}'))
    assert [reader.email for reader in read.readers] == ["a@mail.org"]
    assert "quotation mark" in read.told[0].said and read.told[0].is_fault


def test_json_lines_are_read_too_and_a_broken_one_is_named(tmp_path: Path) -> None:
    rows = [
        {"email": "a@mail.org", "topics": ["world"], "tags": ["press", "friends"], "attributes": {"city": "Arnstad"}},
        {"name": "B", "email": "b@mail.org", "consent_at": None},
    ]
    content = "\n".join([*map(json.dumps, rows), "{broken", '["c@mail.org"]'])
    read = read_file(write(tmp_path, content, "readers.jsonl"))
    assert [(r.email, r.name, r.topics, r.tags) for r in read.readers] == [
        ("a@mail.org", None, ("world",), ("friends", "press")),
        ("b@mail.org", "B", (), ()),
    ]
    assert [told.line for told in read.told] == [3, 4]


def test_an_export_of_listmonk_is_known_with_those_who_must_not_be_mailed(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "uuid,email,name,attributes,status,created_at,updated_at\n"
        '1,a@mail.org,Aa,"{""city"": ""Arnstad""}",enabled,2025-01-01,2025-01-02\n'
        "2,b@mail.org,Bb,{},disabled,2025-01-01,2025-01-02\n3,c@mail.org,Cc,{},blocklisted,2025-01-01,2025-01-02\n",
    )
    assert [reader.state.value for reader in read_file(path).readers] == ["active", "unsubscribed", "complained"]
    assert [reader.state.value for reader in read_file(path, consent=None).readers] == [
        "pending",
        "unsubscribed",
        "complained",
    ]


def test_mailchimps_exports_bring_consent_and_those_who_left_bounced_and_complained(tmp_path: Path) -> None:
    common = "Email Address,First Name,Last Name,MEMBER_RATING,OPTIN_TIME,OPTIN_IP,CONFIRM_TIME,CONFIRM_IP"
    cells = "2,2024-01-01 10:00:00,192.0.2.7,2024-01-01 10:05:00,192.0.2.7"
    active = write(tmp_path, f'{common},TAGS\na@mail.org,Ada,Lindqvist,{cells},"""press"",""friends"""\n', "a.csv")
    (reader,) = read_file(active, consent=None).readers
    assert (reader.state.value, reader.name, reader.tags) == ("active", "Ada Lindqvist", ("friends", "press"))
    assert reader.consent_at and reader.consent_at.isoformat() == "2024-01-01T10:05:00+00:00"
    assert reader.consent_from == "192.0.2.7"
    left = write(
        tmp_path,
        f"{common},UNSUB_TIME,UNSUB_REASON\nb@mail.org,B,B,{cells},2024-05-01 09:00:00,NORMAL\n"
        f"c@mail.org,C,C,{cells},2024-05-01 09:00:00,SPAM - Recipient marked it\n",
        "b.csv",
    )
    assert [one.state.value for one in read_file(left).readers] == ["unsubscribed", "complained"]
    cleaned = write(tmp_path, f"{common},CLEAN_TIME\nd@mail.org,D,D,{cells},2024-05-01 09:00:00\n", "c.csv")
    assert [one.state.value for one in read_file(cleaned).readers] == ["bounced"]


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("Jo@MAIL.org", "Jo@mail.org"),
        ("jo.b+news@mail.org", "jo.b+news@mail.org"),
        ('"jo b"@mail.org', None),
        (f"{'a' * 310}@mail.org", None),
        ("jo@mail..org", None),
        (".jo@mail.org", None),
        ("jo@-mail.org", None),
        ("jo@bücher.example", "jo@bücher.example"),
        ("jo@xn--bcher-kva.example", "jo@bücher.example"),
        ("jо@mail.org", "jо@mail.org"),  # a Cyrillic letter: another address, and no other's
        ("jo@mail.org\r\nBcc: all@mail.org", None),
        ("Jo <jo@mail.org>", "jo@mail.org"),
    ],
)
def test_an_address_is_what_the_library_says_also_where_it_is_not_asked(address: str, kept: str | None) -> None:
    try:
        found = read_row({"email": address}, terms())[0].email
    except ConfigError:
        found = None
    assert found == kept


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("jо@mail.org", '"jо"'),  # a Cyrillic letter beside a Latin one
        ("jo@mаil.org", '"mаil"'),
        ("jo@xn--mil-6cd.org", '"mаil"'),  # the same, as it travels
        ("αlpha@mail.org", '"αlpha"'),
        ("анна@почта.рф", None),
        ("müller@bücher.org", None),
        ("анна@mail.org", None),  # each part in a script of its own
        ("tanaka田中@mail.org", None),
        ("jo@mail.org", None),
    ],
)
def test_letters_that_look_alike_are_told_and_not_refused(address: str, told: str | None) -> None:
    reader, remark = read_row({"email": address}, terms())
    assert reader.email
    assert (told in remark if told and remark else remark) == (True if told else None)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_spreadsheets_file_is_read_with_its_mark_its_half_empty_rows_and_its_doubles(
    tmp_path: Path, separator: str
) -> None:
    lines = [
        "email|name|topics",
        "a@mail.org|A|",
        "",
        "||",
        "  | |",
        "A@MAIL.ORG|Again|world",
        "|Nobody|",
        "b@mail.org",
    ]
    content = "\ufeff" + "\r\n".join(lines).replace("|", separator)
    read = read_file(write(tmp_path, content))
    assert [(reader.email, reader.name) for reader in read.readers] == [
        ("a@mail.org", "A"),
        ("A@mail.org", "Again"),
        ("b@mail.org", None),
    ]
    assert [(one.line, one.is_fault) for one in read.told] == [(7, True)]


def test_what_was_taken_before_is_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path, "email\na@mail.org\nb@mail.org\nc@mail.org\n")
    assert [reader.email for reader in read_file(path, after=3).readers] == ["c@mail.org"]
