"""The check of summaries in other words, held to its figures on the cases that ship with it."""

from pathlib import Path

from benchmarks.grounding import judge_grounding


def test_what_can_be_looked_up_is_caught_and_little_that_is_faithful_is_refused(shared: Path) -> None:
    figures = {figure.name: figure.value for figure in judge_grounding()}
    assert figures["looked up"] >= 98
    assert figures["faithful"] <= 3
    assert figures["looked up, nine languages"] >= 95
