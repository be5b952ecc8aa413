"""The reference, made from the program each time these pages are built: what stands there cannot differ from it.

python docs/generate.py FOLDER      commands, configuration keys, errors, templates, the API, metrics
"""

import inspect
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from keys import write_cell, write_configuration

ROOT = Path(__file__).parents[1]


def write_commands() -> Iterator[str]:
    """Every command with its options, as `--help` says them."""
    from typer.main import get_command

    from digest.cli import commands

    yield "# Commands and options\n"
    yield "What `digest COMMAND --help` says. What they do in words: [commands](../commands.md).\n"
    yield from _describe_command(get_command(commands), "digest", depth=2)


def _describe_command(command: Any, name: str, *, depth: int) -> Iterator[str]:
    subcommands = getattr(command, "commands", {})
    if name != "digest":
        yield f"{'#' * depth} {name}\n"
        yield f"{_unmark(command.help)}\n"
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and "--help" not in one.opts]
    if (arguments or options) and not subcommands:
        words = " ".join([name, *("[OPTIONS]" if options else "").split(), *(_show_argument(one) for one in arguments)])
        yield f"    {words}\n"
        yield "| | |\n| --- | --- |"
        for one in [*arguments, *options]:
            shown = _show_argument(one) if one in arguments else ", ".join([*one.opts, *one.secondary_opts])
            default = f" (default: `{one.default}`)" if one.default not in (None, False, "", ()) else ""
            yield f"| `{shown}` | {write_cell(_unmark(getattr(one, 'help', None) or ''))}{default} |"
        yield ""
    for sub in sorted(subcommands):
        yield from _describe_command(subcommands[sub], f"{name} {sub}", depth=min(depth + (name != "digest"), 3))


def _show_argument(argument: Any) -> str:
    shown = argument.metavar or argument.name.upper()
    return shown if argument.required or shown.startswith("[") else f"[{shown}]"


def _unmark(text: str | None) -> str:
    return inspect.cleandoc(text or "").replace("\\[", "[").replace("\b", "")


def write_errors() -> Iterator[str]:
    """The tree, and what each means for who meets it."""
    from digest import errors

    yield "# Errors\n"
    yield "Each prints as *subject: message: cause*, with the remedy in brackets.\n"
    tree = (errors.__doc__ or "").split("\n\n")[1]
    yield f"```text\n{inspect.cleandoc(tree)}\n```\n"
    yield "| error | means |\n| --- | --- |"
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, errors.DigestError):
            yield f"| `{name}` | {write_cell((kind.__doc__ or '').splitlines()[0])} |"
    yield ""
    yield "Exit codes: 0 done, also when nothing was due; 1 failed; 2 usage or configuration; 3 finished, not whole.\n"


def write_templates() -> Iterator[str]:
    """What each template is given: what stands at the top of it."""
    yield "# Templates\n"
    yield (
        "A template of yours in `templates/`, under the same name, is used instead of the shipped one. It runs in a"
        " sandbox: values can be read, and nothing else. Each says at its top what it is given.\n"
    )
    for path in sorted((ROOT / "templates").rglob("*.*")):
        head = re.match(r"\s*\{#-?(.*?)-?#\}", path.read_text(encoding="utf-8"), re.DOTALL)
        if head and path.suffix in {".html", ".txt"}:
            yield f"## {path.relative_to(ROOT / 'templates')}\n"
            yield f"```text\n{inspect.cleandoc(head[1].strip(chr(10)))}\n```\n"


def write_api() -> Iterator[str]:
    """Every address, as its schema has it."""
    schema = _read_schema()
    yield "# API\n"
    yield (
        f"Version {schema['info']['version']}, under `/api/v1`; the schema itself is at `/api/v1/openapi.json`. How to"
        " use it: [the API](../api.md).\n"
    )
    for path, methods in schema["paths"].items():
        for method, one in methods.items():
            yield f"## {method.upper()} {path}\n"
            yield f"{one.get('summary', '')}. {one.get('description', '')}\n"
            scopes = [scope for entry in one.get("security", []) for names in entry.values() for scope in names]
            if scopes:
                yield f"Needs the scope {', '.join(f'`{scope}`' for scope in scopes)}.\n"
            if one.get("parameters"):
                yield "| parameter | in | |\n| --- | --- | --- |"
                for given in one["parameters"]:
                    yield f"| `{given['name']}` | {given['in']} | {write_cell(given.get('description', ''))} |"
                yield ""
            answers = "; ".join(
                f"{status} {_shorten(said['description'])}" for status, said in one["responses"].items()
            )
            yield f"Answers: {answers}.\n"


def _shorten(words: str) -> str:
    return "what was asked for" if words == "Successful Response" else words.rstrip(".")


def _read_schema() -> dict[str, Any]:
    """Of a newsletter that is nowhere but in a temporary folder."""
    from digest.app import App
    from digest.config import load_config
    from digest.web.api import create_api

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        path.write_text('[newsletter]\nname = "Morning Brief"\nslug = "morning"\nsender = "brief@example.com"\n')
        with App(load_config(path, {})) as app:
            return dict(create_api(app).openapi())


def write_metrics() -> Iterator[str]:
    """Every figure."""
    from digest.operate.metrics import FIGURES

    yield "# Metrics\n"
    yield "What `/metrics` gives; how to ask for it: [observing](../observing.md).\n"
    yield "| figure | labels | |\n| --- | --- | --- |"
    for name, (labels, words) in FIGURES.items():
        yield f"| `{name}` | {', '.join(f'`{label}`' for label in labels) or '–'} | {words} |"
    yield ""


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "commands": write_commands,
    "configuration": write_configuration,
    "errors": write_errors,
    "templates": write_templates,
    "api": write_api,
    "metrics": write_metrics,
}


def write_pages(folder: Path) -> None:
    """All of them; a page that is as it was is left alone, so that nothing is built again for it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, write in PAGES.items():
        path, text = folder / f"{name}.md", "\n".join(write())
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
