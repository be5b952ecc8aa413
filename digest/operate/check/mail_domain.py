"""What the DNS tells receivers of a sender's domain: whether it exists, SPF, DKIM and DMARC.

Sources: RFC 7208 (SPF), RFC 6376 (DKIM), RFC 7489 (DMARC). What hosts a record of SPF lets send is not compared with
the address from which mail will leave: behind a relay nobody here knows that one. A canary does.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from digest.audience.addresses import is_reserved
from digest.audience.canary import find_organization
from digest.operate.check.checked import Checked
from digest.records import Ask, UnansweredError

_MOST_LOOKUPS: Final = 10  # RFC 7208 §4.6.4
_LOOKUPS: Final = re.compile(r"[+?~-]?(include:|a\b|mx\b|ptr\b|exists:)", re.IGNORECASE)
_SELECTORS: Final = ("s1", "s2")  # SendGrid's, where it authenticated the domain
_POLICIES: Final = ("none", "quarantine", "reject")


def check_mail_domain(domain: str, *, through_sendgrid: bool, ask: Ask) -> Iterator[Checked]:
    """Each of the four."""
    if is_reserved(domain):
        told = f"not asked: {domain} is a name for tests and examples"
        yield Checked(subject="dns", result="ok", message=told)
        return
    try:
        servers = ask(domain, "MX")
        if not servers and not any(ask(domain, kind) for kind in ("A", "AAAA")):
            message = f"{domain} has neither a mail server nor an address: receivers refuse such a sender"
            yield Checked(
                subject="dns", result="failure", message=message, remedy="check the domain of [newsletter] sender"
            )
            return
    except UnansweredError:
        message = f"nobody answers for {domain}: without a network SPF, DKIM and DMARC were not looked at"
        yield Checked(subject="dns", result="warning", message=message, remedy="run `digest check` where there is one")
        return
    yield _check_replies(domain, servers)
    checks: dict[str, Callable[[], Checked]] = {
        "spf": partial(_check_spf, domain, ask, through_sendgrid=through_sendgrid),
        **({"dkim": partial(_check_sendgrid_keys, domain, ask)} if through_sendgrid else {}),
        "dmarc": partial(_check_dmarc, domain, ask),
    }
    for subject, check in checks.items():
        try:
            yield check()
        except UnansweredError:
            message = f"not looked at: the DNS does not answer for {domain}, or for what its record leads to"
            yield Checked(subject=subject, result="warning", message=message, remedy="run `digest check` again later")


def _check_replies(domain: str, servers: Sequence[str]) -> Checked:
    """`servers` are its records of MX; that of no host says that there is none (RFC 7505)."""
    hosts = sorted(filter(None, (server.split()[-1].rstrip(".") for server in servers)))
    if not hosts:
        why = "its MX says so (RFC 7505)" if servers else "it has no MX"
        remedy = "give the domain an MX record, or let readers reply to another with [newsletter] reply_to"
        return Checked(subject="dns", result="warning", message=f"{domain} takes no mail: {why}", remedy=remedy)
    return Checked(subject="dns", result="ok", message=f"{domain} takes mail at {', '.join(hosts[:3])}")


def _check_spf(domain: str, ask: Ask, *, through_sendgrid: bool) -> Checked:
    records = [text for text in ask(domain, "TXT") if text.lower().split(" ")[0] == "v=spf1"]
    if not records:
        if through_sendgrid:  # its envelopes are of a name below the domain, which it looks after
            return Checked(
                subject="spf", result="ok", message=f"{domain} has none; SendGrid's envelopes have their own"
            )
        remedy = f'publish a TXT record at {domain}, as your mail service has it: "v=spf1 include:… ~all"'
        return Checked(subject="spf", result="warning", message=f"{domain} says not who may send for it", remedy=remedy)
    if len(records) > 1:
        message = f"{domain} has {len(records)} records, and receivers then count none (RFC 7208 §4.5)"
        return Checked(subject="spf", result="failure", message=message, remedy="join them into one")
    (record,) = records
    if re.search(r"(^|\s)\+?all\b", record, re.IGNORECASE):
        message = f"{domain} lets anybody send for it: {record}"
        return Checked(subject="spf", result="failure", message=message, remedy='end the record with "~all" or "-all"')
    number = _count_lookups(record, ask, seen={domain})
    if number > _MOST_LOOKUPS:
        message = f"{domain} needs {number} look-ups, and receivers stop after {_MOST_LOOKUPS} (RFC 7208 §4.6.4)"
        return Checked(
            subject="spf", result="failure", message=message, remedy="leave out services that you use no more"
        )
    return Checked(subject="spf", result="ok", message=f"{domain}: {record}")


def _count_lookups(record: str, ask: Ask, *, seen: set[str]) -> int:
    """How many questions a receiver has to ask for a record, with those of the records that it leads to."""
    terms = record.split()[1:]
    number = sum(bool(_LOOKUPS.match(term)) for term in terms)
    leading = [term.lower().lstrip("+?~-").partition("include:")[2] for term in terms]
    redirects = [term.lower().partition("redirect=")[2] for term in terms]
    number += sum(bool(name) for name in redirects)
    for name in filter(None, [*leading, *redirects]):
        if name in seen or number > _MOST_LOOKUPS or "%" in name:
            continue
        seen.add(name)
        for text in ask(name.rstrip("."), "TXT"):
            if text.lower().startswith("v=spf1"):
                number += _count_lookups(text, ask, seen=seen)
    return number


def _check_sendgrid_keys(domain: str, ask: Ask) -> Checked:
    names = [f"{selector}._domainkey.{domain}" for selector in _SELECTORS]
    if any("p=" in text for name in names for text in ask(name, "TXT")):
        return Checked(subject="dkim", result="ok", message=f"SendGrid signs for {domain}")
    return Checked(
        subject="dkim",
        result="warning",
        message=f"SendGrid's usual keys ({names[0]}, {_SELECTORS[1]}) are not in the DNS",
        remedy="authenticate the domain at SendGrid (Settings, Sender Authentication), or send a canary",
    )


def _check_dmarc(domain: str, ask: Ask) -> Checked:
    """Of the domain, or of the one that it was registered under (RFC 7489 §6.6.3)."""
    names = list(dict.fromkeys(filter(None, (domain, find_organization(domain)))))
    for name in names:
        records = [text for text in ask(f"_dmarc.{name}", "TXT") if text.lower().startswith("v=dmarc1")]
        if len(records) > 1:
            message = f"_dmarc.{name} has {len(records)} records, and receivers then count none"
            return Checked(subject="dmarc", result="failure", message=message, remedy="leave one")
        if records:
            return _judge_dmarc(name, records[0])
    remedy = f'publish a TXT record at _dmarc.{names[-1]}, to begin with "v=DMARC1; p=none"'
    message = f"{names[-1]} has no policy, which the large receivers ask of whoever mails many"
    return Checked(subject="dmarc", result="warning", message=message, remedy=remedy)


def _judge_dmarc(name: str, record: str) -> Checked:
    policy = re.search(r";\s*p\s*=\s*(\w+)", record, re.IGNORECASE)
    if not policy or policy[1].lower() not in _POLICIES:
        message = f"_dmarc.{name} says no policy that receivers know: {record}"
        return Checked(subject="dmarc", result="failure", message=message, remedy='write "v=DMARC1; p=none", at first')
    return Checked(subject="dmarc", result="ok", message=f"_dmarc.{name}: {record}")
