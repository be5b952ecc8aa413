"""What a stage makes of given documents: the `digest inspect` commands. No database, no network.

    files | --manifest | - ──> Document ──> one stage ──> one JSON object a document, in order

A document that cannot be read or understood becomes `{"path", "error"}` and never stops the others. Kind and gzip are
recognised by content, never by name.
"""

from digest.operate.documents.collecting import inspect_feeds, inspect_pages, inspect_sources
from digest.operate.documents.editing import inspect_emails, inspect_grounding, inspect_stories, inspect_summaries
from digest.operate.documents.reading import Document, Row, read_documents

__all__ = [
    "Document",
    "Row",
    "inspect_emails",
    "inspect_feeds",
    "inspect_grounding",
    "inspect_pages",
    "inspect_sources",
    "inspect_stories",
    "inspect_summaries",
    "read_documents",
]
