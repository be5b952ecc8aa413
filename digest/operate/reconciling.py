"""The provider's suppression lists and ours, brought together.

    lists ──read──> compare with how each stands here ──> suppress here, then add there and take off there

Here first: should the provider fail in the middle, nobody is mailed who should not be.
"""

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from digest.adapters import read_sendgrid_key
from digest.audience.reconciling import Differences, WaveRule, compare
from digest.config.delivering import SendGridTable
from digest.errors import ConfigError
from digest.models import Listed, ProviderList, SubscriberState, fold_address
from digest.protocols import Lists

if TYPE_CHECKING:
    from digest.app import App


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What was done, or would be."""

    listed: int  # addresses on the provider's lists
    bounced: int  # suppressed here since the provider knows that they bounce
    complained: int
    left: int  # left this newsletter, since they left all mail of the account
    ended: int  # of all these, readers who were mailed until now
    added: int  # put on the provider's list
    removed: int  # taken off the provider's lists: they came back
    set_aside: int  # bounces that wait for the operator's word


def find_table(app: "App") -> SendGridTable | None:
    """The transport whose provider keeps such lists, unless it is one for rehearsals."""
    tables = (table for table in app.config.transports if isinstance(table, SendGridTable) and not table.sandbox)
    return next(tables, None)


def open_lists(app: "App") -> Lists:
    """The lists of the configured provider. Raises ConfigError where there is none."""
    from digest.transports.sendgrid_lists import SendGridLists

    table = find_table(app)
    if table is None:
        raise ConfigError(
            "transport",
            "none of them has a provider with lists of its own",
            remedy='they are SendGrid\'s, kind = "sendgrid"',
        )
    key = read_sendgrid_key(app.config.secrets)
    return SendGridLists(api_key=key, host=table.host, region=table.region, wait=app.wait, clock=app.clock)


def reconcile(app: "App", lists: Lists | None = None, *, dry: bool = False, with_waves: bool = False) -> Reconciled:
    """Compare and put right; `dry` only compares. Raises ConfigError, TransportError and StoreError.

    Bounces of which too many came from one domain at once wait for the operator, who takes them `with_waves`.
    """
    if lists is None:
        with closing(open_lists(app)) as opened:
            return reconcile(app, opened, dry=dry, with_waves=with_waves)
    table = app.config.bounces
    rule = None if with_waves else WaveRule(count=table.wave, within=table.wave_within)
    slug, store = app.config.newsletter.slug, app.store
    found = {name: _read(lists, name) for name in ProviderList}
    keys = list(dict.fromkeys(key for listed in found.values() for key in listed))
    differences = compare(found, store.reconciling.of(slug, keys), store.reconciling.gone(), rule)
    ended = 0
    if not dry:
        for state, emails in differences.here.items():
            ended += store.reconciling.suppress(slug, emails, state, now=app.clock())
        for name, emails in differences.off.items():
            lists.remove(name, emails)
        lists.add(differences.there)
    return _count(differences, listed=len(keys), ended=ended)


def say_reconciled(done: Reconciled) -> str | None:
    """What changed, in one line; None when nothing did."""
    told = {
        "bounced": done.bounced,
        "complained": done.complained,
        "left": done.left,
        "told to the provider": done.added,
        "taken off its lists": done.removed,
        "bounces wait for you": done.set_aside,
    }
    said = [f"{number} {what}" for what, number in told.items() if number]
    how = "; `digest subscribers reconcile --with-waves` takes the bounces" if done.set_aside else ""
    return f"suppression lists: {', '.join(said)}{how}" if said else None


def _read(lists: Lists, name: ProviderList) -> dict[str, Listed]:
    """A list by folded address; of one that stands there twice the newest."""
    found: dict[str, Listed] = {}
    for one in lists.read(name):
        key = fold_address(one.email)
        if key not in found or found[key].listed_at < one.listed_at:
            found[key] = one
    return found


def _count(differences: Differences, *, listed: int, ended: int) -> Reconciled:
    here = {state: len({fold_address(email) for email in emails}) for state, emails in differences.here.items()}
    return Reconciled(
        listed=listed,
        bounced=here.get(SubscriberState.BOUNCED, 0),
        complained=here.get(SubscriberState.COMPLAINED, 0),
        left=here.get(SubscriberState.UNSUBSCRIBED, 0),
        ended=ended,
        added=len(differences.there),
        removed=sum(len(emails) for emails in differences.off.values()),
        set_aside=differences.set_aside,
    )
