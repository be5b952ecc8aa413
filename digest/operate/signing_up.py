"""What the pages let people do: ask for the newsletter, confirm, choose, pause. Nobody is mailed here; see answering.

ask_to_subscribe ──> a request ──> [answering mails a link] ──> confirm ──> an active subscriber
ask_for_preferences ──────────────────────────┘ └──> find_preferences ──> change_preferences
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from digest.audience import consent
from digest.audience.choices import Offer
from digest.audience.consent import Link
from digest.models import Asked, AskedFor, Choices, Counted, PageRequest, Subscriber, SubscriberState
from digest.text import widen_tag

if TYPE_CHECKING:
    from digest.app import App


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What a link to the preferences leads to."""

    link: Link
    email: str
    reader: Subscriber | None  # None: the link is expired, or nobody is known by the address any more


def offer_of(app: "App") -> Offer:
    """What readers of this newsletter may choose from."""
    spoken = {tag.lower() for tag in app.renderer.languages()} | {app.config.newsletter.language.lower()}
    return Offer(topics=tuple(topic.id for topic in app.config.topics), languages=tuple(sorted(spoken)))


def language_for(app: "App", wanted: str | None) -> str:
    """The language in which a reader is spoken to: theirs as far as there are phrases of it, else the newsletter's."""
    spoken = app.renderer.languages()
    return next((tag for tag in widen_tag(wanted or "") if tag in spoken), app.config.newsletter.language)


def consent_of(app: "App", language: str | None = None) -> str:
    """What readers agree to, as it stands on the page."""
    newsletter = app.config.newsletter
    own = app.config.audience.consent
    return own or app.renderer.phrases(language or newsletter.language)["consent"].replace("{name}", newsletter.name)


def ask_to_subscribe(
    app: "App", email: str, choices: Choices, *, network: str | None, consent_text: str | None = None
) -> bool:
    """Ask for a mail with a link to confirm; whether one may go. Nothing else is changed, and nothing is told.

    `email` is a checked address. `network` is the client's address, and None where a token of the API vouches for it:
    then only the address is limited.
    """
    text = consent_text or consent_of(app)
    return _ask(app, AskedFor.CONFIRM, email, choices, network=network, consent_text=text)


def ask_for_preferences(app: "App", email: str, *, network: str | None) -> bool:
    """Ask for a mail with a fresh link; whether one may go. Who is no subscriber any more may come back by it."""
    reader = app.store.subscribers.find(app.config.newsletter.slug, email)
    choices = choices_of(reader) if reader else Choices()
    return _ask(app, AskedFor.PREFERENCES, email, choices, network=network, consent_text=consent_of(app))


def ask_for_preferences_of(app: "App", key: str, *, network: str | None) -> None:
    """The same for the subscriber of a footer's link. Of one who is not known any more nothing is said or done."""
    reader = app.store.subscribers.by_key(app.config.newsletter.slug, key)
    if reader and reader.state is not SubscriberState.ERASED:
        ask_for_preferences(app, reader.email, network=network)


def _ask(app: "App", kind: AskedFor, email: str, choices: Choices, *, network: str | None, consent_text: str) -> bool:
    now, limits = app.clock(), app.config.audience
    request = PageRequest(
        key=secrets.token_hex(16),
        kind=kind,
        email=email,
        topics=choices.topics,
        language=choices.language,
        timezone=choices.timezone,
        frequency=choices.frequency,
        consent_text=consent_text,
        consent_from=network,
        requested_at=now,
    )

    def may_be_kept(counted: Counted) -> bool:
        most = limits.confirmations_per_network if network is not None else None
        return consent.may_be_kept(counted, per_address=limits.confirmations_per_address, per_network=most)

    kept = app.store.requests.add(
        app.config.newsletter.slug,
        request,
        consent.network_of(network) if network is not None else "a token",
        may_be_kept=may_be_kept,
        counted_since=now - consent.COUNTED,
        kept_since=_kept_since(app),
    )
    app.asked.set()
    return kept


def forget_old_requests(app: "App") -> None:
    """Forget what was asked for too long ago, also where nobody asks any more."""
    app.store.requests.forget_old(app.config.newsletter.slug, _kept_since(app))


def _kept_since(app: "App") -> datetime:
    limits = app.config.audience
    return app.clock() - max(consent.KEPT, limits.confirm_within, limits.preferences_within)


def judge_confirmation(app: "App", key: str) -> tuple[Link, PageRequest | None]:
    """What a link to confirm is good for, and what it asks for; changes nothing."""
    standing = app.store.requests.find(app.config.newsletter.slug, key)
    return _judge(app)(standing), standing.request if standing else None


def confirm(app: "App", key: str, *, network: str) -> Link:
    """Use a link to confirm: GOOD where its reader is subscribed by it, DONE where they were already."""
    judge = _judge(app)
    standing = app.store.requests.confirm(
        app.config.newsletter.slug,
        key,
        may_act=lambda one: judge(one) is Link.GOOD,
        is_done=lambda one: judge(one) is Link.DONE,
        consent_from=network or None,
        now=app.clock(),
    )
    return judge(standing)


def _judge(app: "App") -> Callable[[Asked | None], Link]:
    judge = partial(consent.judge_confirmation, now=app.clock(), within=app.config.audience.confirm_within)

    def judge_one(standing: Asked | None) -> Link:
        # Requests are forgotten when they are long expired.
        if standing is None or standing.request.kind is not AskedFor.CONFIRM:
            return Link.EXPIRED
        return judge(standing)

    return judge_one


def find_preferences(app: "App", key: str) -> Preferences | None:
    """Whose preferences a link opens; None when nothing is known of it."""
    slug = app.config.newsletter.slug
    standing = app.store.requests.find(slug, key)
    if standing is None:
        return None
    request = standing.request
    link = consent.judge_preferences(request, now=app.clock(), within=app.config.audience.preferences_within)
    reader = app.store.subscribers.find(slug, request.email) if link is Link.GOOD else None
    return Preferences(link=link, email=request.email, reader=reader)


def change_preferences(app: "App", key: str, choices: Choices, *, paused_until: datetime | None) -> bool:
    """What the subscriber of that key chose; False when there is no active one."""
    return app.store.subscribers.choose(
        app.config.newsletter.slug, key, choices, paused_until=paused_until, now=app.clock()
    )


def choices_of(reader: Subscriber) -> Choices:
    """What a subscriber has chosen."""
    return Choices(topics=reader.topics, language=reader.language, timezone=reader.timezone, frequency=reader.frequency)
