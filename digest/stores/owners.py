"""Which process sends, and whether it still lives."""

import os
import socket
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

import psutil

from digest.models import Owner

_GONE = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)  # killed, and its parent has not asked for it yet: it sends nothing


def this_owner(name: str) -> Owner:
    """The owner that this process is; `name` tells its senders apart."""
    pid = os.getpid()
    return Owner(host=f"{socket.gethostname()}{_space()}", boot=_boot(), pid=pid, started=_started(pid), name=name)


def name_process(owner: Owner) -> str:
    """The id of the process that an owner is of: the same for all its senders, and of no other process ever."""
    words = f"{owner.host}\0{owner.boot}\0{owner.pid}\0{owner.started}"
    return blake2b(words.encode(), digest_size=16).hexdigest()


def is_here(owner: Owner) -> bool:
    """Whether it ran on this machine, in this boot or an earlier one."""
    return owner.host.partition(" ")[0] == socket.gethostname()


def is_of_this_boot(owner: Owner) -> bool:
    """Whether the machine has run on since: then what it wrote is there, also where it was not yet on the disk.

    By the boot alone. The name of a host says nothing: a container gets a new one each time.
    """
    return owner.boot == _boot()


def is_told_of(owner: Owner) -> bool:
    """Whether this machine's system knows its process, living or dead: not one elsewhere, or in another container."""
    return is_here(owner) and (not is_of_this_boot(owner) or owner.host == f"{socket.gethostname()}{_space()}")


def is_dead(owner: Owner) -> bool:
    """Whether its process on this machine is certainly gone."""
    if not is_here(owner):
        return False
    if not is_of_this_boot(owner):
        return True
    if owner.host != f"{socket.gethostname()}{_space()}":
        return False  # it is in another container, which may have been given the same name
    try:
        # The number alone says little: in a container a restarted program gets the same one again.
        return psutil.Process(owner.pid).status() in _GONE or _started(owner.pid) != owner.started
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return True
    except (psutil.AccessDenied, PermissionError):
        return False


def _started(pid: int) -> float:
    """When a process started, in seconds that do not change while it lives.

    On Linux they count from the boot: psutil adds the time of the boot, which moves whenever the clock is set, and then
    every living sender would look dead. Elsewhere the kernel itself keeps the instant.
    """
    try:
        # proc(5): the name, in parentheses, may hold anything; `starttime` is the 20th field after it.
        ticks = int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19])
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            raise
        return round(psutil.Process(pid).create_time(), 2)
    return ticks / os.sysconf("SC_CLK_TCK")


def _space() -> str:
    """Where processes have their numbers: those of another container are others', or nobody's, here."""
    try:
        return f" {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


@lru_cache(maxsize=1)
def _boot() -> str:
    """A name for this boot of the machine: Linux has one; elsewhere the time of the boot, to the minute."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return str(int(psutil.boot_time() // 60))
