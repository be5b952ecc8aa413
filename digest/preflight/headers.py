"""The rules on the subject and the other headers."""

import re
from collections.abc import Iterator, Mapping
from email.utils import getaddresses, parsedate_to_datetime

from digest.models import Finding, Severity
from digest.preflight.distrust import distrust_subject
from digest.preflight.links import is_this_machine, split_url

_LONGEST_SUBJECT = 150  # characters


def inspect_subject(subject: str) -> Iterator[Finding]:
    """The findings on a subject, decoded."""
    if not subject.strip():
        yield _finding("subject-empty", "fail", "The mail has no subject.", "Subject")
    if len(subject) > _LONGEST_SUBJECT:
        yield _finding("subject-length", "warn", f"The subject has {len(subject)} characters.", "Subject")
    yield from distrust_subject(subject)


def inspect_headers(headers: Mapping[str, str], *, rehearsal: bool) -> Iterator[Finding]:
    """The findings on the headers of a message, their names in lower case."""
    if not any("@" in address for _, address in getaddresses([headers.get("from", "")])):
        yield _finding("header-from", "fail", "From names no address.", "From")
    if not any(headers.get(name, "").strip() for name in ("to", "cc", "bcc")):
        # No rule asks for it (RFC 5322 §3.6), but filters do.
        yield _finding("header-to", "warn", "To is missing: filters distrust a mail that is to nobody.", "To")
    try:
        parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        yield _finding("header-date", "fail", "Date is missing or is no date.", "Date")
    if not re.fullmatch(r"<[^<>\s@]+@[^<>\s@]+>", headers.get("message-id", "").strip()):
        yield _finding("header-message-id", "warn", "Message-ID is missing or malformed.", "Message-ID")
    if not re.search(r"<[^<>\s]+\.[^<>\s]+>\s*$", headers.get("list-id", "")):
        yield _finding("header-list-id", "warn", "List-ID is missing or malformed.", "List-ID")
    yield from _inspect_way_out(headers, rehearsal=rehearsal)


def links_out(headers: Mapping[str, str]) -> list[str]:
    """The links of List-Unsubscribe (RFC 2369 §3.2)."""
    return re.findall(r"<\s*([^<>]+?)\s*>", headers.get("list-unsubscribe", ""))


def homes_of(headers: Mapping[str, str]) -> frozenset[str]:
    """The hosts where a reader may leave: List-Unsubscribe's, if it has one by https, and the sender's."""
    links = [split_url(link) for link in links_out(headers)]
    hosts = {host for scheme, host in links if scheme == "https" and host}
    senders = {address.rpartition("@")[2].lower() for _, address in getaddresses([headers.get("from", "")])}
    return frozenset((hosts | senders) - {""}) if hosts else frozenset()


def _inspect_way_out(headers: Mapping[str, str], *, rehearsal: bool) -> Iterator[Finding]:
    """RFC 8058 §3.1: an HTTPS link in List-Unsubscribe, and its one word in List-Unsubscribe-Post."""
    written = headers.get("list-unsubscribe", "")
    links = [split_url(link) for link in links_out(headers)]
    schemes = {scheme for scheme, _ in links}
    severity: Severity = "fail"
    fault = ""
    if not written:
        fault = "List-Unsubscribe is missing."
    elif "=?" in written:
        fault = "List-Unsubscribe is written in encoded words, which no client reads there."
    elif not schemes:
        fault = "List-Unsubscribe has no link in angle brackets."
    elif "https" not in schemes:
        fault = "List-Unsubscribe has no https link, which one click needs."
        if rehearsal and "http" in schemes:
            severity = "info" if all(is_this_machine(host) for scheme, host in links if scheme == "http") else "warn"
    elif any(scheme == "https" and not host for scheme, host in links):
        fault = "List-Unsubscribe has an https link that names no host."
    if fault:
        yield _finding("header-list-unsubscribe", severity, fault, "List-Unsubscribe")
    if headers.get("list-unsubscribe-post", "").replace(" ", "") != "List-Unsubscribe=One-Click":
        message = "List-Unsubscribe-Post must say List-Unsubscribe=One-Click."
        yield _finding("header-list-unsubscribe-post", "fail", message, "List-Unsubscribe-Post")


def _finding(rule: str, severity: Severity, message: str, where: str) -> Finding:
    return Finding(rule=rule, severity=severity, message=message, where=where)
