"""What the schema says of the API as a whole."""

from typing import Final

_ABOUT: Final = """\
Subscribers, editions and the status of {name}.

**Access.** Every request carries `Authorization: Bearer digest_…`. `digest tokens create NAME --scope …` makes a token;
it acts on this newsletter only. The scopes that a request needs stand beside it.

**Consent.** Nobody becomes `active` by this API: who is created is `pending` until they confirm by a mail that goes to
them. Who left, bounced or complained is asked by that mail like anybody else, and stays as they were until then.

**Errors** are problem details (RFC 9457, `application/problem+json`). What is asked too often is answered by 429;
`Retry-After` says in how many seconds to try again.

**Instants** are UTC (RFC 3339). What a `PATCH` does not name stays as it is; `null` clears it.
"""


def describe(name: str) -> str:
    """In Markdown. A stranger does not write here: the name is the operator's."""
    return _ABOUT.format(name=name)
