"""Whether a sender still lives."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from digest.stores.owners import is_dead, is_of_this_boot, this_owner

ROOT = Path(__file__).resolve().parents[2]

# A process that says who it is, and lives until its stdin ends.
OWNER = """
import sys
from pydantic import TypeAdapter
from digest.models import Owner
from digest.stores.owners import this_owner
sys.stdout.write(TypeAdapter(Owner).dump_json(this_owner("child")).decode() + "\\n")
sys.stdout.flush()
sys.stdin.read()
"""


def test_a_process_lives_until_it_ends() -> None:
    from pydantic import TypeAdapter

    from digest.models import Owner

    with subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout
        owner = TypeAdapter(Owner).validate_json(child.stdout.readline())
        assert owner.pid == child.pid
        assert not is_dead(owner)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_dead(owner)  # a zombie
        child.wait()
        assert is_dead(owner)


def test_this_process_lives() -> None:
    assert not is_dead(this_owner("me"))
    assert this_owner("me") == this_owner("me")


def test_a_program_that_got_the_number_of_a_dead_one_is_not_it() -> None:
    mine = this_owner("me")
    assert is_dead(replace(mine, started=mine.started - 5))
    parent = replace(mine, pid=os.getppid(), started=1.0)
    assert is_dead(parent)


def test_after_a_reboot_every_process_of_before_is_dead() -> None:
    before = replace(this_owner("me"), boot="another boot")
    assert not is_of_this_boot(before)
    assert is_dead(before)


def test_nothing_is_known_of_a_process_on_another_machine() -> None:
    far = replace(this_owner("me"), host="elsewhere", boot="another boot")
    assert not is_of_this_boot(far)
    assert not is_dead(far)


def test_a_container_with_a_new_name_on_the_same_machine_is_of_this_boot() -> None:
    assert is_of_this_boot(replace(this_owner("me"), host="elsewhere"))


def test_nothing_is_known_of_a_process_in_a_container_of_the_same_name() -> None:
    mine = this_owner("me")
    elsewhere = replace(mine, host=f"{mine.host.partition(' ')[0]} pid:[1]", started=1.0)
    assert is_of_this_boot(elsewhere)
    assert not is_dead(elsewhere)
    assert is_dead(replace(elsewhere, boot="another boot"))


def test_setting_the_clock_makes_no_process_look_dead() -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("needs Linux: elsewhere the kernel keeps the instant")
    # Counted from the boot, which no setting of the clock moves; an instant of the calendar would lie far beyond it.
    assert 0 < this_owner("me").started <= time.clock_gettime(time.CLOCK_BOOTTIME)
