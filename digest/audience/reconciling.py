"""A provider's suppression lists and ours: who is to be put on which, and who off. Pure.

    provider's lists + how each address stands here ──compare──> Differences

Nobody is mailed who should not be, whichever side knows it: what one lacks it gets. Only a reader's own later word on
our page, or the operator's hand, takes an address off the provider's list: elsewhere a later date of consent may be any
file's. Who left one newsletter may have another, so leaving is not told to the provider.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from digest.models import Footing, Listed, ProviderList, SubscriberState, fold_address

STATE_OF = {
    ProviderList.BOUNCES: SubscriberState.BOUNCED,
    ProviderList.INVALID: SubscriberState.BOUNCED,
    ProviderList.COMPLAINTS: SubscriberState.COMPLAINED,
    ProviderList.LEFT: SubscriberState.UNSUBSCRIBED,
}
_BOUNCING = {ProviderList.BOUNCES, ProviderList.INVALID}
_NEAR = timedelta(hours=1)  # a provider's list and its events do not bear the same second


@dataclass(slots=True)
class Differences:
    """What is to be done, by address."""

    here: dict[SubscriberState, list[str]] = field(default_factory=dict)  # to be suppressed here, and as what
    there: list[str] = field(default_factory=list)  # to be put on the provider's list
    off: dict[ProviderList, list[str]] = field(default_factory=dict)  # to be taken off the provider's lists
    set_aside: int = 0  # bounces that wait here for the operator's word


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveRule:
    """So many bounces of readers of one domain within a while are not believed at once."""

    count: int
    within: timedelta


def compare(
    lists: Mapping[ProviderList, Mapping[str, Listed]],
    standing: Mapping[str, Footing],
    gone: Iterable[str],
    rule: WaveRule | None = None,
) -> Differences:
    """The differences. `lists` and `standing` are by folded address; `gone` are who bounced or complained here."""
    found = Differences()
    bouncing = [one for key, one in lists.get(ProviderList.BOUNCES, {}).items() if _is_mailed(standing, key)]
    waves = find_waves(bouncing, rule) if rule else frozenset[str]()
    for name, listed in lists.items():
        for key, one in listed.items():
            stands = standing.get(key, Footing())
            is_aside = stands.set_aside_at is not None and stands.set_aside_at >= one.listed_at - _NEAR
            if came_back(name, one, stands):
                found.off.setdefault(name, []).append(one.email)
            elif stands.has_complained or (stands.is_suppressed and name is not ProviderList.COMPLAINTS):
                continue
            elif (name in _BOUNCING and is_aside) or (name is ProviderList.BOUNCES and key in waves):
                found.set_aside += 1
            else:
                found.here.setdefault(STATE_OF[name], []).append(one.email)
    known_there = {key for listed in lists.values() for key in listed}
    found.there = sorted({email for email in gone if fold_address(email) not in known_there})
    return found


def find_waves(bounces: Iterable[Listed], rule: WaveRule) -> frozenset[str]:
    """The folded addresses of those that came with too many others of their domain to be true."""
    by_domain: dict[str, list[Listed]] = {}
    for one in sorted(bounces, key=lambda one: one.listed_at):
        by_domain.setdefault(fold_address(one.email).rpartition("@")[2], []).append(one)
    found: set[str] = set()
    for listed in by_domain.values():
        first = 0
        for last, one in enumerate(listed):
            while one.listed_at - listed[first].listed_at > rule.within:
                first += 1
            if last - first + 1 == rule.count:
                found.update(fold_address(each.email) for each in listed[first : last + 1])
            elif last - first + 1 > rule.count:
                found.add(fold_address(one.email))
    return frozenset(found)


def _is_mailed(standing: Mapping[str, Footing], key: str) -> bool:
    return key in standing and standing[key].is_mailed


def came_back(name: ProviderList, listed: Listed, standing: Footing) -> bool:
    """Whether a reader asked for our mail since, or the operator took a bounce back."""
    if standing.is_suppressed:
        return False
    if standing.confirmed_at and standing.confirmed_at > listed.listed_at:
        return True
    restored = standing.restored_at
    # Of bounces only, and of what we ourselves put there for them: it is on the list of those who left.
    return name is not ProviderList.COMPLAINTS and restored is not None and restored >= listed.listed_at - _NEAR
