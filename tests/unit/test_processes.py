"""Worker processes, for one call or kept for the next: one that overstays costs itself alone."""

import itertools

from digest.engine import LocalEngine


def spin_or_double(number: int) -> int:
    """Never ends for 0."""
    for _ in itertools.repeat(None) if number == 0 else ():
        pass
    return 2 * number


def test_what_overstays_in_a_kept_process_is_ended_and_the_others_go_on() -> None:
    engine = LocalEngine(processes=1)
    try:
        assert engine.in_kept_processes(spin_or_double, [3], seconds=30) == [6], "also when it is one alone"
        spun, doubled = engine.in_kept_processes(spin_or_double, [0, 4], seconds=1)
        assert isinstance(spun, TimeoutError)
        assert doubled == 8
        engine.rest()
        assert engine.in_kept_processes(spin_or_double, [5], seconds=30) == [10]
    finally:
        engine.rest()
        engine.rest()


def test_what_overstays_alone_is_ended_too() -> None:
    """A newsletter with one new page a day must not be held up by it for ever."""
    (spun,) = LocalEngine().in_processes(spin_or_double, [0], seconds=1)
    assert isinstance(spun, TimeoutError)
    assert LocalEngine().in_processes(spin_or_double, [4], seconds=30) == [8]
    assert LocalEngine().in_processes(spin_or_double, [], seconds=30) == []
