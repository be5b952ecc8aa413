"""digest subscribers import: a file of any length into the store, in commits of some thousands.

What is broken off goes on where it stood: the line that was committed last is kept beside the rows.
"""

import gc
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from digest.audience.importing import Chunk, Told, read_chunks
from digest.audience.rows import Terms
from digest.audience.tables import open_table

if TYPE_CHECKING:
    from digest.app import App

_START: Final = 65_536  # bytes of a file that tell it from others, beside its length
_WORDS: Final = {
    "unsubscribed": "left before: only the reader can come back, by subscribing again",
    "bounced": "bounced before: it is not mailed again",
    "complained": "complained before: it is not mailed again",
    "erased": "was erased: only the reader can come back, by subscribing again",
}


@dataclass(slots=True)
class Imported:
    """What an import did, in rows."""

    added: int = 0
    activated: int = 0  # pending before, and agreed now
    ended: int = 0  # mailed before, and said now to have left, bounced or complained
    known: int = 0
    left_out: int = 0  # must not be mailed
    refused: int = 0  # cannot be read
    resumed_after: int = 0  # the line after which it went on
    ignored: tuple[str, ...] = ()  # columns that nothing was made of
    encoding: str = "utf-8"


def import_file(
    app: "App",
    path: Path,
    *,
    consent: str | None,
    mapping: Mapping[str, str],
    encoding: str | None,
    dry: bool,
    tell: Callable[[Told], None],
    on_progress: Callable[[int], None] = lambda _: None,
) -> Imported:
    """Take the rows of a file in. `tell` hears of each row that is not taken as it is; `dry` keeps nothing.

    Raises ConfigError when the file as a whole cannot be read, and StoreError; what was committed before stays.
    """
    newsletter = app.config.newsletter.slug
    terms = Terms(
        consent=consent,
        consent_from=f"imported from {path.name}" if consent else None,
        topics=[topic.id for topic in app.config.topics],
        now=app.clock(),
    )
    with ExitStack() as stack:
        stack.enter_context(_quick_collection())
        table = stack.enter_context(open_table(path, mapping=mapping, encoding=encoding))
        store = stack.enter_context(app.scratch(takes_readers=True)) if dry else app.store
        name = _name(path, newsletter, consent)
        done = Imported(ignored=table.ignored, encoding=table.encoding)
        done.resumed_after = 0 if dry else store.subscribers.marked(newsletter, name)
        for chunk in read_chunks(table, terms, size=store.subscribers.CHUNK, after=done.resumed_after):
            taken = store.subscribers.take(newsletter, chunk.readers, now=terms.now, mark=(name, chunk.last_line))
            done.added += taken.added
            done.activated += taken.activated
            done.ended += taken.ended
            done.left_out += len(taken.left_out)
            done.known += len(chunk.readers) - taken.added - taken.activated - taken.ended - len(taken.left_out)
            done.refused += sum(one.is_fault for one in chunk.told)
            for one in _tell_all(chunk, dict(taken.left_out)):
                tell(one)
            on_progress(chunk.last_line)
        if not dry:
            store.subscribers.unmark(newsletter, name)
    return done


@contextmanager
def _quick_collection() -> Iterator[None]:
    """Let the collector of cycles pass over what is there already: each row makes objects, and it would look at all."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _tell_all(chunk: Chunk, left_out: Mapping[int, str]) -> list[Told]:
    kept_out = [
        Told(line=chunk.lines[place], said=f"{chunk.readers[place].email} {_WORDS.get(why, why)}", is_fault=True)
        for place, why in left_out.items()
    ]
    return sorted([*chunk.told, *kept_out], key=lambda told: told.line)


def _name(path: Path, newsletter: str, consent: str | None) -> str:
    """By what an import is known again when it is repeated: the file's length and beginning, and what it was told."""
    with path.open("rb") as file:
        start = file.read(_START)
    told = f"{newsletter}\n{consent}\n{path.stat().st_size}\n".encode()
    return hashlib.sha256(told + start).hexdigest()
