"""Whether the sources give something, and whether their pages can be read."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from digest.operate.check.checked import Checked
from digest.operate.trying import try_sources

if TYPE_CHECKING:
    from digest.app import App


def check_sources(app: "App") -> Iterator[Checked]:
    """A line for each source, or one that there is none."""
    if not app.config.sources:
        yield Checked(
            subject="sources",
            result="failure",
            message="none is configured",
            remedy="run `digest sources add URL`",
        )
        return
    rights = {table.id: table.rights for table in app.config.sources}
    for tried in try_sources(app):
        report = tried.report
        subject = f"source {report.id}"
        found = "1 entry" if report.entries == 1 else f"{report.entries} entries"
        if not report.ok:
            yield Checked(subject=subject, result="failure", message=report.error or "it failed")
        elif rights[report.id] is None:
            yield Checked(
                subject=subject,
                result="warning",
                message=f"{found}; rights are not stated",
                remedy='state rights = "own", "licensed", "extract" or "headline"',
            )
        elif tried.page_fault:
            yield Checked(
                subject=subject,
                result="warning",
                message=f"{found}; the page of the newest: {tried.page_fault}",
                remedy="the feed's own words do instead; full_text = false, if they always are to",
            )
        else:
            page = ", the page of the newest read" if tried.is_page_tried else ""
            yield Checked(subject=subject, result="ok", message=f"{found}{page}")
