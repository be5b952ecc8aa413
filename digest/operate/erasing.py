"""A reader who asks to be forgotten: here, and by the provider that carried the mail.

The provider is told by address, which is then kept nowhere else: it waits in a table of its own until it was told.
"""

from contextlib import closing
from typing import TYPE_CHECKING, Final

from digest.errors import ConfigError, TransportError
from digest.models import SubscriberState
from digest.operate.reconciling import find_table, open_lists

if TYPE_CHECKING:
    from digest.app import App
    from digest.protocols import Lists

_AT_ONCE: Final = 1000  # addresses: what was told of is settled before the next are


def erase_reader(app: "App", email: str) -> bool:
    """Forget a person in every newsletter; False when nothing is kept of that address. Raises StoreError.

    What the provider knows goes, too, as soon as `erase_owed` has told it.
    """
    slug, is_new = app.config.newsletter.slug, False
    if find_table(app) is not None:  # first: after a crash between the two, somebody is forgotten there alone
        is_new = app.store.erasures.owe(slug, email, now=app.clock())
    if app.store.subscribers.erase(email, now=app.clock()):
        return True
    if is_new:  # not what is owed since the person was erased here, and the provider could not be told
        app.store.erasures.settle(slug, [email])
    return False


def erase_subscription(app: "App", key: str) -> bool:
    """The same of one subscription's reader, who stays in other newsletters; False when nobody has that key."""
    slug = app.config.newsletter.slug
    reader = app.store.subscribers.by_key(slug, key)
    if reader is None or reader.state is SubscriberState.ERASED:
        return False
    if find_table(app) is not None:  # first, as above
        app.store.erasures.owe(slug, reader.email, now=app.clock())
    return app.store.managing.erase(slug, key, now=app.clock())


def erase_owed(app: "App", lists: "Lists | None" = None) -> int:
    """Tell the provider whom to forget; how many that were. Raises ConfigError, TransportError and StoreError."""
    slug = app.config.newsletter.slug
    owed = app.store.erasures.owed(slug)
    if not owed:
        return 0
    if lists is None:
        with closing(open_lists(app)) as opened:
            return erase_owed(app, opened)
    for start in range(0, len(owed), _AT_ONCE):
        chunk = owed[start : start + _AT_ONCE]
        lists.erase(chunk)
        app.store.erasures.settle(slug, chunk)
    return len(owed)


def try_to_erase_owed(app: "App") -> str | None:
    """The same, at once; why it is to be tried again later, where it is. Raises StoreError."""
    try:
        erase_owed(app)
    except (TransportError, ConfigError) as error:
        return f"the provider was not told yet, and will be by `digest serve`, or with the next run: {error}"
    return None
