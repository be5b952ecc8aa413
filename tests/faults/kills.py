"""Senders killed at random and at each named step, one edition after the other; and the table of what came of it."""

import random
import time
from collections.abc import Sequence

from tests.faults.field import Field, Kept, Trial, traps
from tests.faults.sending import STEPS

# Those that an edition comes by once; at the others a sender is killed at the first and at a later one.
_ONCE = {"planning", "planned", "before opening", "opened", "before closing", "closed"}
# Where the server has the message or the request, and what it does with it: step, answer.
SERVER_STEPS = {
    "smtp": (
        ("open", "hold"),
        ("mail", "hold"),
        ("rcpt", "hold"),
        ("data", "hold"),
        ("content", "hold"),
        ("reply", "hold"),
        ("reply", "take and hold"),
    ),
    "sendgrid": (("content", "hold"), ("reply", "hold"), ("reply", "take and hold")),
}
_MOST_OF_AN_EDITION = 6  # kills of one edition's senders before one is let to its end
_LATEST = 0.15  # seconds after which a sender is killed at the latest: it takes about 0.1 to its end


def name_steps(transport: str) -> list[tuple[str, int, str]]:
    """Every named step: its name, which one of them, and the server's answer where it is a step of the server's."""
    ours = [(step, number, "") for step in STEPS for number in ((1,) if step in _ONCE else (1, 2, 3))]
    theirs = [(step, number, answer) for step, answer in SERVER_STEPS[transport] for number in _numbers(step)]
    return [*ours, *theirs]


def _numbers(step: str) -> tuple[int, ...]:
    return (1,) if step == "open" else (1, 3)


def kill_at_step(field: Field, step: str, number: int, answer: str) -> Kept:
    """A sender that is killed at a named step, and the next one, which ends what it began."""
    began = time.monotonic()
    trial = field.edition()
    if answer:
        held = field.sinks.count(f"held {step}")
        field.sinks.trap(step, number, answer)
        running = trial.start()
        field.sinks.wait(lambda said: said[f"held {step}"] > held, f"a conversation held at {step}")
        assert running.kill()
    else:
        running = trial.start(*traps((step, number, "kill")))
        ended = running.wait()
        assert ended == {"killed": 9}, f"{step} {number}: {ended}"
    trial.note_kill()
    return _end(trial, began)


def kill_at_random(field: Field, kills: int, chance: random.Random) -> Kept:
    """That many senders, killed when the server has so many messages, after a while, or beside another sender."""
    total = Kept()
    while total.kills < kills:
        began = time.monotonic()
        trial = field.edition()
        for _ in range(min(chance.randint(1, _MOST_OF_AN_EDITION), kills - total.kills)):
            if not _kill_one(trial, chance):
                break
        total.add(_end(trial, began))
    return total


def _kill_one(trial: Trial, chance: random.Random) -> bool:
    """Whether the sender was still there to be killed."""
    sinks, word = trial.field.sinks, f"taken {trial.field.transport}"
    how = chance.choice(["after messages", "after a while", "beside another"])
    if how == "after messages":
        left = trial.left()
        if not left:
            return False
        wanted = sinks.count(word) + chance.randint(1, left)
        running = trial.start()
        sinks.wait(lambda said: said[word] >= wanted, "messages")
        was_there = running.kill()
    elif how == "after a while":
        was_there = trial.start().kill_after(chance.uniform(0, _LATEST))
    else:
        running, other = trial.start(), trial.start()
        was_there = running.kill_after(chance.uniform(0, _LATEST))
        assert other.wait() == {"exited": 0}, other.report()
    if was_there:
        trial.note_kill()
    return was_there


def _end(trial: Trial, began: float) -> Kept:
    trial.finish()
    kept = trial.check()
    if trial.field.transport == "sendgrid":
        kept.left = trial.hear()
    kept.seconds = time.monotonic() - began
    return kept


def print_table(rows: Sequence[tuple[str, Kept]]) -> str:
    """What each row came to, for a terminal."""
    names = ("kills", "editions", "recipients", "mailed", "twice", "lost", "unknown", "bound", "taken", "left")
    width = max(len(name) for name, _ in rows)
    lines = ["  ".join([" " * width, *(f"{name:>10}" for name in names), f"{'seconds':>8}"])]
    for name, kept in rows:
        figures = [f"{getattr(kept, column):>10}" for column in names]
        lines.append(
            "  ".join([f"{name:<{width}}", *figures, f"{kept.seconds:8.1f}", "" if kept.is_kept else "BROKEN"])
        )
        lines += [f"    {fault}" for fault in kept.faults]
    return "\n".join(line.rstrip() for line in lines)
