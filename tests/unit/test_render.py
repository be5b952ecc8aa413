"""Rendering: an edition as HTML and text."""

import re
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from lxml import html as lxml_html

from digest.errors import RenderError
from digest.models import UNSUBSCRIBE_TOKEN, Section
from digest.preflight import inspect, verdict
from digest.render import Brand, Logo, Renderer, render_subject, web_view_url
from digest.render.inlining import _inline
from tests.golden.editions import ARABIC, DAY, ENGLISH, edition, item
from tests.golden.regenerate import FOLDER, TEMPLATES, THEMES, make_renderer, render_all

LANGUAGES = ("ar", "de", "en", "es", "fr")


def of_one(story, **changes):
    """An edition with a single story."""
    return edition((Section(id="world", title="World", items=(story,)),), **changes)


def own_template(tmp_path: Path, source: str | bytes, name: str = "email/edition.html") -> Renderer:
    """A renderer whose operator replaced one template."""
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(source if isinstance(source, bytes) else source.encode())
    return make_renderer(tmp_path)


def subject_of(template: str, lead=ENGLISH.lead, count: int = 12) -> str:
    return render_subject(template, newsletter="Morning Brief", day=DAY, language="en", lead=lead, count=count)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", ["english", "arabic"])
def test_an_edition_is_rendered_as_its_golden_files_show(name, theme):
    rendition = render_all(theme)[name]

    assert rendition.html == (FOLDER / f"{name}.{theme}.html").read_text(encoding="utf-8")
    assert rendition.text == (FOLDER / f"{name}.txt").read_text(encoding="utf-8")


def test_threads_render_the_same_bytes():
    renderer = make_renderer()
    with ThreadPoolExecutor(8) as pool:
        renditions = list(pool.map(lambda _: renderer.render(ENGLISH, "all"), range(24)))

    assert len({(rendition.html, rendition.text) for rendition in renditions}) == 1


def test_twelve_stories_stay_far_below_what_gmail_clips():
    assert len(ENGLISH.items) == 12
    assert len(make_renderer().render(ENGLISH, "all").html.encode()) <= 60_000


def test_both_parts_hold_the_way_out():
    rendition = make_renderer().render(ENGLISH, "all")
    tree = lxml_html.document_fromstring(rendition.html)

    assert tree.xpath("//a/@href").count(UNSUBSCRIBE_TOKEN) == 1
    assert UNSUBSCRIBE_TOKEN in rendition.text.splitlines()


@pytest.mark.parametrize("shown", [ENGLISH, ARABIC])
def test_the_mail_is_one_document_with_one_h1_and_ordered_headings(shown):
    tree = lxml_html.document_fromstring(make_renderer().render(shown, "all").html)
    ranks = [int(heading.tag[1]) for heading in tree.iter("h1", "h2", "h3", "h4")]

    assert ranks.count(1) == 1
    assert ranks[:3] == [1, 2, 3]
    assert set(ranks) == {1, 2, 3}
    assert ranks.count(3) == len(shown.items)
    assert (tree.get("lang"), tree.get("dir")) == (shown.language, shown.direction)
    assert all(table.get("role") == "presentation" for table in tree.iter("table"))


def test_each_story_carries_its_own_language_and_direction():
    tree = lxml_html.document_fromstring(make_renderer().render(ENGLISH, "all").html)
    cells = tree.xpath("//td[h3]")

    assert [(cell.get("lang"), cell.get("dir")) for cell in cells].count(("ar", "rtl")) == 1
    assert {cell.get("align") for cell in cells if cell.get("dir") == "rtl"} == {"right"}


def test_the_preheader_is_the_start_of_the_leads_summary():
    tree = lxml_html.document_fromstring(make_renderer().render(ENGLISH, "all").html)
    (preheader,) = tree.xpath("//body/div[contains(@style, 'display:none')]")

    assert preheader.text_content().startswith("After eleven years of talks")


def test_rules_for_clients_survive_inlining_and_the_mark_for_premailer_does_not():
    html = make_renderer().render(ENGLISH, "all").html

    assert "@media (prefers-color-scheme: dark)" in html
    assert re.search(r"@media \(max-width: \d+px\) \{\s*\.masthead[^{]*\{ padding-left: [^}]*!important", html)
    assert "[data-ogsc] .headline" in html
    assert "<!--[if mso]><table" in html
    assert "data-premailer" not in html


def test_a_logo_is_no_wider_than_the_column():
    logo = Logo(url="https://brand.example/logo.png", alt="The Brand", width=1200, height=300)
    html = make_renderer(brand=Brand(theme="compact", logo=logo)).render(ENGLISH, "all").html

    width, height = map(int, re.search(r'<img src="https://brand[^>]* width="(\d+)" height="(\d+)"', html).groups())
    assert width <= 560
    assert abs(width / height - 4) < 0.05


def test_a_table_may_be_called_as_the_language_is_written_and_what_nobody_fills_in_is_refused(tmp_path):
    phrases = tmp_path / "email" / "phrases" / "pt-BR.toml"
    phrases.parent.mkdir(parents=True)
    phrases.write_text('end = "Por hoje e so."\n')
    renderer = make_renderer(tmp_path)

    assert "pt-br" in renderer.languages()
    assert "Por hoje e so." in renderer.render(replace(ENGLISH, language="pt-BR"), "all").html
    phrases.write_text('update_before = "antes {dya}"\n')
    with pytest.raises(RenderError, match="dya"):
        renderer.check()


def test_what_was_inlined_once_is_not_inlined_again():
    renderer = make_renderer()
    before = _inline.cache_info()
    mails = {renderer.render(replace(ENGLISH, subject="Twice"), "all").html for _ in range(3)}
    after = _inline.cache_info()

    assert len(mails) == 1
    assert (after.misses - before.misses, after.hits - before.hits) == (1, 2)


def test_nothing_is_fetched_and_nobody_is_tracked():
    html = make_renderer().render(ENGLISH, "all").html

    assert not re.search(r"<img|<link|@import|url\(|<script", html)


def test_headline_and_outlet_link_to_the_article_and_also_to_the_others():
    html = make_renderer().render(ENGLISH, "all").html

    assert html.count('href="https://ledger.example/2026/11/24/okari-treaty"') == 2
    assert html.count('href="https://northgate.example/okari"') == 1


def test_a_story_without_a_link_is_printed_without_one():
    rendition = make_renderer().render(of_one(item("No link here", "Said so.", link=None)), "all")

    assert "No link here" in rendition.html
    assert 'class="headline-link"' not in rendition.html
    assert "No link here" in rendition.text


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "//elsewhere.example", "ftp://x.example"])
def test_a_link_that_is_not_of_the_web_is_left_out(link):
    rendition = make_renderer().render(of_one(item("Headline", "Summary.", link=link)), "all")

    assert link not in rendition.html
    assert link not in rendition.text


def test_a_link_cannot_break_out_of_its_attribute():
    link = 'https://x.example/{{ a }}?q="><b>*|b|*%zz'
    rendition = make_renderer().render(of_one(item("Headline", "Summary.", link=link)), "all")

    assert 'href="https://x.example/%7B%7B%20a%20%7D%7D?q=%22%3E%3Cb%3E*%7Cb%7C*%25zz"' in rendition.html


def test_what_feeds_say_is_printed_and_never_evaluated():
    said = "<script>alert(1)</script> {{ 7 * 7 }} {% raise %} *|NAME|* %%x%%"
    rendition = make_renderer().render(of_one(item(said, said, outlet=said)), "all")

    assert "49" not in rendition.text
    assert "<script" not in rendition.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in rendition.html
    for token in ("{{", "}}", "{%", "*|", "%%x"):
        assert token not in rendition.html
        assert token not in rendition.text
    # They look as they were: only an invisible joiner stands between the braces.
    assert "{{ 7 * 7 }}" in rendition.text.replace("\u2060", "")


def test_a_headline_cannot_carry_a_readers_own_link():
    rendition = make_renderer().render(of_one(item(f"See {UNSUBSCRIBE_TOKEN}", UNSUBSCRIBE_TOKEN)), "all")

    # The way out, and the preferences behind it.
    assert rendition.html.count(UNSUBSCRIBE_TOKEN) == rendition.html.count(f"{UNSUBSCRIBE_TOKEN}/preferences") + 1 == 2
    assert rendition.text.count(UNSUBSCRIBE_TOKEN) == rendition.text.count(f"{UNSUBSCRIBE_TOKEN}/preferences") + 1 == 2


def test_controls_and_open_embeddings_are_dropped_and_marks_are_kept():
    headline = "a\x00b\x1b[31m\u202ec\u2067d\r\ne \u200ef\U0001f469\u200d\U0001f680"
    rendition = make_renderer().render(of_one(item(headline, None)), "all")

    assert "ab[31mcd e \u200ef\U0001f469\u200d\U0001f680" in rendition.text
    assert "ab[31mcd e \u200ef\U0001f469\u200d\U0001f680" in rendition.html


def test_a_headline_of_three_hundred_characters_is_cut_at_a_word():
    rendition = make_renderer().render(of_one(item("endless " * 40, None)), "all")
    (headline,) = lxml_html.document_fromstring(rendition.html).iter("h3")

    assert len(headline.text_content().strip()) <= 180
    assert headline.text_content().strip().endswith("endless…")


def test_sources_that_failed_are_named_and_else_not_mentioned():
    renderer = make_renderer()

    assert "Could not be reached today: Coastline Radio." in renderer.render(ENGLISH, "all").text
    assert "Could not be reached" not in renderer.render(replace(ENGLISH, silent=()), "all").html


def test_a_section_without_a_title_is_called_by_a_phrase():
    renderer = make_renderer()

    assert "More stories" in renderer.render(ENGLISH, "all").text
    alone = edition((Section(id="", title="", items=(item("Only one", None),)),))
    assert "Today’s stories" in renderer.render(alone, "all").text


def test_an_edition_without_stories_still_renders():
    rendition = make_renderer().render(edition(()), "all")

    assert "0 stories" in rendition.text


def test_lines_of_text_stay_within_72_columns_unless_they_are_links():
    for line in make_renderer().render(ENGLISH, "all").text.splitlines():
        assert len(line) <= 72 or line.lstrip().startswith("https://")


def test_times_are_of_the_newsletters_zone_and_other_days_are_named():
    rendition = make_renderer().render(ENGLISH, "all")
    assert "The Harbour Ledger · 8:15\xa0AM" in rendition.text
    assert "Plain Report · Nov 23" in rendition.text

    story = item("Headline", None)
    assert (
        "6:15\xa0AM UTC"
        in Renderer(folders=[TEMPLATES], base_url="https://x.example", postal_address="")
        .render(of_one(story), "all")
        .text
    )
    late = replace(story, published_at=datetime(2026, 11, 23, 22, 0, tzinfo=UTC))
    tokyo = Renderer(
        folders=[TEMPLATES],
        base_url="https://x.example",
        postal_address="",
        timezone=ZoneInfo("Asia/Tokyo"),
    )
    assert "7:00\xa0AM" in tokyo.render(of_one(late), "all").text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_phrase(language):
    renderer = make_renderer()
    plurals = re.compile(r"_(zero|one|two|few|many|other)$")

    english = {plurals.sub("", key) for key in renderer.phrases("en")}
    own = renderer.phrases(language)
    table = tomllib.loads((TEMPLATES / "email" / "phrases" / f"{language}.toml").read_text(encoding="utf-8"))
    assert {plurals.sub("", key) for key in table} == english
    for key, phrase in renderer.phrases("en").items():
        if key in own and not plurals.search(key):
            assert re.findall(r"\{\w+\}", own[key]) == re.findall(r"\{\w+\}", phrase), key


@pytest.mark.parametrize(
    ("language", "day", "stories"),
    [
        ("en", "Tuesday, November 24, 2026", "1 story from 1 outlet"),
        ("en-GB", "Tuesday 24 November 2026", "1 story from 1 outlet"),
        ("ar", "الثلاثاء، 24 نوفمبر 2026", "خبر واحد من مصدر واحد"),
        ("fr", "Mardi 24 novembre 2026", "1 article de 1 source"),
        ("es", "Martes, 24 de noviembre de 2026", "1 noticia de 1 medio"),
        ("de-AT", "Dienstag, 24. November 2026", "1 Meldung aus 1 Quelle"),
        ("xx-nowhere", "Tuesday, November 24, 2026", "1 story from 1 outlet"),
    ],
)
def test_an_edition_speaks_its_language(language, day, stories):
    text = make_renderer().render(of_one(item("Headline", None), language=language), "all").text

    assert day.replace(",", "") in text.replace(",", "")
    assert stories in text


def test_an_operator_overrides_single_phrases_and_colours(tmp_path):
    (tmp_path / "email" / "phrases").mkdir(parents=True)
    (tmp_path / "email" / "phrases" / "en.toml").write_text('end = "So long."\n', encoding="utf-8")
    (tmp_path / "email" / "themes").mkdir()
    (tmp_path / "email" / "themes" / "plain.toml").write_text('[light]\naccent = "#123456"\n', encoding="utf-8")

    rendition = make_renderer(tmp_path).render(ENGLISH, "all")

    assert "So long." in rendition.text
    assert "Unsubscribe" in rendition.text
    assert "#123456" in rendition.html
    assert "#0b6157" not in rendition.html
    assert "#71cfbf" in rendition.html


@pytest.mark.parametrize("theme", THEMES)
def test_the_brand_goes_before_the_theme(theme):
    brand = Brand(
        theme=theme,
        light={"accent": "#123456"},
        dark={"accent": "#abcdef"},
        heading_font="Brand Serif, serif",
        text_font="Brand Sans, sans-serif",
        logo=Logo(url="https://news.example/logo.png", alt="The Brief", width=180, height=40),
    )
    html = make_renderer(brand=brand).render(ENGLISH, "all").html

    assert 'src="https://news.example/logo.png" width="180" height="40" alt="The Brief"' in html
    for wanted in ("#123456", "#abcdef", "Brand Serif", "Brand Sans"):
        assert wanted in html


def test_a_theme_of_the_operators_own_stands_beside_the_shipped_ones(tmp_path):
    themes = tmp_path / "email" / "themes"
    themes.mkdir(parents=True)
    (themes / "house.toml").write_text((TEMPLATES / "email/themes/plain.toml").read_text(encoding="utf-8"))
    (themes / "house.css").write_text(".name { font-size: 61px; }\n")
    (themes / "house.html").write_text('{% extends "email/base.html" %}\n')

    html = make_renderer(tmp_path, brand=Brand(theme="house")).render(ENGLISH, "all").html

    assert "font-size:61px" in html.replace(" ", "")


def test_a_theme_that_is_not_there_names_those_that_are():
    with pytest.raises(RenderError, match=r'theme "nova".*compact, magazine, plain'):
        make_renderer(brand=Brand(theme="nova")).render(ENGLISH, "all")


def test_a_table_without_a_colour_names_it(tmp_path):
    themes = tmp_path / "email" / "themes"
    themes.mkdir(parents=True)
    (themes / "bare.toml").write_text(
        'width = 600\ngutter = 20\ntext_font = "x"\nheading_font = "x"\narabic_font = "x"\n'
    )
    with pytest.raises(RenderError, match=r"light\.desk"):
        make_renderer(tmp_path, brand=Brand(theme="bare")).render(ENGLISH, "all")


def test_pictures_are_shown_only_where_they_may_be_and_the_operator_wants_them():
    shown = make_renderer(brand=Brand(theme="magazine")).render(ENGLISH, "all").html
    assert shown.count("<img") == 2
    assert 'alt="Nine river states agree' in shown
    assert "<img" not in make_renderer(brand=Brand(theme="magazine", images=False)).render(ENGLISH, "all").html
    assert "<img" not in make_renderer(brand=Brand(theme="plain")).render(ENGLISH, "all").html


def two_of(story):
    return edition((Section(id="world", title="World", items=(story, story)),))


@pytest.mark.parametrize(
    "image",
    [
        None,
        "",
        "data:image/png;base64,iVBORw0KGgo=",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "//ledger.example/a.png",
        "https://ledger.example/" + "a" * 20_000 + ".png",
        "https://ledger.example/chart.svg?width=600",
        "https://ledger.example/photo.avif",
        "https://me:secret@ledger.example/a.png",
        "https://[ledger.example/a.png",
    ],
)
def test_a_picture_that_cannot_be_shown_leaves_no_hole(image):
    pictured = replace(item("A headline", "Words of it."), image=image)
    html = make_renderer(brand=Brand(theme="magazine")).render(two_of(pictured), "all").html

    assert "<img" not in html
    assert "picture-cell" not in html.split("</style>")[-1]


def test_a_picture_cannot_break_out_of_its_attribute():
    pictured = replace(item("A headline", "Words of it."), image='https://ledger.example/a.png" onerror="alert(1)')
    html = make_renderer(brand=Brand(theme="magazine")).render(two_of(pictured), "all").html

    assert "<img" in html
    assert 'onerror="' not in html


def test_the_footer_names_sources_that_failed_unless_it_is_not_to():
    some = replace(ENGLISH, silent=("Northgate Post",))
    phrase = "Could not be reached today: Northgate Post."
    assert phrase in make_renderer().render(some, "all").html
    assert phrase in make_renderer().render(some, "all").text
    quiet = make_renderer(brand=Brand(names_failed=False)).render(some, "all")
    assert phrase not in quiet.html and phrase not in quiet.text


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("ok\n{{ lead.nothing }}{{ unsubscribe_url }}", 2, "has no attribute 'nothing'"),
        ("\n\n{% if %}", 3, "Expected an expression"),
        ("{{ say('nonsense') }}", 1, "there is no phrase 'nonsense'"),
        ("\n{{ 1 / 0 }}", 2, "division by zero"),
        ("{{ ''.__class__.__mro__ }}", 1, "unsafe"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", 1, "recursion"),
        ("{% for a in range(9000) %}\n{% for b in range(9000) %}{% endfor %}{% endfor %}", 2, "100,000 steps"),
        ("{% for a in range(9999) %}\n{{ 'x' * 9999 }}{% endfor %}", 2, "3,000,000 characters"),
        ("\n{{ (10 ** (10 ** 8)) % 7 }}", 2, "too many digits"),
        ("{% set n = namespace(v=3) %}{% for i in range(64) %}\n{% set n.v = n.v * n.v %}{% endfor %}", 2, "digits"),
        (
            "{% set n = namespace(v='aa') %}{% for i in range(64) %}\n{% set n.v = n.v ~ n.v %}{% endfor %}",
            2,
            "too long",
        ),
        (
            "{% set n = namespace(v='aa') %}{% for i in range(64) %}\n{% set n.v = n.v + n.v %}{% endfor %}",
            2,
            "too long",
        ),
        ("\n{{ 'a' * 3 * 10 ** 9 }}", 2, "repeated too often"),
        ("\n{{ [1] * 10 ** 9 }}", 2, "repeated too often"),
        ("\n{{ '%0999999999d' % 1 }}", 2, "too wide"),
        ("\n{{ '{:>999999999}'.format(1) }}", 2, "too wide"),
        ("\n{{ 'a'.center(10 ** 9) }}", 2, "too long"),
        ("\n{{ 'a' | center(10 ** 9) }}", 2, "too long"),
    ],
)
def test_a_wrong_template_is_named_with_its_line(tmp_path, source, line, words):
    renderer = own_template(tmp_path, source)

    with pytest.raises(RenderError, match=words) as caught:
        renderer.render(ENGLISH, "all")

    assert caught.value.subject in {f"{tmp_path}/email/edition.html:{line}", "email/edition.html"}
    assert caught.value.remedy


def test_what_a_template_may_reckon_and_join_is_as_ever(tmp_path):
    source = "{{ 2 ** 10 + 3 * 4 }} {{ 7 % 4 }} {{ '%s-%04d' % ('a', 7) }} {{ 'a' ~ 1 ~ '<b>' }} {{ 'ab' * 2 }}"
    shown = own_template(tmp_path, f"<p>{source} {{{{ unsubscribe_url }}}}</p>").render(ENGLISH, "all").html

    assert "1036 3 a-0007 a1&lt;b&gt; abab" in shown


def test_a_template_that_is_no_utf_8_is_named(tmp_path):
    renderer = own_template(tmp_path, b"\xff\xfe", name="email/themes/plain.html")

    with pytest.raises(RenderError) as caught:
        renderer.render(ENGLISH, "all")

    assert caught.value.subject == f"{tmp_path}/email/themes/plain.html"


def test_a_subject_that_asks_for_another_template_is_named_itself():
    with pytest.raises(RenderError) as caught:
        subject_of("{% include 'email/base.html' %}")

    assert caught.value.subject == "[newsletter] subject"


@pytest.mark.parametrize(
    "link", ["https://x..com/a", "https://exa mple.com/a", "https://x.org:99999/", "https:///a", "https://x.org:0/"]
)
def test_what_leads_nowhere_is_no_link(link):
    told = replace(item("A headline", "Words of it."), link=link)

    assert verdict(inspect(make_renderer().render(two_of(told), "all").html, None)) != "fail"


@pytest.mark.parametrize(
    "words",
    [
        "What ${HOME} means",
        "The [[ test ]] of [[name]]",
        "<%= erb %> for ##name##",
        "Dear [FNAME]",
        "{{ x }} *|Y|* %%z%%",
    ],
)
def test_no_headline_that_looks_like_a_token_stops_an_edition(words):
    told = replace(item(words, words), link="https://x.org/{{id}}?a=*|b|*&c=%%d%%")
    rendition = make_renderer().render(two_of(told), "all")

    subject = subject_of("{{ lead.headline }}", told)
    assert verdict(inspect(rendition.html, rendition.text, subject=subject)) != "fail"


def test_an_endless_address_is_no_link_and_an_endless_word_is_cut():
    endless = replace(item("A headline", "Words of it. " + "a" * 15_000), link="https://x.example/" + "a" * 60_000)
    rendition = make_renderer().render(two_of(endless), "all")

    assert len(rendition.html.encode()) < 60_000
    assert "https://x.example/aaa" not in rendition.html


def test_a_fault_inside_an_included_template_is_named_there(tmp_path):
    renderer = own_template(tmp_path, "fine\n{{ oops }}", name="email/_clients.css")

    with pytest.raises(RenderError) as caught:
        renderer.render(ENGLISH, "all")

    assert caught.value.subject == f"{tmp_path}/email/_clients.css:2"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (b"\xff\xfe", "not UTF-8"),
        ("{% include 'email/gone.html' %}", "email/gone.html: the template is missing"),
        ("a mail without a link to leave", "no way out"),
        ("", "print nothing"),
    ],
)
def test_a_template_that_cannot_be_used_is_one_clear_error(tmp_path, source, words):
    renderer = own_template(tmp_path, source)

    with pytest.raises(RenderError, match=words):
        renderer.render(ENGLISH, "all")


def test_folders_without_templates_are_named(tmp_path):
    renderer = Renderer(folders=[tmp_path], base_url="https://x.example", postal_address="")

    with pytest.raises(RenderError, match=re.escape(str(tmp_path))):
        renderer.render(ENGLISH, "all")


@pytest.mark.parametrize("source", ["end = 7\n", "end = \n", b"\xff"])
def test_a_wrong_table_of_phrases_is_named(tmp_path, source):
    renderer = own_template(tmp_path, source, name="email/phrases/en.toml")

    with pytest.raises(RenderError, match=re.escape(f"{tmp_path}/email/phrases/en.toml")):
        renderer.render(ENGLISH, "all")


def test_a_web_view_is_addressed_by_newsletter_day_and_variant():
    assert web_view_url("https://n.example/", ENGLISH, "all") == "https://n.example/morning/2026-11-24"
    assert web_view_url("https://n.example", ENGLISH, "a+b").endswith("/morning/2026-11-24?variant=a%2Bb")


def test_a_subject_is_the_operators_template_on_one_line():
    assert subject_of("{{ lead.headline }}") == ENGLISH.lead.headline
    assert subject_of("{{ newsletter }}:\n {{ count }}\tstories, {{ date.year }}") == "Morning Brief: 12 stories, 2026"


@pytest.mark.parametrize(("template", "lead"), [("{{ lead.headline }}", None), ("  \n", ENGLISH.lead)])
def test_without_words_the_subject_is_the_name_and_the_date(template, lead):
    assert subject_of(template, lead) == "Morning Brief, Tuesday, November 24, 2026"


def test_a_subject_never_evaluates_or_smuggles_what_a_feed_says():
    lead = item(f"{{{{ 7 * 7 }}}} {UNSUBSCRIBE_TOKEN}\r\nBcc: everyone@example.com \u202e", None)

    subject = subject_of("{{ lead.headline }}", lead)

    assert "\n" not in subject
    assert "\r" not in subject
    assert subject.replace("\u2060", "") == "{{ 7 * 7 }} Bcc: everyone@example.com"


def test_a_long_subject_is_cut_at_a_word():
    subject = subject_of("{{ lead.headline }}", item("endless " * 40, None))

    assert len(subject) <= 120
    assert subject.endswith("endless…")


@pytest.mark.parametrize("template", ["{{ lead.nothing }}", "{% for", "{{ cycler.__init__.__globals__ }}"])
def test_a_wrong_subject_template_is_one_clear_error(template):
    with pytest.raises(RenderError) as caught:
        subject_of(template)

    assert caught.value.subject == "[newsletter] subject:1"


@pytest.mark.parametrize("language", LANGUAGES)
def test_public_pages_speak_the_readers_language_and_run_no_script(language):
    renderer = make_renderer()
    name = "Morning <Brief>"
    pages = [
        renderer.render_page("web/unsubscribe.html", language=language, newsletter=name, action="/x/unsubscribe/t"),
        renderer.render_page("web/unsubscribed.html", language=language, newsletter=name),
        *(
            renderer.render_page("web/message.html", language=language, newsletter=name, key=key)
            for key in ("bad_link", "link_in_mail", "not_found", "not_possible", "try_again")
        ),
    ]
    for page in pages:
        tree = lxml_html.document_fromstring(page)
        assert tree.get("lang") == language
        assert tree.get("dir") == ("rtl" if language == "ar" else "ltr")
        assert len(tree.xpath("//h1")) == 1
        assert tree.xpath("//title")[0].text_content().strip()
        assert not tree.xpath("//script | //link[not(starts-with(@href, 'data:'))] | //img")
        assert "<Brief>" not in page

    (form,) = lxml_html.document_fromstring(pages[0]).forms
    assert (form.method, form.action) == ("POST", "/x/unsubscribe/t")
    assert dict(form.fields) == {"List-Unsubscribe": "One-Click"}
    assert len(form.xpath(".//button")) == 1


@pytest.mark.parametrize(
    ("golden", "week", "end"),
    [
        (ENGLISH, "The best of the week · Tuesday, November 24, 2026", "That is all for this week."),
        (ARABIC, "أفضل ما في الأسبوع · الثلاثاء، 24 نوفمبر 2026", "هذا كل شيء لهذا الأسبوع."),
    ],
    ids=["english", "arabic"],
)
def test_a_weekly_edition_says_that_it_is_the_weeks_where_a_daily_one_speaks_of_the_day(golden, week, end):
    made = make_renderer().render(replace(golden, cadence="weekly"), "all")
    for body in (made.html, made.text):
        assert week in body
        assert end in body
    assert "/weekly" in made.text


def test_a_subject_may_say_of_which_cadence_it_is():
    template = "{{ 'The week: ' if cadence == 'weekly' }}{{ lead.headline }}"
    told = {"newsletter": "Morning Brief", "day": DAY, "language": "en", "lead": ENGLISH.lead, "count": 1}
    assert render_subject(template, cadence="weekly", **told) == f"The week: {ENGLISH.lead.headline}"
    assert render_subject(template, **told) == ENGLISH.lead.headline
