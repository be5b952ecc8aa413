"""What is too late to be news: for whom, from when on, and how that is said. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from digest.models import StoredEdition
from digest.reporting import describe_span


def find_reason(
    stored: StoredEdition, timezone: str, due_at: datetime, now: datetime, *, max_lateness: timedelta
) -> str:
    """Why an edition that is ready to be sent is too late for the readers of a zone; "": it is not."""
    due = f"{describe_span(max_lateness)} after it was due in {timezone} ({due_at:%Y-%m-%d %H:%M} UTC)"
    if stored.edition and stored.edition.composed_at - due_at > max_lateness:
        return f"the edition was made more than {due}"
    # It was ready in time, and its sender died: until it was taken up again it became too late.
    if now - max(due_at, stored.dated_at or due_at) > max_lateness:
        return f"the edition was ready, and not sent within {due}"
    return ""


def list_ends(
    stored: StoredEdition, zones: Mapping[str, datetime], due_at: datetime | None, *, max_lateness: timedelta
) -> dict[str, datetime]:
    """Until when it is news for the readers of each zone; where there are no zones, under "" for all.

    `due_at`: when it was due for those. As the scheduler has it, which gives up what is older.
    """
    due: Mapping[str, datetime | None] = zones or {"": due_at}
    began = {zone: stored.find_beginning(at) for zone, at in due.items()}
    return {zone: at + max_lateness for zone, at in began.items() if at}
