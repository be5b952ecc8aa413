"""Templates, run so that a wrong one ends in one clear error and a stranger's headline stays a headline.

Operators write templates; feeds supply the words. So the words are printed, never evaluated, and three
things are done to every one of them on the way out: control characters and explicit bidirectional
embeddings go (one left open would reorder all that follows), HTML is escaped, and what a mail service
could take for a merge field is parted by an invisible WORD JOINER. A template that is missing, wrong,
endless or enormous raises RenderError with its line.
"""

import re
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence, Sized
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any, cast

from jinja2 import (
    FileSystemLoader,
    StrictUndefined,
    Template,
    TemplateNotFound,
    TemplateSyntaxError,
    nodes,
    select_autoescape,
)
from jinja2.compiler import CodeGenerator, Frame
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from digest.errors import RenderError

_MAX_STEPS = 100_000  # of all loops together; an edition of 200 stories takes some 3,000
_MAX_CHARACTERS = 3_000_000

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_MERGE_FIELD = re.compile(r"\{(?=[{%#])|\}(?=\})|%(?=[%}])|\*(?=\|)|\|(?=\*)")

_MAX_BITS = 4096  # of a number
_WIDE = re.compile(r"\d{5,}")  # a width in a format

_steps: ContextVar[Iterator[int]] = ContextVar("_steps")


class _EndlessError(RuntimeError):
    """The template loops too often or prints too much."""


class _CountingGenerator(CodeGenerator):
    """Compiles each `{% for %}` so that its steps are counted: a sandbox alone does not stop nested loops."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        joined = nodes.Call(nodes.EnvironmentAttribute("join_words", lineno=node.lineno), node.nodes, [], None, None)
        self.visit(joined.set_lineno(node.lineno), frame)

    def visit_For(self, node: nodes.For, frame: Frame) -> None:  # noqa: N802 - the name is Jinja's
        counted = nodes.EnvironmentAttribute("count_steps", lineno=node.lineno)
        node.iter = nodes.Call(counted, [node.iter], [], None, None, lineno=node.lineno)
        super().visit_For(node, frame)


class Sandbox(ImmutableSandboxedEnvironment):
    """A Jinja environment for templates that operators wrote and words that strangers did."""

    code_generator_class = _CountingGenerator
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(
        self, folders: Sequence[Path] = (), filters: Mapping[str, Callable[..., object]] | None = None
    ) -> None:
        """`folders` are searched in order. Names ending in .html are escaped."""
        super().__init__(
            loader=FileSystemLoader(folders),
            autoescape=select_autoescape(("html",), default_for_string=False, default=False),
            undefined=StrictUndefined,
            finalize=_finalize,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._folders = tuple(folders)
        for name in ("center", "indent", "batch", "slice"):
            self.filters[name] = _watched(self.filters[name])
        self.filters.update(filters or {})
        del self.globals["lipsum"]

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """What an operator gives, unless it would be enormous: one step of a template may not take all memory."""
        if isinstance(left, int) and isinstance(right, int):
            bits = left.bit_length() * abs(right) if operator == "**" else left.bit_length() + right.bit_length()
            _require(bits <= _MAX_BITS, "a number has too many digits")
        elif operator == "*" and (isinstance(left, int) or isinstance(right, int)):
            times, repeated = (left, right) if isinstance(left, int) else (right, left)
            _require(times * _length(repeated) <= _MAX_CHARACTERS, "something is repeated too often")
        elif operator == "+":
            _require(_length(left) + _length(right) <= _MAX_CHARACTERS, "something grows too long")
        elif operator == "%" and isinstance(left, str):
            _require(not _WIDE.search(left), "a field is too wide")
        return super().call_binop(context, operator, left, right)

    def join_words(self, *parts: object) -> str:
        """What `~` joins."""
        said = [part if isinstance(part, Markup) else str(part) for part in parts]
        _require(sum(map(len, said)) <= _MAX_CHARACTERS, "something grows too long")
        if any(isinstance(part, Markup) for part in said):
            return Markup("").join(said)
        return "".join(said)

    def call(self, context: Context, called: Any, /, *arguments: Any, **named: Any) -> Any:
        """What a call gives; nothing is padded or formatted to more than anybody can read."""
        _require_small((*arguments, *named.values()))
        return super().call(context, called, *arguments, **named)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """`format` of a text, guarded as Jinja guards it, and with fields that can be read."""
        guarded = super().wrap_str_format(value)
        if guarded is None:
            return None

        def formatted(*arguments: Any, **named: Any) -> str:
            _require(not _WIDE.search(value.__self__), "a field is too wide")
            return guarded(*arguments, **named)

        return formatted

    def count_steps(self, iterable: Iterable[object]) -> Iterator[object]:
        """The same steps, as long as the render in progress has any left."""
        steps = _steps.get()
        for step in iterable:
            if next(steps) >= _MAX_STEPS:
                raise _EndlessError(f"the loops take more than {_MAX_STEPS:,} steps")
            yield step

    def render(self, name: str, context: Mapping[str, object]) -> str:
        """The template of that name, filled in. Raises RenderError."""
        return self._run(lambda: self.get_template(name), name, context)

    def render_source(self, source: str, context: Mapping[str, object], *, subject: str) -> str:
        """A template given as text, filled in; errors call it `subject`. Raises RenderError."""
        return self._run(lambda: self.from_string(source), subject, context)

    def compile_all(self) -> int:
        """Compile every template; returns how many there are. Raises RenderError for the first that cannot be."""
        names = self.list_templates(extensions=("html", "txt"))
        nothing = self.from_string("")

        def compile_one(name: str) -> Template:
            self.get_template(name)
            return nothing

        for name in names:
            self._run(partial(compile_one, name), name, {})
        return len(names)

    def _run(self, load: Callable[[], Template], name: str, context: Mapping[str, object]) -> str:
        reset = _steps.set(iter(range(_MAX_STEPS + 2)))
        try:
            return _collect(cast("Generator[str, None, None]", load().generate(context)))
        except TemplateNotFound as error:
            missing = str(error.name or name)
            if not self._folders:
                raise RenderError(name, f'it asks for "{missing}"', remedy="write it without other templates") from None
            looked = " or ".join(str(folder) for folder in self._folders) or "a template folder"
            remedy = f"put it under {looked}, or remove what includes it"
            raise RenderError(missing, "the template is missing", remedy=remedy) from None
        except TemplateSyntaxError as error:
            where = f"{error.filename or name}:{error.lineno}"
            raise RenderError(where, error.message or "wrong syntax", remedy="correct the template") from None
        except UnicodeDecodeError as error:
            raise RenderError(self._find_undecodable(name), "it is not UTF-8", remedy="save it as UTF-8") from error
        except _EndlessError as error:
            remedy = "let it do less"
            raise RenderError(self._place(error, name), str(error), remedy=remedy) from None
        except Exception as error:  # a template can raise anything
            raise RenderError(self._place(error, name), "the template failed", remedy="correct the template") from error
        finally:
            _steps.reset(reset)

    def _find_undecodable(self, name: str) -> str:
        """Which template it is: an error of decoding does not say."""
        for folder in self._folders:
            for path in sorted((*folder.rglob("*.html"), *folder.rglob("*.txt"), *folder.rglob("*.css"))):
                try:
                    path.read_text(encoding="utf-8")
                except UnicodeDecodeError:
                    return str(path)
                except OSError:
                    continue
        return name

    def _place(self, error: Exception, name: str) -> str:
        """File and line of the innermost template in a traceback, as Jinja has mapped it back."""
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if frame.filename == "<template>":
                return f"{name}:{frame.lineno}"
            if any(Path(frame.filename).is_relative_to(folder) for folder in self._folders):
                return f"{frame.filename}:{frame.lineno}"
        return name


def on_one_line(text: str) -> str:
    """The text without line breaks, doubled spaces and what cannot be printed."""
    return " ".join(_UNPRINTABLE.sub("", " ".join(text.split())).split())


def _collect(pieces: Generator[str, None, None]) -> str:
    """All that a template prints. One that prints too much fails where it stands, so that its line can be told."""
    printed: list[str] = []
    length = 0
    for piece in pieces:
        printed.append(piece)
        length += len(piece)
        if length > _MAX_CHARACTERS:
            pieces.throw(_EndlessError(f"the template prints more than {_MAX_CHARACTERS:,} characters"))
    return "".join(printed)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise _EndlessError(otherwise)


def _require_small(arguments: Iterable[object]) -> None:
    numbers = (one for one in arguments if isinstance(one, int))
    _require(all(abs(number) <= _MAX_CHARACTERS for number in numbers), "a text is made too long")


def _watched(function: Callable[..., object]) -> Callable[..., object]:
    def call(*arguments: object, **named: object) -> object:
        _require_small((*arguments[1:], *named.values()))
        return function(*arguments, **named)

    return call


def _length(value: object) -> int:
    return len(value) if isinstance(value, Sized) else 0


def _finalize(value: object) -> object:
    """What is printed for the value of an expression. Markup is ours and passes; nothing prints for None."""
    if value is None:
        return ""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return _MERGE_FIELD.sub("\\g<0>\u2060", _UNPRINTABLE.sub("", value))
