"""config.toml → Config, or every fault with its line."""

from datetime import date, time, timedelta
from pathlib import Path

import pytest

from digest.config import find_config, load_config
from digest.config.editing import NewSource, add_source_tables, remove_source_table
from digest.errors import ConfigError

MINIMAL = """\
[newsletter]
name = "Morning"
slug = "morning"
sender = "Morning <brief@example.com>"
"""


def _write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def _faults(tmp_path: Path, text: str, environment: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(_write(tmp_path, text), environment or {})
    return [fault.replace(str(tmp_path), "") for fault in caught.value.faults]


def test_a_minimal_file_is_enough_and_the_rest_has_defaults(tmp_path: Path) -> None:
    config = load_config(_write(tmp_path, MINIMAL), {})
    assert config.schedule.at == time(7)
    assert config.schedule.days == frozenset(range(7))
    assert config.edition.window == timedelta(hours=24)
    assert config.transport.kind == "outbox"
    assert config.transport.path == tmp_path / "outbox"
    assert config.store.url == f"sqlite:///{tmp_path / 'digest.db'}"


def test_the_shipped_configuration_is_sound_and_names_every_key_that_has_a_default(repository: Path) -> None:
    config = load_config(repository / "config.toml", {})
    written = (repository / "config.toml").read_text(encoding="utf-8")
    assert config.newsletter.slug == "morning"
    for table in (
        "newsletter",
        "schedule",
        "edition",
        "summarizer",
        "fetch",
        "transport",
        "breakers",
        "alerts",
        "store",
        "engine",
        "web",
    ):
        body = written.split(f"\n[{table}]\n", 1)[1].split("\n[", 1)[0]
        for key, field in type(getattr(config, table)).model_fields.items():
            assert field.default is None or f"\n{key} = " in f"\n{body}", f"[{table}] {key}"


def test_an_unknown_key_is_named_with_its_line_and_the_nearest_known_one(tmp_path: Path) -> None:
    assert _faults(tmp_path, MINIMAL + 'reply_two = "x@example.com"\n') == [
        '/config.toml:5: unknown key "newsletter.reply_two" (did you mean "reply_to"?)'
    ]


def test_an_unknown_key_of_a_table_within_a_table_is_compared_with_the_keys_of_that(tmp_path: Path) -> None:
    assert _faults(tmp_path, MINIMAL + '[theme.light]\nacent = "#123456"\n') == [
        '/config.toml:6: unknown key "theme.light.acent" (did you mean "accent"?)'
    ]


def test_an_unknown_key_of_the_second_source_is_found_in_the_second_source(tmp_path: Path) -> None:
    text = MINIMAL + '[[sources]]\nid = "a"\nkind = "feed"\nurl = "https://a.example/rss"\n'
    text += '[[sources]]\nid = "b"\nkind = "feed"\nurl = "https://b.example/rss"\nwieght = 2\n'
    assert _faults(tmp_path, text) == ['/config.toml:13: unknown key "sources[1].wieght" (did you mean "weight"?)']


def test_every_fault_is_reported_at_once(tmp_path: Path) -> None:
    text = (
        MINIMAL.replace("brief@example.com", "brief")
        + '[schedule]\nat = "25:00"\ntimezone = "Mars/Olympus"\n[nonsense]\n'
    )
    faults = _faults(tmp_path, text)
    assert len(faults) == 4
    assert "newsletter.sender" in faults[0]
    assert faults[1].startswith("/config.toml:6:")
    assert "Mars/Olympus" in faults[2]
    assert "nonsense" in faults[3]


def test_days_on_which_nothing_is_due(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    table = """[schedule]
holidays = ["12-25", "2026-04-03", 2026-05-01]
weekly = "off"
[[schedule.pauses]]
first = 2026-08-01
last = 2026-08-14
"""
    path.write_text(MINIMAL + table, encoding="utf-8")
    schedule = load_config(path, {}).schedule
    rests = ["2026-12-25", "2027-12-25", "2026-04-03", "2026-05-01", "2026-08-01", "2026-08-14"]
    works = ["2027-04-03", "2026-07-31", "2026-08-15", "2027-05-01"]
    assert [day for day in rests + works if schedule.rests_on(date.fromisoformat(day))] == rests
    assert schedule.weekly is None


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ('[engine]\nkind = "procrastinate"', "needs PostgreSQL"),
        ('[engine]\nkind = "celery"', 'no kind "celery"'),
        ('[schedule]\nholidays = ["25.12."]', "2026-12-25"),
        ('[schedule]\nholidays = ["02-30"]', '"02-30" is no day'),
        ('[schedule]\nweekly = "fortnightly"', 'write a day as "sun"'),
        ("[[schedule.pauses]]\nfirst = 2026-08-14\nlast = 2026-08-01", "before it begins"),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_a_fault(tmp_path: Path, table: str, named: str) -> None:
    (fault,) = _faults(tmp_path, f"{MINIMAL}{table}\n")
    assert named in fault


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ('[store]\nurl = "mysql://localhost/digest"', "postgresql+psycopg"),
        ('[transport]\nkind = "pigeon"', 'no kind "pigeon"'),
        ('[transport]\nkind = "smtp"', '"transport.host" is missing'),
        ('[transport]\nrate = "fast"', "50/s"),
        ("[transport]\nrate = 0", "50/s"),
        ("[transport]\nrate = -5", "50/s"),
        ("[transport]\nrate = nan", "50/s"),
        ('[transport]\nper_domain = "of"', '"transport.per_domain": write a rate'),
        ("[transport]\nper_domain = 0", "50/s"),
        ('[transport]\ndomains = { "example.org" = 0 }', "50/s"),
        ('[edition]\nwindow = "a day"', "24h"),
        ('[schedule]\ndays = "someday"', "mon-sun"),
        (
            '[[topics]]\nid = "a"\ntitle = "A"\n[[topics]]\nid = "a"\ntitle = "B"',
            'two [[topics]] have the id "a"',
        ),
        ('[[sources]]\nid = "s"\nkind = "feed"\nurl = "https://a.example/"\ntopics = ["b"]', 'topic "b"'),
        ('[[sources]]\nid = "s"\nkind = "feed"\nurl = "ftp://a.example/"', "sources[0].url"),
        ('[fetch]\nallow_private = ["everything"]', "allow_private"),
    ],
)
def test_a_bad_value_is_named_with_what_would_be_right(tmp_path: Path, table: str, named: str) -> None:
    assert any(named in fault for fault in _faults(tmp_path, f"{MINIMAL}{table}\n"))


def test_text_that_is_no_toml_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="line 2"):
        load_config(_write(tmp_path, "[newsletter]\nname = \n"), {})


def test_headers_take_secrets_from_the_environment_and_a_missing_one_is_a_fault(tmp_path: Path) -> None:
    text = (
        MINIMAL
        + '[[sources]]\nid = "s"\nkind = "feed"\nurl = "https://a.example/"\nheaders = { A = "Bearer ${TOKEN}" }\n'
    )
    config = load_config(_write(tmp_path, text), {"TOKEN": "hunter2"})
    assert config.sources[0].headers == {"A": "Bearer hunter2"}
    assert "hunter2" not in repr(config)
    (fault,) = _faults(tmp_path, text)
    assert "${TOKEN}" in fault


def test_addresses_that_are_secrets_themselves_are_taken_from_the_environment(tmp_path: Path) -> None:
    text = MINIMAL + '[alerts]\nwebhook = "${HOOK}"\nheartbeat = "https://beat.example/${BEAT}"\n'
    config = load_config(_write(tmp_path, text), {"HOOK": "https://hook.example/hunter2", "BEAT": "hunter3"})
    assert config.alerts.webhook == "https://hook.example/hunter2"
    assert config.alerts.heartbeat == "https://beat.example/hunter3"
    assert "hunter" not in repr(config)
    assert len([fault for fault in _faults(tmp_path, text) if "which the environment does not have" in fault]) == 2


def test_secrets_come_from_the_environment_and_never_show(tmp_path: Path) -> None:
    config = load_config(_write(tmp_path, MINIMAL), {"DIGEST_SENDGRID_API_KEY": "SG.hush"})
    assert config.secrets.sendgrid_api_key and config.secrets.sendgrid_api_key.get_secret_value() == "SG.hush"
    assert "SG.hush" not in repr(config)
    assert "SG.hush" not in str(config.secrets)


def test_the_argument_comes_before_the_environment_and_that_before_the_folder(tmp_path: Path) -> None:
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    first.touch()
    second.touch()
    assert find_config(first, {"DIGEST_CONFIG": str(second)}) == first
    assert find_config(None, {"DIGEST_CONFIG": str(second)}) == second
    with pytest.raises(ConfigError, match="no such configuration file"):
        find_config(tmp_path / "missing.toml", {})


def test_adding_and_removing_a_source_keeps_the_rest_of_the_file(tmp_path: Path) -> None:
    path = _write(tmp_path, MINIMAL + "# a comment of the operator's\n")
    (name,) = add_source_tables(load_config(path, {}), [NewSource(address="https://www.example.org/rss")])
    assert name == "example-org"
    assert load_config(path, {}).sources[0].url == "https://www.example.org/rss"
    (second,) = add_source_tables(load_config(path, {}), [NewSource(address="https://example.org/other")])
    assert second == "example-org-2"
    remove_source_table(path, name)
    assert [source.id for source in load_config(path, {}).sources] == ["example-org-2"]
    assert "# a comment of the operator's" in path.read_text(encoding="utf-8")


def test_a_source_after_the_last_one_was_taken_out_stands_where_sources_stand(tmp_path: Path) -> None:
    path = _write(tmp_path, MINIMAL)
    before = add_source_tables(load_config(path, {}), [NewSource(address="https://example.org/rss")])
    expected = path.read_text(encoding="utf-8")
    remove_source_table(path, *before)
    assert load_config(path, {}).sources == ()
    add_source_tables(load_config(path, {}), [NewSource(address="https://example.org/rss")])
    assert path.read_text(encoding="utf-8") == expected
    assert expected.startswith(MINIMAL), "what stood there is untouched, and before it"


def test_a_source_that_would_make_the_file_faulty_is_not_written(tmp_path: Path) -> None:
    path = _write(tmp_path, MINIMAL)
    with pytest.raises(ConfigError, match="nowhere"):
        add_source_tables(load_config(path, {}), [NewSource(address="https://example.org/rss", topics=("nowhere",))])
    assert path.read_text(encoding="utf-8") == MINIMAL
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "table",
    [
        '[[sources]]\nid = "x"\nkind = "sitemap"\nurl = "https://x.test"\nwieght = 2.0',
        '[[sources]]\nid = "x"\nkind = "page"\nurl = "https://x.test"\nwieght = 2.0',
        '[[sources]]\nid = "x"\nkind = "feed"\nurl = "https://x.test"\nwieght = 2.0',
        '[[sources]]\nid = "x"\nkind = "file"\npath = "x"\nwieght = 2.0',
        '[summarizer]\nkind = "llm"\nmodel = "x"\nbudegt = 2',
        '[summarizer]\nkind = "extractive"\noutlest = "all"',
        '[transport]\nkind = "smtp"\nhost = "x"\nprot = 25',
        '[transport]\nkind = "sendgrid"\nsandbx = true',
        '[transport]\nkind = "outbox"\npaht = "x"',
    ],
)
def test_a_slip_of_the_pen_in_a_table_of_any_kind_names_the_nearest_key(tmp_path: Path, table: str) -> None:
    (fault,) = _faults(tmp_path, f"{MINIMAL}{table}\n")
    assert "unknown key" in fault and "did you mean" in fault


def test_a_key_of_another_kind_names_the_kind_that_is_missing(tmp_path: Path) -> None:
    (fault,) = _faults(tmp_path, f'{MINIMAL}[summarizer]\nmodel = "small"\n')
    assert '"summarizer.model" goes with kind = "llm"' in fault


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('timeout = "0s"', "timeout"),
        ('deadline = "0s"', "deadline"),
        ("concurrency = 17", "concurrency"),
        ("options = { since = 2020-01-01 }", "only text, numbers"),
        ("options = { top_p = nan }", "only text, numbers"),
    ],
)
def test_what_a_model_cannot_be_asked_with_is_a_fault(tmp_path: Path, line: str, named: str) -> None:
    (fault,) = _faults(tmp_path, f'{MINIMAL}[summarizer]\nkind = "llm"\nmodel = "x"\n{line}\n')
    assert named in fault


CANARY = '[canary]\nto = ["a@b.test"]\nhost = "imap.b.test"\nusername = "a"\n'
FURTHER = '[[canary.mailboxes]]\nname = "far-away"\nto = ["c@d.test"]\nhost = "imap.d.test"\nusername = "c"\n'


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[canary]\nto = ["a@b.test"]\n', "it has no host or username"),
        (CANARY + FURTHER.replace("c@d.test", "A@b.test"), "one address is a seed twice"),
        (FURTHER + FURTHER.replace("c@d.test", "e@d.test"), "have one name"),
        (FURTHER.replace('username = "c"\n', ""), '"canary.mailboxes[0].username" is missing'),
        (CANARY.replace('to = ["a@b.test"]', f"to = {[f'a{n}@b.test' for n in range(21)]}"), "20 are the most"),
        (CANARY + 'password = "x"\n', "secrets come from the environment only"),
        (CANARY + "require = []\n", "canary.require"),
        (CANARY + 'reciever = "mx.b.test"\n', 'did you mean "receiver"?'),
    ],
    ids=["no-host", "twice", "one-name", "no-username", "too-many", "password", "nothing-required", "slip"],
)
def test_a_canary_that_cannot_work_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    assert fault in "; ".join(_faults(tmp_path, MINIMAL + text))


def test_each_mailbox_of_a_canary_has_a_password_of_its_own(tmp_path: Path) -> None:
    environment = {"DIGEST_CANARY_PASSWORD": "one", "DIGEST_CANARY_PASSWORD_FAR_AWAY": "s3cr3t"}
    config = load_config(_write(tmp_path, MINIMAL + CANARY + FURTHER), environment)
    assert [table.to for table in config.canary.tables] == [("a@b.test",), ("c@d.test",)]
    assert config.canary.mailboxes[0].variable == "DIGEST_CANARY_PASSWORD_FAR_AWAY"
    assert {name: secret.get_secret_value() for name, secret in config.secrets.canary_passwords.items()} == {
        "DIGEST_CANARY_PASSWORD_FAR_AWAY": "s3cr3t"
    }
    assert "s3cr3t" not in repr(config)


@pytest.mark.parametrize(
    ("tables", "days"),
    [
        ("", 30),
        ('[edition]\nwindow = "60d"\n', 68),
        ('[edition]\nwindow = "5d"\n[retention]\npages = "2d"\n', 13),
        ('[retention]\npages = "2d"\n', 9),
        ('[schedule]\nweekly = "off"\n[retention]\npages = "2d"\n', 3),
        ('[retention]\npages = "forever"\n', None),
    ],
)
def test_texts_are_kept_for_as_long_as_an_edition_may_take_them(tmp_path: Path, tables: str, days: int | None) -> None:
    kept = load_config(_write(tmp_path, MINIMAL + tables), {}).pages_kept
    assert kept == (timedelta(days=days) if days else None)
