"""What an edition's mail says besides its stories, as the operator wants it: the subject, links that are counted."""

from datetime import date, datetime

from digest.audience.links import Links
from digest.config import Config
from digest.config.schema import Newsletter
from digest.models import Cadence, Edition, Item, Letterhead, Message, Rendition

_NOBODY = "0" * 32


def write_subject(
    newsletter: Newsletter, cadence: Cadence, day: date, lead: Item | None, count: int, language: str
) -> str:
    """The subject of that day's edition, for its lead and number of stories. Raises RenderError."""
    from digest.render import render_subject

    return render_subject(
        newsletter.subject,
        newsletter=newsletter.name,
        cadence=cadence,
        day=day,
        language=language,
        lead=lead,
        count=count,
    )


def try_subject(newsletter: Newsletter, day: date, now: datetime) -> str:
    """The subject that a made-up lead would give. Raises RenderError when its template is wrong."""
    lead = Item(
        id="0",
        headline="A headline",
        link=None,
        outlet="An outlet",
        published_at=now,
        topic=None,
        summary=None,
        language=newsletter.language,
        direction="ltr",
    )
    return write_subject(newsletter, "daily", day, lead, 1, newsletter.language)


def count_readings(config: Config, links: Links, edition: Edition, rendition: Rendition) -> Rendition:
    """A rendition with redirects for links and a picture, where they are counted: the same for every reader."""
    counting = config.counting
    if not (counting.clicks or counting.opens):
        return rendition
    from digest.render.redirecting import count_links, list_links

    name, ours = f"{edition.date}-{edition.cadence}", f"{config.newsletter.base_url.rstrip('/')}/"
    redirects = {
        address: links.url("click", f"{name}-{number:07x}")
        for number, address in (list_links(edition).items() if counting.clicks else ())
        if not address.startswith(ours)
    }
    pixel = f"{links.url('open', name)}.gif" if counting.opens else None
    return count_links(rendition, redirects, pixel)


def write_message(links: Links, rendition: Rendition, letterhead: Letterhead) -> bytes:
    """A rendition as a message to a reader who is nobody."""
    from digest.transports import mime

    nobody = Message(
        delivery=0,
        send_key=_NOBODY,
        email="reader@example.com",
        name=None,
        unsubscribe_url=links.unsubscribe_url(_NOBODY),
    )
    return mime.build(rendition, letterhead).address(nobody)
