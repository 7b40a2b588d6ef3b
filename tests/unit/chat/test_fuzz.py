"""Both dialects, typed commands and moderation on inputs that nobody would write.

Mutations of lines and frames that are right go deeper than random bytes. The short run is part of the suite,
the long one (a million inputs a dialect) is not. A failure names the seed and prints the input.
"""

from __future__ import annotations

import gc
import random
import resource
import time
from collections.abc import Callable

import pytest

from chat import commands, irc, irc_replies, wire
from chat.automod import Policy, WordLists, review
from chat.wordlists import lists
from core.errors import Invalid, Malformed
from tests.fuzz_kit import FRAMES, LINES, TEXTS, mutated

SHORT, LONG = 20_000, 1_000_000


def as_irc(text: str) -> None:
    """As a line of IRC, and what is answered."""
    lines = irc.Lines()
    data = text.encode("utf-8", "surrogatepass") + b"\n"
    try:
        for line in lines.feed(data):
            command = irc.read(line.decode("utf-8", "replace"))
            if isinstance(command, irc.Say):
                commands.parse(command.text)
            if isinstance(command, irc.Ping):
                answer = irc_replies.pong(command).line()
                assert "\n" not in answer
    except Malformed as error:
        assert "\n" not in irc_replies.refusal(None, error).line()
    except Invalid as error:
        assert "\n" not in irc_replies.refusal("ann", error).line()


def as_json(text: str) -> None:
    """As a frame of JSON."""
    data = text.encode("utf-8", "surrogatepass")
    try:
        command = wire.decode(data)
        if isinstance(command, wire.Say):
            commands.parse(command.text)
            # What is accepted can be written to every socket.
            command.text.encode()
    except (Malformed, Invalid):
        wire.encode(wire.context_of(data))


POLICY = Policy.compile({"overall": 4}, ("spam*", "b a d", "死ね"), ("frog", "example.com"))
WORDS = WordLists(lists())


def as_text(text: str) -> None:
    """As something to be said."""
    text = text.encode("utf-8", "replace").decode()[:500]
    try:
        commands.parse(text)
    except Invalid as error:
        assert error.code
    review(text, POLICY, WORDS, False)


TARGETS: list[tuple[Callable[[str], None], list[str]]] = [
    (as_irc, LINES + TEXTS), (as_json, FRAMES), (as_text, TEXTS + LINES),
]  # fmt: skip


def run(target: Callable[[str], None], seeds: list[str], count: int, seed: int) -> None:
    """Feed `count` inputs. Memory may not grow by more than 64 MiB."""
    chance = random.Random(seed)
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(count):
        text = mutated(seeds, chance)
        try:
            target(text)
        except Exception as error:
            raise AssertionError(f"seed {seed}, input {number}: {text!r}") from error
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 64 * 1024, f"{grown} KiB more"


@pytest.mark.parametrize(
    ("target", "seeds"), TARGETS, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_few_thousand_inputs(target: Callable[[str], None], seeds: list[str]) -> None:
    run(target, seeds, SHORT // 4 if target is as_text else SHORT, 1)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("target", "seeds"), TARGETS, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_million_inputs(target: Callable[[str], None], seeds: list[str]) -> None:
    run(target, seeds, LONG, time.time_ns())
