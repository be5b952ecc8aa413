"""What should not go out unattended: findings on a mail, and one verdict.

Pure: it looks at what it is given and asks the network nothing. Two things are judged: a rendition
(`headers` is None; the reader's link is still `UNSUBSCRIBE_TOKEN`), and a message as it would be sent
(`headers` given; nothing of the templates may be left in it). The rules, by the names in the findings:

    size                     Gmail clips near 102 kB of HTML: warns from 80,000 bytes, fails from 100,000
    placeholder-text         words that were meant to be replaced
    token-left               a template's or a mail service's placeholder that nobody filled in
    unsubscribe-link         a way out in both parts
    unsubscribe-host         it is at the site that List-Unsubscribe names, or at the sender's
    unsubscribe-answer       the way out was tried, and did not answer
    html-part, text-part     both are there; the text says what the HTML says
    link-empty, link-scheme  every link leads somewhere, by http, https, mailto or tel
    link-malformed           to a host that can be one, by a port that is one
    link-target              or to what is in the mail
    reserved-name            links to names that exist on paper only (RFC 2606, RFC 6761): a remark
    image-alt                each picture has words for those who do not see it
    image-source             and an address from which clients show it
    image-tracking           pictures of one pixel
    heading                  one h1, and no level skipped
    language, direction      the document says which language it is in, and which way that runs
    forbidden-element        what mail clients drop or distrust
    active-content           what would act by itself
    client-…                 features of CSS and HTML that some clients lack, by the data of Can I email
    contrast-light, contrast-dark, text-size     words that cannot be read
    duplicate-headline       a story printed twice
    empty-section            a section's title with nothing under it
    subject-empty, subject-length
    spam-…                   a subject that shouts or pretends, links that hide where they lead, say another site or
                             name none, phrases that filters know, words that are spaced out, pictures without
                             words, many hidden words
    link-dead, link-refused  a link was tried, and did not answer; asked for only
    header-…                 From, To, Date, Message-ID, what is there twice or in bare bytes (RFC 5322), MIME-Version
                             (RFC 2045), List-ID (RFC 2919), List-Unsubscribe (RFC 2369) and
                             List-Unsubscribe-Post (RFC 8058)
    line-length              lines longer than servers take (RFC 5322 §2.1.1)
    part-order               the HTML after the text, so that it is shown (RFC 2046 §5.1.4)
    charset                  what the parts say that they are in, and are in
    attachment               no programs
    unreadable               a document in which no mail could be found
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal

from digest.models import UNSUBSCRIBE_TOKEN, Finding, Severity
from digest.preflight.anchors import list_links
from digest.preflight.document import UnreadableError, read_document
from digest.preflight.headers import homes_of, inspect_headers, inspect_subject, links_out
from digest.preflight.html import inspect_html, parse_html
from digest.preflight.links import judge_answers, links_to_try
from digest.preflight.message import inspect_message, list_content_ids
from digest.preflight.phrases import inspect_phrases
from digest.preflight.tokens import find_placeholders, find_tokens
from digest.preflight.words import inspect_text

__all__ = ["TryLinks", "inspect", "inspect_built", "inspect_document", "verdict"]

# Asks addresses: the status, if any, and what was wrong with each that did not answer; None of those that did.
TryLinks = Callable[[Sequence[str]], Mapping[str, tuple[int | None, str] | None]]

_SEVERITIES: tuple[Severity, ...] = ("fail", "warn", "info")


def verdict(findings: Sequence[Finding]) -> Literal["ok", "warn", "fail"]:
    """The worst of the findings; remarks count for nothing."""
    severities = {finding.severity for finding in findings}
    if "fail" in severities:
        return "fail"
    return "warn" if "warn" in severities else "ok"


def inspect(
    html: str,
    text: str | None,
    *,
    headers: Mapping[str, str] | None = None,
    subject: str | None = None,
    rehearsal: bool = True,
    unsubscribe_checked: str | None = None,
    content_ids: Collection[str] | None = None,
) -> list[Finding]:
    """The findings on one mail, the worst first.

    `text` is None where only the HTML is at hand, "" where the mail has no text part. `headers` are as
    written but unfolded, their names in any letter case; without them a rendition is judged. `rehearsal`
    says that nothing leaves this machine: an insecure or unreachable way out is then a remark.
    `unsubscribe_checked` is what was wrong when the way out was tried; None: nothing, or it was not tried.
    `content_ids` are the parts that pictures may come from; None: that is not known.
    """
    findings = list(_inspect(html, text, headers, subject, content_ids, rehearsal=rehearsal))
    if unsubscribe_checked is not None:
        message = f"The way out does not answer: {unsubscribe_checked}"
        severity: Severity = "info" if rehearsal else "fail"
        findings.append(Finding(rule="unsubscribe-answer", severity=severity, message=message))
    return _sort(findings)


def inspect_document(raw: bytes, try_links: TryLinks | None = None) -> tuple[list[Finding], int]:
    """The findings on an HTML file or a whole message (RFC 5322), and the bytes of its HTML in UTF-8.

    Which of the two it is, and whether it is gzipped, is told by its content. What is neither is a finding.
    `try_links` asks the network, if that is wanted.
    """
    try:
        document = read_document(raw)
    except UnreadableError as error:
        return [Finding(rule="unreadable", severity="fail", message=str(error))], 0
    findings = inspect(
        document.html,
        document.text,
        headers=document.headers,
        subject=document.subject,
        content_ids=list_content_ids(document.message) if document.message is not None else None,
    )
    if document.message is not None:
        findings.extend(inspect_message(document.raw, document.message))
    root = parse_html(document.html) if try_links else None
    if try_links and root is not None:
        places = links_to_try(list_links(root), links_out(document.headers or {}))
        findings.extend(judge_answers(places, try_links(list(places))))
    return _sort(findings), len(document.html.encode(errors="replace"))


def inspect_built(raw: bytes, *, rehearsal: bool) -> list[Finding]:
    """What a message as it would be sent shows and its rendition does not: headers, structure, tokens."""
    try:
        document = read_document(raw)
    except UnreadableError as error:
        return [Finding(rule="unreadable", severity="fail", message=str(error))]
    lower = {name.lower(): value for name, value in (document.headers or {}).items()}
    findings = list(inspect_headers(lower, rehearsal=rehearsal))
    if document.message is not None:
        findings.extend(inspect_message(document.raw, document.message))
    if UNSUBSCRIBE_TOKEN.encode() in raw:
        message = "A place for the reader's own link was not filled in."
        findings.append(Finding(rule="token-left", severity="fail", message=message))
    return _sort(findings)


def _sort(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: _SEVERITIES.index(finding.severity))


def _inspect(
    html: str,
    text: str | None,
    headers: Mapping[str, str] | None,
    subject: str | None,
    content_ids: Collection[str] | None,
    *,
    rehearsal: bool,
) -> Iterator[Finding]:
    lower = {name.lower(): value for name, value in headers.items()} if headers is not None else None
    ways_out = [UNSUBSCRIBE_TOKEN] if lower is None else links_out(lower)
    parts = {"HTML": html, "text": text or "", "Subject": subject or ""}
    for part, words in parts.items():
        for finding in find_tokens(words, part):
            if UNSUBSCRIBE_TOKEN not in finding.message or lower is not None or part == "Subject":
                yield finding
    yield from find_placeholders(parts)
    yield from inspect_phrases(parts)
    if html:
        yield from inspect_html(html, ways_out, homes_of(lower or {}), content_ids)
    else:
        severity: Severity = "warn" if text else "fail"
        yield Finding(rule="html-part", severity=severity, message="The mail has no HTML part.", where="HTML")
    if text is not None:
        yield from inspect_text(text, html, ways_out)
    if subject is not None:
        yield from inspect_subject(subject)
    if lower is not None:
        yield from inspect_headers(lower, rehearsal=rehearsal)
