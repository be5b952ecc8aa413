"""Two invented editions: English with an Arabic story in it, and Arabic with an English one. No such outlets exist."""

from datetime import UTC, date, datetime

from digest.models import Correction, Edition, Item, Mention, News, Section, Sentence, Summary
from digest.text import direction_of

DAY = date(2026, 11, 24)


def item(
    headline: str,
    summary: str | None,
    *,
    outlet: str = "The Harbour Ledger",
    link: str | None = "https://ledger.example/2026/11/24/story",
    hour: int = 6,
    day: int = 24,
    topic: str | None = "world",
    language: str = "en",
    also: tuple[Mention, ...] = (),
    news: News | None = None,
    edited: tuple[str, ...] = (),
    image: str | None = None,
) -> Item:
    """A story as printed; its summary is one sentence as far as offsets go."""
    said = None
    if summary is not None:
        said = Summary(sentences=(Sentence(text=summary, document=0, start=0, end=len(summary)),))
    return Item(
        id=headline[:20],
        headline=headline,
        link=link,
        outlet=outlet,
        published_at=datetime(2026, 11, day, hour, 15, tzinfo=UTC),
        topic=topic,
        summary=said,
        language=language,
        direction=direction_of(language),
        also=also,
        news=news,
        edited=edited,
        image=image,
    )


def mention(outlet: str, title: str, link: str | None) -> Mention:
    """Another outlet's article."""
    return Mention(outlet=outlet, title=title, link=link)


def edition(
    sections: tuple[Section, ...],
    *,
    language: str = "en",
    name: str = "Morning Brief",
    silent: tuple[str, ...] = (),
    corrections: tuple[Correction, ...] = (),
) -> Edition:
    """An edition of 24 November 2026 whose subject is its first headline."""
    items = [printed for section in sections for printed in section.items]
    return Edition(
        newsletter="morning",
        name=name,
        cadence="daily",
        date=DAY,
        subject=items[0].headline if items else name,
        language=language,
        direction=direction_of(language),
        sections=sections,
        composed_at=datetime(2026, 11, 24, 6, 55, tzinfo=UTC),
        cutoff_at=datetime(2026, 11, 24, 6, 50, tzinfo=UTC),
        silent=silent,
        corrections=corrections,
    )


ARABIC_STORY = item(
    "مدينة المرجان تفتح أول سوق عائمة للأسماك في الخليج",
    "افتتحت مدينة المرجان صباح الثلاثاء سوقًا عائمة تضم ستين بسطة، بعد ثلاث سنوات من العمل. وقال مجلس "
    "المدينة إن الصيادين سيبيعون صيدهم مباشرة من القوارب، وإن الأسعار ستُعلن كل ساعة على لوحات "
    "إلكترونية.",
    outlet="صحيفة الميناء",
    link="https://almina.example/markets/floating",
    hour=4,
    language="ar",
    also=(mention("The Harbour Ledger", "A market that floats", "https://ledger.example/floating-market"),),
)

ENGLISH = edition(
    (
        Section(
            id="world",
            title="World",
            items=(
                item(
                    "Nine river states agree to share the Okari’s water by season, not by border",
                    "After eleven years of talks, the nine states along the Okari signed a treaty on "
                    "Monday night that divides the river’s water by season. Upstream dams must release "
                    "a third of their stock before planting begins. A panel of hydrologists will "
                    "publish the levels every morning, and any state may ask for a recount.",
                    outlet="The Harbour Ledger",
                    link="https://ledger.example/2026/11/24/okari-treaty",
                    hour=5,
                    image="https://ledger.example/okari.jpg",
                    also=(
                        mention("Northgate Post", "River treaty signed at last", "https://northgate.example/okari"),
                        mention(
                            "Plain Report",
                            "What the Okari deal says, clause by clause",
                            "https://plain.example/okari",
                        ),
                    ),
                ),
                item(
                    "Island ferries return after the longest storm season on record",
                    "Ferries between the Sable Islands sailed again on Tuesday after nineteen days in "
                    "port. The operator said two crossings a day would run until the harbour walls are "
                    "inspected, and that winter fares would not rise.",
                    outlet="Northgate Post",
                    link="https://northgate.example/ferries",
                    hour=4,
                    image="https://northgate.example/ferries.jpg?w=800&h=450",
                    news=News(told_on=date(2026, 11, 22), numbers=("19",), outlets=("Northgate Post", "Plain Report")),
                ),
                ARABIC_STORY,
            ),
        ),
        Section(
            id="business",
            title="Business",
            items=(
                item(
                    "Grain exchange pauses trading for a morning to count what is in the silos",
                    "The Dunmore grain exchange stopped trading for three hours on Monday while "
                    "inspectors weighed stocks in forty silos. They found 2.1 million tonnes, four per "
                    "cent less than the books said. Prices rose briefly and closed where they began.",
                    outlet="Plain Report",
                    link="https://plain.example/grain",
                    topic="business",
                    day=23,
                    hour=17,
                    also=(mention("The Harbour Ledger", "Silos counted", None),),
                ),
                item(
                    "A bank that lends only bicycles makes its first profit",
                    "Pedal Credit, founded six years ago by three mechanics, reported a profit of "
                    "410,000 crowns. It has lent 27,000 bicycles and lost 312 of them.",
                    outlet="Northgate Post",
                    link="https://northgate.example/pedal-credit?edition=morning&page=2",
                    topic="business",
                    hour=3,
                ),
                item(
                    "Harbour cranes to run on shore power by spring",
                    None,
                    outlet="The Harbour Ledger",
                    link="https://ledger.example/cranes",
                    topic="business",
                    hour=2,
                ),
            ),
        ),
        Section(
            id="science",
            title="Science",
            items=(
                item(
                    "A lichen that keeps time: samples from two mountains agree to within a decade",
                    "Botanists measured the growth of one lichen species on two mountains 900 "
                    "kilometres apart and dated the same rockfall to within ten years. The method needs "
                    "a ruler and a map, and no laboratory.",
                    outlet="Plain Report",
                    link="https://plain.example/lichen",
                    topic="science",
                    hour=1,
                    edited=("headline",),
                ),
                item(
                    "Deep-sea microphones hear a whale song that nobody had catalogued",
                    "An array of microphones laid to listen for earthquakes recorded a song of eleven "
                    "notes, repeated for six weeks. Biologists at the Institute for Quiet Seas think "
                    "that it belongs to a known species with a new habit.",
                    outlet="Northgate Post",
                    link="https://northgate.example/whales",
                    topic="science",
                    day=23,
                    hour=20,
                    also=(
                        mention("The Harbour Ledger", "Eleven notes", "https://ledger.example/eleven-notes"),
                        mention("صحيفة الميناء", "أغنية من الأعماق", "https://almina.example/whales"),
                    ),
                ),
            ),
        ),
        Section(
            id="culture",
            title="Culture",
            items=(
                item(
                    "The library that lends silence",
                    "The town of Weir opened a reading room where nothing may be played, filmed or "
                    "announced. On its first weekend 1,400 people queued to sit in it.",
                    outlet="The Harbour Ledger",
                    link=None,
                    topic="culture",
                    hour=0,
                ),
                item(
                    "Puppeteers’ guild turns one hundred and moves back into its first theatre",
                    "The guild bought the small theatre on Lantern Street where it was founded, and "
                    "will reopen it in March with the play that closed it in 1931.",
                    outlet="Plain Report",
                    link="https://plain.example/puppets",
                    topic="culture",
                    day=23,
                    hour=19,
                ),
            ),
        ),
        Section(
            id="",
            title="",
            items=(
                item(
                    "Clocks in Marrow Square disagree, and the council decides to leave them so",
                    "Four clocks face Marrow Square and no two show the same minute. The council heard "
                    "thirty residents on Monday and voted to change nothing.",
                    outlet="Northgate Post",
                    link="https://northgate.example/clocks",
                    topic=None,
                    day=23,
                    hour=18,
                ),
                item(
                    "Snow before leaves: two ski villages open a month early",
                    "Lower Fell and Upper Fell opened their lifts on Monday, the earliest start since 1978.",
                    outlet="Plain Report",
                    link="https://plain.example/snow",
                    topic=None,
                    hour=3,
                ),
            ),
        ),
    ),
    corrections=(
        Correction(
            edition=date(2026, 11, 23),
            made_at=datetime(2026, 11, 23, 12, tzinfo=UTC),
            text="The grain exchange is in Dunmore, not in Dunmere.",
        ),
    ),
    silent=("Coastline Radio",),
)

ARABIC = edition(
    (
        Section(
            id="world",
            title="العالم",
            items=(
                item(
                    "تسع دول على نهر أوكاري تتفق على تقاسم مياهه بحسب الفصول لا الحدود",
                    "بعد أحد عشر عامًا من المحادثات، وقّعت الدول التسع الواقعة على نهر أوكاري ليل "
                    "الاثنين معاهدة تقسم مياه النهر بحسب الفصول. وعلى السدود العليا أن تُطلق ثلث "
                    "مخزونها قبل بدء الزراعة، وستنشر لجنة من علماء المياه المناسيب كل صباح.",
                    outlet="صحيفة الميناء",
                    link="https://almina.example/okari",
                    hour=5,
                    image="https://almina.example/okari.jpg",
                    language="ar",
                    also=(
                        mention("نشرة السهل", "معاهدة النهر", "https://sahl.example/okari"),
                        mention("The Harbour Ledger", "Nine river states agree", "https://ledger.example/okari"),
                    ),
                ),
                ARABIC_STORY,
                item(
                    "Island ferries return after the longest storm season on record",
                    "Ferries between the Sable Islands sailed again on Tuesday after nineteen days in "
                    "port. The operator said two crossings a day would run until the harbour walls are "
                    "inspected.",
                    outlet="Northgate Post",
                    link="https://northgate.example/ferries",
                    hour=4,
                ),
            ),
        ),
        Section(
            id="business",
            title="أعمال",
            items=(
                item(
                    "بورصة الحبوب توقف التداول صباحًا لعدّ ما في الصوامع",
                    "أوقفت بورصة دنمور التداول ثلاث ساعات يوم الاثنين، بينما وزن المفتشون المخزون في "
                    "أربعين صومعة. ووجدوا 2.1 مليون طن، أي أقل بأربعة في المئة مما في الدفاتر.",
                    outlet="نشرة السهل",
                    link="https://sahl.example/grain",
                    topic="business",
                    language="ar",
                    day=23,
                    hour=17,
                ),
                item(
                    "رافعات الميناء تعمل بكهرباء الرصيف قبل الربيع",
                    None,
                    outlet="صحيفة الميناء",
                    link="https://almina.example/cranes",
                    topic="business",
                    language="ar",
                    hour=2,
                ),
            ),
        ),
    ),
    language="ar",
    name="موجز الصباح",
    silent=("إذاعة الساحل", "نشرة الجبل"),
)

EDITIONS = {"english": ENGLISH, "arabic": ARABIC}
