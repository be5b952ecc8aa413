"""Stems, from one thread and from many."""

from concurrent.futures import ThreadPoolExecutor

from digest.language import find_terms

WORDS = [
    f"{stem}{ending}" for stem in map("nation{}".format, "abcdefghijklmnop") for ending in ("al", "ally", "alize", "s")
]


def test_the_stems_are_the_same_in_many_threads_at_once() -> None:
    alone = [tuple(find_terms([f"{word}x{n}ing"], "en")) for n in range(40) for word in WORDS]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda n: [tuple(find_terms([f"{word}y{n}ing"], "en")) for word in WORDS], range(40)))
    assert [tuple(term.replace("y", "x") for term in terms) for part in together for terms in part] == [
        tuple(term.replace("y", "x") for term in terms) for terms in alone
    ]
