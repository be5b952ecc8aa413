"""Files that hold a database, or a copy of one."""

import os
from pathlib import Path

from digest.errors import StoreError


def begins_with(file: Path, magic: bytes) -> bool:
    """Whether a file is of the kind that begins so. Raises StoreError."""
    try:
        with file.open("rb") as opened:
            return opened.read(len(magic)) == magic
    except OSError as error:
        raise StoreError(str(file), "it cannot be read") from error


def make_private(file: Path) -> None:
    """An empty file that its owner alone may read, whatever the umask: addresses and keys come into it.

    Raises OSError.
    """
    number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(number, 0o600)  # where it was there
    finally:
        os.close(number)
