"""`digest check` beyond the sources and transports: the sender's domain by a real DNS, and the machine."""

import shutil
from collections.abc import Collection, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import tzdata

from digest.app import App
from digest.config import load_config
from digest.config.operating import Checks
from digest.errors import ConfigError
from digest.operate.check import check_everything
from digest.operate.check.checked import Checked
from digest.operate.check.machine import check_zone_data
from digest.operate.check.mail_domain import check_mail_domain
from digest.records import make_ask
from digest.stores.sql import SqlStore
from digest.upkeep import back_up_store
from tests.contract.editions import NOW, add_readers
from tests.contract.test_dkim import KINDS, make_key
from tests.doubles.dns_server import DnsServer
from tests.doubles.smtp_script import SmtpScript

Records = dict[tuple[str, str], list[str]]
SOUND: Records = {
    ("news.brief.org", "MX"): ["10 mx.brief.org."],
    ("news.brief.org", "TXT"): ["site-verification=abc", "v=spf1 include:spf.mailer.net ~all"],
    ("spf.mailer.net", "TXT"): ["v=spf1 ip4:192.0.2.0/24 -all"],
    ("_dmarc.brief.org", "TXT"): ["v=DMARC1; p=quarantine; rua=mailto:d@brief.org"],
    ("s1._domainkey.news.brief.org", "TXT"): ["k=rsa; p=MIGf"],
}


def look(
    records: Records, *, through_sendgrid: bool = False, is_dead: bool = False, dead: Collection[str] = ()
) -> dict[str, Checked]:
    with DnsServer(records, is_dead=is_dead, dead=dead) as server:
        ask = make_ask([server.address])
        return {
            one.subject: one for one in check_mail_domain("news.brief.org", through_sendgrid=through_sendgrid, ask=ask)
        }


def test_a_domain_that_is_in_order_is_told_with_its_records() -> None:
    found = look(SOUND, through_sendgrid=True)
    assert {subject: one.result for subject, one in found.items()} == {
        "dns": "ok",
        "spf": "ok",
        "dkim": "ok",
        "dmarc": "ok",
    }
    assert "mx.brief.org" in found["dns"].message
    assert "v=spf1 include:spf.mailer.net ~all" in found["spf"].message
    assert found["dmarc"].message.startswith("_dmarc.brief.org: v=DMARC1; p=quarantine"), "of whom it was registered by"


def without(*keys: tuple[str, str]) -> Records:
    return {key: value for key, value in SOUND.items() if key not in keys}


@pytest.mark.parametrize(
    ("records", "subject", "result", "words"),
    [
        ({}, "dns", "failure", "neither a mail server nor an address"),
        ({**without(("news.brief.org", "MX")), ("news.brief.org", "A"): ["192.0.2.1"]}, "dns", "warning", "no MX"),
        ({**SOUND, ("news.brief.org", "MX"): ["0 ."]}, "dns", "warning", "takes no mail: its MX says so"),
        ({**SOUND, ("news.brief.org", "TXT"): ["hello"]}, "spf", "warning", "says not who may send"),
        ({**SOUND, ("news.brief.org", "TXT"): ["v=spf1 -all", "v=spf1 ~all"]}, "spf", "failure", "has 2 records"),
        ({**SOUND, ("news.brief.org", "TXT"): ["v=spf1 mx +all"]}, "spf", "failure", "lets anybody send"),
        ({**SOUND, ("news.brief.org", "TXT"): ["v=spf1 all"]}, "spf", "failure", "lets anybody send"),
        (without(("_dmarc.brief.org", "TXT")), "dmarc", "warning", "has no policy"),
        ({**SOUND, ("_dmarc.news.brief.org", "TXT"): ["v=DMARC1; p=block"]}, "dmarc", "failure", "no policy that"),
        ({**SOUND, ("_dmarc.brief.org", "TXT"): ["v=DMARC1; p=none"] * 2}, "dmarc", "ok", "p=none"),
        ({**SOUND, ("_dmarc.brief.org", "TXT"): ["v=DMARC1; p=none", "v=DMARC1; p=reject"]}, "dmarc", "failure", "2 r"),
    ],
)
def test_each_fault_of_a_domain_has_its_words(records: Records, subject: str, result: str, words: str) -> None:
    found = look(records)[subject]
    assert (found.result, words in found.message) == (result, True), found
    assert found.remedy or found.result == "ok"


def test_a_record_that_asks_receivers_too_much_is_found_through_all_that_it_leads_to() -> None:
    chain: Records = {("news.brief.org", "TXT"): ["v=spf1 include:one.net a mx ~all"]}
    chain |= {("one.net", "TXT"): ["v=spf1 " + " ".join(f"include:n{n}.net" for n in range(4)) + " -all"]}
    chain |= {(f"n{n}.net", "TXT"): ["v=spf1 a redirect=one.net"] for n in range(4)}
    found = look({**SOUND, **chain})["spf"]
    assert found.result == "failure"
    assert "receivers stop after 10" in found.message


def test_without_sendgrids_keys_its_mail_may_not_be_signed() -> None:
    found = look(without(("s1._domainkey.news.brief.org", "TXT")), through_sendgrid=True)
    assert found["dkim"].result == "warning"
    spfless = look({**SOUND, ("news.brief.org", "TXT"): ["hello"]}, through_sendgrid=True)
    assert spfless["spf"].result == "ok"


def test_without_a_network_it_says_so_once() -> None:
    (found,) = look(SOUND, is_dead=True).values()
    assert (found.subject, found.result) == ("dns", "warning")
    assert "without a network" in found.message


def test_a_record_that_leads_to_a_silent_server_hides_no_other_check() -> None:
    found = look(SOUND, dead={"spf.mailer.net"})
    assert {subject: one.result for subject, one in found.items()} == {"dns": "ok", "spf": "warning", "dmarc": "ok"}
    assert "does not answer" in found["spf"].message


def test_the_mail_servers_of_a_domain_are_asked_for_once() -> None:
    with DnsServer(SOUND) as server:
        list(check_mail_domain("news.brief.org", through_sendgrid=False, ask=make_ask([server.address])))
        assert server.asked.count(("news.brief.org", "MX")) == 1


def configure(folder: Path, *, sender: str, domain: str, servers: str = "", port: int = 1) -> Path:
    """A newsletter that is signed here, with a key of its own; `servers` are asked of the DNS."""
    key = make_key(folder / "key.pem", *KINDS["ed25519"])
    (folder / "config.toml").write_text(
        f'[newsletter]\nname = "M"\nslug = "morning"\nsender = "{sender}"\n[check]\nnameservers = [{servers}]\n'
        f'[transport]\nkind = "smtp"\nhost = "127.0.0.1"\nport = {port}\ntls = "none"\n'
        f'[transport.dkim]\ndomain = "{domain}"\nselector = "s2026"\nkey = "{key}"\n'
    )
    return folder / "config.toml"


def test_the_servers_that_are_configured_are_asked_for_the_key_of_signatures_too(tmp_path: Path) -> None:
    with DnsServer(SOUND) as server, SmtpScript({}) as smtp:
        servers = '"{}:{}"'.format(*server.address)
        path = configure(tmp_path, sender="b@news.brief.org", domain="brief.org", servers=servers, port=smtp.port)
        with App(load_config(path, {})) as app:
            (transport,) = find(app, "transport")
        assert ("s2026._domainkey.brief.org", "TXT") in server.asked
    assert "the DNS has no key" in transport.message


@pytest.mark.parametrize(
    ("sender", "domain"),
    [
        ("b@münchen.de", "xn--mnchen-3ya.de"),
        ("b@xn--mnchen-3ya.de", "München.de."),
        ("b@news.brief.org", "brief.org"),
        ("b@news.brief.org", "mail.brief.org"),
        ("b@brief.org", "other.org"),
    ],
)
def test_a_signature_speaks_for_the_senders_organization_however_it_is_spelled(
    sender: str, domain: str, tmp_path: Path
) -> None:
    with DnsServer({}, is_dead=True) as server:
        servers = '"{}:{}"'.format(*server.address)
        with App(load_config(configure(tmp_path, sender=sender, domain=domain, servers=servers), {})) as app:
            told = [one.message for one in find(app, "dkim")]
    expected = ["signed for other.org, while the sender is of brief.org: DMARC does not count that"]
    assert told == (expected if domain == "other.org" else [])


def test_names_for_examples_are_not_asked_for() -> None:
    with DnsServer({}) as server:
        (found,) = check_mail_domain("example.com", through_sendgrid=True, ask=make_ask([server.address]))
        assert server.asked == []
    assert found.result == "ok"


@pytest.fixture
def app(blank: Path, tmp_path: Path) -> Iterator[App]:
    shutil.copy(blank, tmp_path / "digest.db")
    (tmp_path / "config.toml").write_text(
        '[newsletter]\nname = "M"\nslug = "morning"\nsender = "b@news.test"\n[[sources]]\nid = "a"\nkind = "file"\n'
        'path = "a.xml"\n'
    )
    with App(load_config(tmp_path / "config.toml", {})) as app:
        yield app


def find(app: App, subject: str) -> list[Checked]:
    return [one for one in check_everything(app) if one.subject.startswith(subject)]


def test_the_machine_is_looked_at(app: App, tmp_path: Path) -> None:
    (disk,) = find(app, "disk")
    assert "GB are free" in disk.message
    (journal,) = find(app, "journal")
    assert journal.message == f"who leaves is noted in {tmp_path / 'digest.db.leavers'}"
    (zones,) = find(app, "time zone data")
    assert zones.message.startswith("tzdata 20")
    (backup,) = find(app, "backup")
    assert (backup.result, backup.message) == ("ok", "none yet; nobody is mailed for real")


def test_the_data_on_time_zones_are_those_that_are_in_use(tmp_path: Path) -> None:
    now, folders = datetime(2026, 11, 1, tzinfo=UTC), [str(tmp_path / "none"), str(tmp_path)]
    fresh = check_zone_data(folders, now)
    assert (fresh.result, fresh.message) == ("ok", f"tzdata {tzdata.IANA_VERSION}, from the package tzdata")
    (tmp_path / "UTC").touch()
    assert check_zone_data(folders, now).message == f"tzdata of an unknown version, from the system's {tmp_path}"
    (tmp_path / "tzdata.zi").write_text("# version 2025b\n# redo posix_only\n")
    old = check_zone_data(folders, now)
    assert (old.result, old.message) == ("warning", f"tzdata 2025b, from the system's {tmp_path}")
    assert old.remedy == f"bring the system's {tmp_path} up to date: countries change their clocks"


def test_a_backup_is_remembered_and_grows_old(app: App, tmp_path: Path) -> None:
    app.store.clock()
    back_up_store(app.config, tmp_path / "backup")
    (fresh,) = find(app, "backup")
    assert fresh.result == "ok"
    assert f"{datetime.now(UTC):%Y-%m-%d}" in fresh.message
    with App(app.config, clock=lambda: datetime.now(UTC) + timedelta(days=9)) as later:
        (old,) = find(later, "backup")
    assert old.result == "warning"
    assert old.remedy
    assert "digest db backup" in old.remedy


def test_a_backup_that_cannot_be_noted_is_made_and_says_so(app: App, tmp_path: Path) -> None:
    with app.store._database.write() as connection:
        connection.exec_driver_sql("CREATE TRIGGER full BEFORE INSERT ON keys BEGIN SELECT RAISE(ABORT, 'full'); END")
    unnoted = back_up_store(app.config, tmp_path / "backup")
    assert "full" in str(unnoted)
    assert (tmp_path / "backup").stat().st_size > 0
    assert app.store.find_last_backup() is None


def test_a_backup_changes_nothing_in_a_database_that_is_older_than_its_journal(app: App, tmp_path: Path) -> None:
    (reader,) = add_readers(app.store, 1)
    app.store.backup(tmp_path / "older")
    assert app.store.subscribers.remove("morning", reader.email, now=NOW)
    app.store.close()
    (tmp_path / "digest.db").write_bytes((tmp_path / "older").read_bytes())
    assert back_up_store(app.config, tmp_path / "backup") is None
    told: list[object] = []
    with closing(SqlStore.open(app.config.store.url, on_replayed=told.append)):
        assert len(told) == 1, "the next command tells what it brings up"


def test_who_may_read_and_change_what_is_told(app: App, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.chmod(0o644)
    (tmp_path / ".env").write_text("DIGEST_SMTP_PASSWORD=x")
    (tmp_path / ".env").chmod(0o600)
    assert [one.result for one in find(app, "permissions")] == ["ok"]
    (tmp_path / ".env").chmod(0o644)
    config.chmod(0o666)
    changeable, readable = find(app, "permissions")
    assert (changeable.result, changeable.remedy) == ("failure", f"chmod o-w {config}")
    assert (readable.result, readable.subject) == ("warning", "permissions .env")


def test_a_journal_that_cannot_be_written_is_a_failure(app: App, tmp_path: Path) -> None:
    (tmp_path / "digest.db.leavers").mkdir()
    (journal,) = find(app, "journal")
    assert (journal.result, "Is a directory" in journal.message) == ("failure", True)


@pytest.mark.parametrize(
    "server",
    [
        *("dns.example.org", "192.0.2.1.9", "192.0.2.1:", "192.0.2.1:abc", "192.0.2.1:0", "192.0.2.1:99999", ":53", ""),
        *("[::1", "[::1]:x", "[::1]:", "[192.0.2.1]:53", "::1]:53", "2606:4700:4700::1111:99999"),
    ],
)
def test_a_nameserver_is_an_address(tmp_path: Path, server: str) -> None:
    (tmp_path / "config.toml").write_text(
        f'[newsletter]\nname = "M"\nslug = "m"\nsender = "b@news.test"\n[check]\nnameservers = ["{server}"]\n'
    )
    with pytest.raises(ConfigError) as error:
        load_config(tmp_path / "config.toml", {})
    assert "is no address of a server" in error.value.faults[0]


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("192.0.2.1", ("192.0.2.1", 53)),
        ("192.0.2.1:5353", ("192.0.2.1", 5353)),
        ("2606:4700:4700::1111", ("2606:4700:4700::1111", 53)),
        ("::1", ("::1", 53)),
        ("[::1]", ("::1", 53)),
        ("[2606:4700:4700::1111]:5353", ("2606:4700:4700::1111", 5353)),
    ],
)
def test_a_nameserver_is_read_with_its_port(text: str, server: tuple[str, int]) -> None:
    assert Checks(nameservers=(text,)).servers == [server]
