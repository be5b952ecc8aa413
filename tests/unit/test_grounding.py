"""What an answer says must stand in its source; benchmarks/grounding.jsonl has the cases that it is measured by."""

from decimal import Decimal

import pytest

from digest.summarizers.grounding import ground
from digest.summarizers.grounding.figures import find_figures, spell_in_digits
from digest.summarizers.grounding.lexicon import lexicon_of
from digest.summarizers.grounding.quotations import find_misquoted, find_quotations

SOURCE = """The harbour council voted on Monday to close the old iron bridge for two weeks.
The closure begins on 4 May 2026 and will send some 12,000 vehicles a day through the northern tunnel.
Mayor Ada Lindqvist denied that the money had run out. The work will cost 4.5 million crowns,\
 15 per cent more than in 2019.
"We looked at every bolt," said the engineer Tom Okafor, 47, who works for the Bridge Safety Authority.
The contractor was not fined last year. He allegedly used the wrong steel for the pillars of the bridge.
Selwick United beat Marlow Rovers 3-1 on Saturday evening, and Britain's largest ferry line, Havnor,\
 offered free tickets."""


def faults(summary: str, source: str = SOURCE, language: str = "en", title: str | None = None) -> list[tuple[str, str]]:
    found = ground([summary], source, language=language, title=title)
    return [(one.fault.kind, one.fault.text) for one in found if one.fault]


@pytest.mark.parametrize(
    "summary",
    [
        "On Monday the council decided that the iron bridge closes for a fortnight from May 4.",
        "Twelve thousand vehicles daily will use the northern tunnel from 4 May.",
        "The work costs 4,500,000 crowns, 15% more than in 2019.",
        "At 4.5m crowns it costs fifteen percent more.",
        "Lindqvist, the mayor, denied that the money was gone.",
        "The 47-year-old engineer Okafor of the BSA said: “We looked at every bolt.”",
        "Marlow Rovers were beaten 3-1 by Selwick United on Saturday.",
        "Havnor, a British ferry line, gave tickets away.",
        "The contractor, who allegedly used the wrong steel, was not fined last year.",
        "Nearly 12,000 vehicles take the tunnel each day.",
    ],
)
def test_what_is_faithful_stands_however_it_is_worded(summary: str) -> None:
    assert faults(summary) == []


@pytest.mark.parametrize(
    ("summary", "kind"),
    [
        ("The old iron bridge will be closed for three weeks from 4 May.", "number"),
        ("The old iron bridge will be closed for two months from 4 May.", "number"),
        ("Some 21,000 vehicles a day will use the northern tunnel.", "number"),
        ("The work on the bridge will cost 4.5 billion crowns.", "number"),
        ("The work costs 15 crowns more than in 2019.", "number"),
        ("The 74-year-old engineer Okafor looked at every bolt.", "number"),
        ("The council voted on Tuesday to close the bridge.", "date"),
        ("The closure of the bridge begins on 4 June 2026.", "date"),
        ("The closure of the bridge begins on 5 May 2026.", "date"),
        ("The contractor was not fined last month.", "date"),
        ("Selwick United beat Marlow Rovers on Saturday morning.", "date"),
        ("Mayor Ada Lindstrom denied that the money had run out.", "name"),
        ("The harbour council of Arnstad voted to close the bridge.", "name"),
        ("Dover United beat Marlow Rovers 3-1 on Saturday.", "name"),
        ('"We looked at every nut," said the engineer Tom Okafor.', "quotation"),
        ("“The money is gone,” said Mayor Ada Lindqvist.", "quotation"),
        ("Mayor Ada Lindqvist admitted that the money had run out.", "negation"),
        ("The contractor was fined for the steel of the bridge.", "negation"),
        ("The contractor used the wrong steel for the pillars.", "hedge"),
        ("Marlow Rovers beat Selwick United 3-1 on Saturday.", "roles"),
        ("One week is what the council closes the old iron bridge for.", "number"),
        ("Penguins hunt krill beneath drifting sheets of polar ice all season.", "support"),
    ],
)
def test_what_the_source_does_not_say_is_named_by_its_kind(summary: str, kind: str) -> None:
    assert [found for found, _ in faults(summary)] == [kind]


@pytest.mark.parametrize(
    ("source", "summary", "kind"),
    [
        ("Twelve people died in the fire in Arnholm.", "One person died in the fire in Arnholm.", "number"),
        ("Havnor denied that it ignored the warnings.", "Havnor ignored the warnings.", "negation"),
        ("Mr Bee is suspected of stealing the money of the club.", "Mr Bee stole the money of the club.", "hedge"),
        ("The bank accused its clerk of stealing the money.", "The clerk of the bank stole the money.", "hedge"),
        ("Mr Bee denies that he stole the money.", "Mr Bee stole the money.", "negation"),
        ("The battle will not be won overnight.", "The battle will be won overnight.", "negation"),
        ("Mr Bee was cleared of all the charges.", "Mr Bee was not cleared of the charges.", "negation"),
        ("The free app comes with two effects.", "The app is not free and comes with two effects.", "negation"),
        ("The hall is expected to open in 20 months.", "The hall will open in 20 months.", "hedge"),
        ("He alleged that the clerk hid the ledger.", "The clerk hid the ledger.", "hedge"),
        (
            "The fossils could be the remains of early animals.",
            "The fossils are the remains of early animals.",
            "hedge",
        ),
        ("The firm is considering moving its office to Arnholm.", "The firm is moving its office to Arnholm.", "hedge"),
    ],
)
def test_what_is_denied_or_only_charged_is_no_fact(source: str, summary: str, kind: str) -> None:
    assert [found for found, _ in faults(summary, source)] == [kind]


@pytest.mark.parametrize(
    ("source", "summary"),
    [
        ("It was the first time she had driven the car.", "She had never driven the car before."),
        ("The island has the greatest need for nurses.", "Nowhere is the need for nurses greater than on the island."),
        ("Sales declined after crude fell 2% overnight.", "Crude lost 2% overnight."),
        ("The tower is expected to open in May, the mayor said.", "The tower opens in May, the mayor believes."),
        (
            "It is expected to rain on Monday. The hall will open on Monday, rain or not.",
            "The hall will open on Monday.",
        ),
        ("The Rovers claimed the title in Arnholm.", "The title in Arnholm went to the Rovers."),
        ("May said the hall has been closed.", "The hall has been closed."),
        ("“I have worked for the party for 25 long years,” she said.", "She worked for the party for 25 years."),
        ("They stayed in a £200-a-night house.", "The house cost £200 a night."),
        ("Some 41, 000 men fall ill each year.", "Each year 41,000 men fall ill."),
        ("The owner wants to process chicken and not just turkeys.", "The owner wants to process turkeys and chicken."),
        ("The board refuses to comment on boat tours.", "Of boat tours the board says little."),
        ("The turkey firm was sold to Mr Bee on Tuesday.", "Mr Bee bought the turkey firm on Tuesday."),
        ("Between 5 and 25% of the shares must be offered.", "They must offer between 5% and 25% of the shares."),
        (
            "Thames Water will make £100m a year if the tunnel comes.",
            "The tunnel gives Thames Water £100m a year from its start.",
        ),
        ("Three of the bus passengers were treated. Sixty passengers fled.", "Three passengers were treated."),
        ("She lost to the Belgian Ada Lindqvist.", "Belgium's Ada Lindqvist beat her."),
        ("The figure is nearly double the one of last year.", "The figure is nearly twice that of last year."),
    ],
)
def test_the_same_by_other_words_is_not_its_contrary(source: str, summary: str) -> None:
    assert faults(summary, source) == []


@pytest.mark.parametrize(
    ("source", "summary", "kind"),
    [
        (
            "He played eight seasons for the Wasps. He won his first cap five years later.",
            "He spent five seasons with the Wasps.",
            "number",
        ),
        (
            "Last week official figures showed growth of 0.4% in the quarter. The index had fallen last month.",
            "Official figures last month showed growth of 0.4% in the quarter.",
            "date",
        ),
    ],
)
def test_a_number_or_a_moment_of_another_thing_bears_nothing_out(source: str, summary: str, kind: str) -> None:
    assert [found for found, _ in faults(summary, source)] == [kind]


def test_a_compound_of_words_of_the_source_is_no_new_name() -> None:
    source = "Im Streit um den Windpark hat das Gericht entschieden. „Wir werden prüfen“, sagte sie."
    said = "Im Windparkstreit hat das Gericht entschieden: man werde „prüfen“, sagte sie."
    assert faults(said, source, "de") == []


def test_a_chinese_name_is_told_by_what_names_are_written_with() -> None:
    source = "红梅戏院将于9月28日重新开放。局长贺知远表示，戏院已经修好。"
    assert faults("红梅戏院定于9月28日再度迎客。", source, "zh") == []
    assert faults("局长沈念慈表示，红梅戏院已经修好。", source, "zh")[0][0] == "name"


def test_each_sentence_is_linked_to_the_sentences_that_bear_it_out() -> None:
    (grounded,) = ground(
        ["From 4 May 2026 the closure sends 12,000 vehicles through the tunnel."], SOURCE, language="en"
    )
    best = grounded.passages[0]
    assert SOURCE[best.start : best.end].startswith("The closure begins on 4 May 2026")
    assert all(0 <= span.start < span.end <= len(SOURCE) for span in grounded.passages)


def test_two_facts_of_two_sentences_have_both_for_their_support() -> None:
    said = "The bridge closes for two weeks, and Havnor, the ferry line, offers free tickets."
    (grounded,) = ground([said], SOURCE, language="en")
    texts = [SOURCE[span.start : span.end] for span in grounded.passages]
    assert any("two weeks" in text for text in texts) and any("Havnor" in text for text in texts)


def test_the_headline_is_a_source_too() -> None:
    said = "Wexcombe loses its bridge for two weeks, the council voted."
    assert [kind for kind, _ in faults(said)] == ["name"]
    assert faults(said, title="Wexcombe to lose its bridge") == []


def test_a_number_that_stands_for_something_else_is_none_of_ours() -> None:
    source = (
        "Three swimmers were rescued near the pier. The lifeboat came at once. "
        "A fire in the old town hall hurt nine people. Five cars burned."
    )
    assert faults("A fire in the town hall hurt nine people.", source) == []
    assert faults("A fire in the town hall hurt three people.", source) == [("number", "3")]


@pytest.mark.parametrize(
    ("text", "language", "values"),
    [
        ("twenty-one cars and twelve hundred people", "en", ["21", "1200"]),
        ("1.2 million, 3m, £4bn and 5 crore", "en", ["1200000", "3000000", "4000000000", "50000000"]),
        ("Rs500 crore, Rs 1,23,456", "en", ["5000000000", "123456"]),
        ("one of the group came third", "en", ["3"]),
        ("1.200 Menschen, 4,5 Millionen Euro, zweiundzwanzig", "de", ["1200", "4500000", "22"]),
        ("veintidós personas y 1.500 euros", "es", ["22", "1500"]),
        ("сорок один сотрудник, 14,6 миллиона", "ru", ["41", "14600000"]),
        ("٢٥٠ دولار", "ar", ["250"]),
        ("३४ लोग", "hi", ["34"]),
        ("三十一名志愿者，4600万元", "zh", ["31", "46000000"]),
        ("9800万円の賠償、十二人", "ja", ["98000000", "12"]),
    ],
)
def test_a_number_is_worth_the_same_however_it_is_written(text: str, language: str, values: list[str]) -> None:
    figures = find_figures(spell_in_digits(text, language), language)
    assert [figure.value for figure in figures] == [Decimal(value) for value in values]


@pytest.mark.parametrize(
    ("text", "quotations"),
    [
        ('He said "one" and “two”.', ["one", "two"]),
        ("Er sagte „drei“ und »vier«.", ["drei", "vier"]),
        ("«cinq» et 「六」 and 《七》", ["cinq", "六", "七"]),
        ("the girls' school didn't close at 5 o'clock", []),
        ("It was ‘too accident prone’, he said.", ["too accident prone"]),
        ('an open " mark', []),
    ],
)
def test_quotations_are_found_in_every_style_of_marks(text: str, quotations: list[str]) -> None:
    assert [span.of(text) for span in find_quotations(text)] == quotations


def test_a_quotation_may_leave_words_out_but_not_change_them() -> None:
    source = "“We looked at every bolt — and there are thousands — before we left,” she said."
    assert find_misquoted('She said: "We looked at every bolt ... before we left".', source) is None
    assert find_misquoted('She said: "We looked at [almost] every bolt".', source) is None
    assert find_misquoted('She said: "We looked at most bolts".', source) == "We looked at most bolts"


LANGUAGES = {
    "es": (
        "El alcalde Julián Ortega anunció el lunes que el puente de Ribera cerrará dos semanas.",
        "El puente de Ribera cierra durante dos semanas, dijo el alcalde Ortega.",
        "El puente de Ribera cierra durante tres semanas, dijo el alcalde Ortega.",
        "El puente de Ribera cierra durante dos semanas, dijo el alcalde Navarro.",
    ),
    "fr": (
        "Le maire Luc Fabre a annoncé lundi que le pont de Rivier fermera deux semaines.",
        "Le pont de Rivier sera fermé deux semaines, selon le maire Fabre.",
        "Le pont de Rivier sera fermé trois semaines, selon le maire Fabre.",
        "Le pont de Rivier sera fermé deux semaines, selon le maire Dubreuil.",
    ),
    "de": (
        "Bürgermeisterin Anna Lohmann kündigte am Montag an, dass die Brücke von Ahlen zwei Wochen lang gesperrt wird.",
        "Die Brücke von Ahlen wird laut Lohmann für zwei Wochen gesperrt.",
        "Die Brücke von Ahlen wird laut Lohmann für drei Wochen gesperrt.",
        "Die Brücke von Ahlen wird laut Kesselring für zwei Wochen gesperrt.",
    ),
    "pt": (
        "O prefeito Rui Tavora anunciou na segunda-feira que a ponte de Ribeira fechará por duas semanas.",
        "A ponte de Ribeira fecha por duas semanas, disse o prefeito Tavora.",
        "A ponte de Ribeira fecha por três semanas, disse o prefeito Tavora.",
        "A ponte de Ribeira fecha por duas semanas, disse o prefeito Queirós.",
    ),
    "ru": (
        "Мэр Анна Озерова сообщила в понедельник, что мост в Лесогорске закроют на двадцать дней.",
        "Мост в Лесогорске закрывают на 20 дней, сообщила Озерова.",
        "Мост в Лесогорске закрывают на 30 дней, сообщила Озерова.",
        "Мост в Лесогорске закрывают на 20 дней, сообщила Воронцова.",
    ),
    "ar": (
        "أعلن رئيس البلدية سامي الحداد أن جسر الميناء سيغلق لمدة أسبوعين، وأن الأعمال ستكلف 45 مليون دينار.",
        "جسر الميناء سيغلق أسبوعين بحسب رئيس البلدية سامي الحداد.",
        "الأعمال في جسر الميناء ستكلف 54 مليون دينار.",
        "جسر الميناء سيغلق أسبوعين بحسب رئيس البلدية سامي الشقيري.",
    ),
    "hi": (
        "महापौर रीता कुलकर्णी ने सोमवार को कहा कि बंदरगाह का पुल 20 दिन बंद रहेगा और काम पर 45 करोड़ रुपये लगेंगे।",
        "महापौर रीता कुलकर्णी ने कहा कि पुल 20 दिन बंद रहेगा।",
        "महापौर रीता कुलकर्णी ने कहा कि पुल 30 दिन बंद रहेगा।",
        "महापौर रीता देशमुखकर ने कहा कि पुल 20 दिन बंद रहेगा।",
    ),
    "zh": (
        "港口市市长林若兰周一宣布，旧铁桥将关闭20天，工程耗资4600万元。",
        "旧铁桥将关闭20天，工程耗资4600万元，林若兰周一宣布。",
        "旧铁桥将关闭30天，工程耗资4600万元，林若兰周一宣布。",
        "旧铁桥将关闭20天，工程耗资4600万元，赵明远周一宣布。",
    ),
    "ja": (
        "港町の佐倉美咲市長は月曜日、古い鉄橋を20日間閉鎖すると発表した。工事費は4600万円。",
        "佐倉美咲市長は古い鉄橋を20日間閉鎖すると発表した。",
        "佐倉美咲市長は古い鉄橋を30日間閉鎖すると発表した。",
        "黒田健吾市長は古い鉄橋を20日間閉鎖すると発表した。",
    ),
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_numbers_and_names_are_checked_in_every_language(language: str) -> None:
    source, faithful, number, name = LANGUAGES[language]
    assert faults(faithful, source, language) == []
    assert [kind for kind, _ in faults(number, source, language)] == ["number"]
    assert [kind for kind, _ in faults(name, source, language)] == ["name"]


def test_a_language_without_lists_is_checked_for_what_needs_none() -> None:
    assert lexicon_of("tlh").negations == frozenset()
    source = "Bridge Qonos 12 wej Martok."
    assert faults("Bridge Qonos 12 Martok.", source, "tlh") == []
    assert [kind for kind, _ in faults("Bridge Qonos 17 Martok.", source, "tlh")] == ["number"]


@pytest.mark.parametrize("text", ["", " ", "\n\n", "…", "12", "“", "‏", "a" * 50_000, "«" * 5_000, "- " * 5_000])
def test_whatever_stands_in_source_or_answer_is_read_in_time(text: str) -> None:
    assert len(ground([text], SOURCE, language="en")) == 1
    assert len(ground(["The bridge closes for two weeks."], text, language="en")) == 1


SLY = """The train left at 10:30 on 04.05.2026 with 12,000 people, and 3 percent of them stood for two weeks in Niger.
"We looked at every bolt," said the engineer Tom Okafor. The contractor spoke of it, and others used what they had."""


@pytest.mark.parametrize(
    "summary",
    [
        "The train left at 10:45 with 12,000 people.",
        "The train left on 04.09.2019 with 12,000 people.",
        "The train left with 912,000 people.",
        "The train left with _912,000_ people.",
        "The train left with kr912,000 people.",
        "The train left with 12,000½ people.",
        "The train left with ㊿ people.",
        "Of the people -3 percent stood.",
        "Of the people 1 percent stood.",
        "The people of the train stood for 1 week.",
        "The train left Nigeria with 12,000 people.",
        '"We looked [bribed by Vladimir Putin with 900 dollars] at every bolt," said the engineer Tom Okafor.',
        "‹We stole the train›, said the engineer Tom Okafor.",
        "＂We stole the train＂, said the engineer Tom Okafor.",
        "“We stole the train, said the engineer Tom Okafor.",
        '"Used what they had ... the train," said the engineer Tom Okafor.',
        "The CIA left with the train, said Tom Okafor.",
    ],
)
def test_what_is_disguised_is_not_borne_out(summary: str) -> None:
    assert faults(summary, SLY)


@pytest.mark.parametrize(
    "piece", ["12 345 67 8 ", "1st 2nd 3rd ", "4 May 5 June ", "“a” ", "A of B of ", "a.b.c.", "a-b-", "'", "[", "x"]
)
def test_endless_text_of_one_kind_takes_no_endless_time(piece: str) -> None:
    text = piece * (20_000 // len(piece))
    assert len(ground([text[:2000]], text, language="en")) == 1


@pytest.mark.parametrize("language", ["a" * 300, "../../etc", "e\0n", "日本", "x-klingon", "EN", ""])
def test_whatever_a_feed_says_of_its_language_is_read(language: str) -> None:
    assert faults("The train left with 13,000 people.", SLY, language)
