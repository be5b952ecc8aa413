"""Which process sends, and whether it still lives."""

import os
import socket
from functools import lru_cache
from pathlib import Path

import psutil

from digest.models import Owner


def this_owner(name: str) -> Owner:
    """The owner that this process is; `name` tells its senders apart."""
    process = psutil.Process()
    return Owner(
        host=socket.gethostname(), boot=_boot(), pid=process.pid, started=round(process.create_time(), 2), name=name
    )


def is_here(owner: Owner) -> bool:
    """Whether it ran on this machine, in this boot or an earlier one."""
    return owner.host == socket.gethostname()


def has_rebooted(owner: Owner) -> bool:
    """Whether this machine has started again since."""
    return is_here(owner) and owner.boot != _boot()


def is_dead(owner: Owner) -> bool:
    """Whether its process on this machine is certainly gone."""
    if not is_here(owner):
        return False
    if has_rebooted(owner):
        return True
    if owner.pid == os.getpid():
        return False
    try:
        return abs(psutil.Process(owner.pid).create_time() - owner.started) > 1.0
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False


@lru_cache(maxsize=1)
def _boot() -> str:
    """A name for this boot of the machine: Linux has one; elsewhere the time of the boot, to the minute."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return str(int(psutil.boot_time() // 60))
