"""Segments: what [[segments]] says → whether a subscriber is of one. Pure; nothing of a filter is ever run as Python.

    filter ── parsed, each piece on a list of those allowed ──> conditions, put together once ──> asked of each reader

A filter compares what is known of a reader with constants, and joins comparisons by and, or, not. It has no calls, no
attributes and no arithmetic, and is bounded in length and depth: it is the operator's own, but may have been copied
from anywhere. What a reader did not choose is what they get: every topic, the newsletter's language and time zone.
"""

import ast
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NoReturn
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from digest.errors import ConfigError
from digest.models import Subscriber, SubscriberState

Predicate = Callable[[Subscriber], bool]

_LONGEST: Final = 1000  # characters of a filter
_DEEPEST: Final = 12  # conditions within conditions
_MOST: Final = 300  # pieces
_NAMES: Final = "email_domain, topics, tags, language, timezone, frequency, state, consent_at"
_KNOWN: Final = {
    "frequency": ("daily", "weekly"),
    "state": tuple(state.value for state in SubscriberState if state is not SubscriberState.ERASED),
}
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_EQUAL: Final = (ast.Eq, ast.NotEq)
_AMONG: Final = (ast.In, ast.NotIn)
_ORDER: Final[dict[type[ast.cmpop], Callable[[datetime, datetime], bool]]] = {
    ast.Lt: lambda given, bound: given < bound,
    ast.LtE: lambda given, bound: given <= bound,
    ast.Gt: lambda given, bound: given > bound,
    ast.GtE: lambda given, bound: given >= bound,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """What holds of readers who chose nothing."""

    language: str = "en"
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A filter that is sound. `topics` are those that it names."""

    condition: Callable[[Subscriber, Usual], bool]
    topics: frozenset[str]


def make_predicate(
    *,
    topic: str | None,
    language: str | None,
    timezone: str | None,
    tag: str | None,
    filter_text: str | None,
    usual: Usual,
) -> Predicate:
    """Whether a reader is of the segment: everything that is given must hold. Raises ConfigError for the filter.

    A language takes in what is narrower: "de" also who reads "de-AT".
    """
    conditions: list[Predicate] = []
    if topic is not None:
        conditions.append(lambda reader: _gets(reader, topic))
    if language is not None:
        wanted = language.lower()
        conditions.append(lambda reader: f"{reader.language or usual.language}-".lower().startswith(f"{wanted}-"))
    if timezone is not None:
        conditions.append(lambda reader: (reader.timezone or usual.timezone) == timezone)
    if tag is not None:
        conditions.append(lambda reader: tag in reader.tags)
    if filter_text is not None:
        condition = read_filter(filter_text).condition
        conditions.append(lambda reader: condition(reader, usual))
    return lambda reader: all(condition(reader) for condition in conditions)


def read_filter(text: str) -> Filter:
    """Read a filter. Raises ConfigError that names the piece that cannot stand in one, and what can."""
    if len(text) > _LONGEST:
        raise ConfigError("the filter", f"it is longer than {_LONGEST} characters", remedy="make it two segments")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Python's remarks on odd spellings are faults here
            root = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        _refuse("it is no expression", "write it as \"'press' in tags and frequency == 'daily'\"")
    reading = _Reading()
    if sum(1 for _ in ast.walk(root)) > _MOST:
        _refuse("it has too many conditions", "make it two segments, or give those readers a tag")
    condition = reading.read(root, 0)
    return Filter(condition=condition, topics=frozenset(reading.topics))


Condition = Callable[[Subscriber, Usual], bool]


class _Reading:
    """One filter while it is read."""

    def __init__(self) -> None:
        self.topics: set[str] = set()

    def read(self, node: ast.expr, depth: int) -> Condition:
        """A condition, or several that are joined."""
        if depth > _DEEPEST:
            _refuse("its conditions stand too deep within each other", "make it simpler")
        match node:
            case ast.BoolOp(op=ast.And(), values=values):
                parts = [self.read(value, depth + 1) for value in values]
                return lambda reader, usual: all(part(reader, usual) for part in parts)
            case ast.BoolOp(values=values):
                parts = [self.read(value, depth + 1) for value in values]
                return lambda reader, usual: any(part(reader, usual) for part in parts)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                part = self.read(operand, depth + 1)
                return lambda reader, usual: not part(reader, usual)
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                return self._compare(node, left, operator, right)
            case ast.Compare():
                _refuse(f'"{_spell(node)}" compares more than two things', "join two comparisons by and")
        return _refuse(f'"{_spell(node)}" cannot stand in it', "compare a name with a constant, as language == 'de'")

    def _compare(self, node: ast.Compare, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> Condition:
        match left, right:
            case ast.Constant(value=str(wanted)), ast.Name(id="topics" | "tags" as name) if isinstance(
                operator, _AMONG
            ):
                if name == "topics":
                    self.topics.add(wanted)
                has = _make_having(name, wanted)
                return has if isinstance(operator, ast.In) else lambda reader, usual: not has(reader, usual)
            case ast.Name(id="topics" | "tags" as name), _:
                _refuse(f"{name} is several", f"ask for one as 'press' in {name}")
            case ast.Name(id="consent_at"), ast.Constant(value=str(written)) if type(operator) in _ORDER:
                bound, holds = _read_instant(written), _ORDER[type(operator)]
                return lambda reader, _: reader.consent_at is not None and holds(reader.consent_at, bound)
            case ast.Name(id="consent_at"), _:
                _refuse(f'"{_spell(node)}" is no comparison of dates', 'write it as consent_at >= "2026-01-31"')
            case ast.Name(id=name), ast.Constant(value=str(written)) if isinstance(operator, _EQUAL):
                return _compare_text(name, [written], negated=isinstance(operator, ast.NotEq))
            case ast.Name(id=name), (ast.List() | ast.Tuple() | ast.Set()) as several if isinstance(operator, _AMONG):
                return _compare_text(name, _read_several(several.elts), negated=isinstance(operator, ast.NotIn))
        return _refuse(
            f'"{_spell(node)}" cannot be compared so',
            "write name == 'text', name in ['one', 'other'] or 'one' in tags",
        )


def _compare_text(name: str, written: Sequence[str], *, negated: bool) -> Condition:
    """Whether what a name stands for is among the words."""
    read = _TEXTS.get(name)
    if read is None:
        _refuse(f'there is no "{name}" to compare', f"the names are {_NAMES}")
    for word in written:
        _check_word(name, word)
    folds = name in {"email_domain", "language"}
    wanted = frozenset(word.lower() if folds else word for word in written)
    if negated:
        return lambda reader, usual: read(reader, usual) not in wanted
    return lambda reader, usual: read(reader, usual) in wanted


def _check_word(name: str, word: str) -> None:
    """Refuse what no reader can have: it is a slip of the pen."""
    if name in _KNOWN and word not in _KNOWN[name]:
        _refuse(f'there is no {name} "{word}"', f"one of {', '.join(_KNOWN[name])}")
    if name == "language" and not _LANGUAGE.fullmatch(word):
        _refuse(f'"{word}" is no language', "use a BCP 47 tag such as de-AT")
    if name == "timezone":
        try:
            ZoneInfo(word)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            _refuse(f'"{word}" is no time zone', "use an IANA name such as Europe/Berlin")


_TEXTS: Final[dict[str, Callable[[Subscriber, Usual], str]]] = {
    "email_domain": lambda reader, _: reader.email.rpartition("@")[2].lower(),
    "language": lambda reader, usual: (reader.language or usual.language).lower(),
    "timezone": lambda reader, usual: reader.timezone or usual.timezone,
    "frequency": lambda reader, _: reader.frequency,
    "state": lambda reader, _: reader.state.value,
}


def _make_having(name: str, wanted: str) -> Condition:
    """Whether a reader gets a topic, or has a tag."""

    def gets_topic(reader: Subscriber, _: Usual) -> bool:
        return _gets(reader, wanted)

    def has_tag(reader: Subscriber, _: Usual) -> bool:
        return wanted in reader.tags

    return gets_topic if name == "topics" else has_tag


def _gets(reader: Subscriber, topic: str) -> bool:
    return not reader.topics or topic in reader.topics


def _read_several(nodes: Sequence[ast.expr]) -> list[str]:
    words = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    if not words or len(words) < len(nodes):
        _refuse("a list in it holds something that is no text", "write it as ['de', 'de-AT']")
    return words


def _read_instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        _refuse(f'"{text}" is no date', 'write it as "2026-01-31"')
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant


def _spell(node: ast.AST) -> str:
    """A piece as it is written, on one short line."""
    try:
        text = " ".join(ast.unparse(node).split())
    except (ValueError, RecursionError):
        text = type(node).__name__
    return text if len(text) <= 60 else f"{text[:59]}…"


def _refuse(fault: str, remedy: str) -> NoReturn:
    raise ConfigError("the filter", fault, remedy=remedy)


def describe_fault(error: ConfigError) -> str:
    """What is wrong with a filter and what to do, where its name is said already."""
    return f"{error.message}; {error.remedy}" if error.remedy else str(error.message)
