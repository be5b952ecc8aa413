"""How well a summary in other words is checked: `grounding.jsonl`, summaries of which some were made false by one edit.

A row has an `id`, its `kind` ("faithful", or what was made false), the `summary`, and what it is of: `article`, the
id of one in the developer sets beside the repository, or a `text` of its own with its `language` (else English), or
`text_of`, the id of the row that has it. `of` names the faithful row that was spoilt, `changed` says how, and `unseen`
marks the batch that was added last, by someone who had not seen the rules. A name of the article in another's place
is of the kind "roles". Every faithful summary is also held against another article.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, cpu_seconds
from benchmarks.making import SHARED
from digest.summarizers.grounding import ground
from digest.text import sentences

_ROWS = Path(__file__).with_suffix(".jsonl")
_SETS = ("inshorts", "cnndm", "writers", "xsum")
_LOOKED_UP = ("number", "name", "date", "quotation", "other story")
_TURNED = ("negation", "hedge", "roles")


def measure_grounding() -> Iterator[Figure]:
    """The share of spoilt summaries that is caught, and of faithful ones that is refused; and the time of one."""
    known = _read_pairs()
    yield from judge_grounding(known)
    some = [pair for pair in known if pair[0]["kind"] == "faithful" and "language" not in pair[0]][:100]
    if some:
        each = cpu_seconds(lambda: [_has_fault(row, source) for row, source in some], 2) / len(some)
        yield Figure(name="grounding, time", value=each * 1000, unit="ms/summary", note=f"{len(some)} summaries")


def judge_grounding(known: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]] | None = None) -> Iterator[Figure]:
    """The same without the time."""
    known = _read_pairs() if known is None else known
    english = [pair for pair in known if "language" not in pair[0]]
    judged: dict[tuple[str, int], bool] = {}  # the batch that was added last is one of all
    if not english:
        yield Figure(name="grounding", value=0, unit="", note="the English rows need ../shared")
    else:
        yield from _report("", english, judged)
        yield from _report(", unseen", [pair for pair in english if pair[0].get("unseen")], judged)
    yield from _report(", nine languages", [pair for pair in known if "language" in pair[0]], judged)


def _read_pairs() -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    rows = _read_lines(_ROWS)
    articles = _read_articles()
    texts = {row["id"]: {"text": row["text"]} for row in rows if "text" in row}
    return [(row, source) for row in rows if (source := _source_of(row, articles, texts))]


def _report(
    name: str, pairs: list[tuple[Mapping[str, Any], Mapping[str, Any]]], judged: dict[tuple[str, int], bool]
) -> Iterator[Figure]:
    if not pairs:
        return
    asked: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    faithful = [pair for pair in pairs if pair[0]["kind"] == "faithful"]
    others = []
    for place, (row, own) in enumerate(faithful):
        later = faithful[place + 1 :] + faithful[:place]
        other = next(
            (source for _, source in later if source is not own and source.get("language") == own.get("language")), None
        )
        if other:
            others.append((row, other))
    for row, source in sorted([*pairs, *others], key=lambda pair: id(pair[1])):  # each source is read once
        _is_refused(row, source, judged)
    for row, source in pairs:
        asked[row["kind"]] += 1
        caught[row["kind"]] += _is_refused(row, source, judged)
    for row, source in others:
        asked["other story"] += 1
        caught["other story"] += _is_refused(row, source, judged)
    for label, kinds, aim in (("looked up", _LOOKED_UP, "; aim 98 %"), ("turned senses", _TURNED, "")):
        parts = ", ".join(f"{kind} {caught[kind]}/{asked[kind]}" for kind in kinds)
        total = sum(asked[kind] for kind in kinds)
        value = 100 * sum(caught[kind] for kind in kinds) / total if total else 0.0
        yield Figure(name=f"{label}{name}", value=value, unit="% caught", note=parts + aim)
    refused = 100 * caught["faithful"] / asked["faithful"]
    note = f"{caught['faithful']}/{asked['faithful']}; aim at most 3 %"
    yield Figure(name=f"faithful{name}", value=refused, unit="% refused", note=note)


def _is_refused(row: Mapping[str, Any], source: Mapping[str, Any], known: dict[tuple[str, int], bool]) -> bool:
    """As `_has_fault`, asked once for each pair."""
    key = row["id"], id(source)
    if key not in known:
        known[key] = _has_fault(row, source)
    return known[key]


def _has_fault(row: Mapping[str, Any], source: Mapping[str, Any]) -> bool:
    language = row.get("language", "en")
    said = [span.of(row["summary"]) for span in sentences(row["summary"], language=language)]
    return any(one.fault for one in ground(said, source["text"], language=language, title=source.get("title")))


def _source_of(
    row: Mapping[str, Any], articles: Mapping[str, Mapping[str, Any]], texts: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    if "article" in row:
        return articles.get(row["article"])
    return texts.get(row.get("text_of", row["id"]))


def _read_articles() -> dict[str, Mapping[str, Any]]:
    files = [SHARED / "data" / "summarization" / f"{name}.jsonl" for name in _SETS]
    records = [record for path in files if path.exists() for record in _read_lines(path)]
    return {record["id"]: record for record in records}


def _read_lines(path: Path) -> list[Mapping[str, Any]]:
    """The JSON lines of a file; not by `splitlines`, which also splits at what stands within texts."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


MEASURES: dict[str, Callable[[], Iterator[Figure]]] = {"grounding": measure_grounding}
