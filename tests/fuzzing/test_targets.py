"""Each target's invariant holds for what it begins with, and for that with a few bytes changed."""

from __future__ import annotations

import importlib
from random import Random
from typing import Any

import pytest

from fuzzing.dialogues import client_side, dialogues, mutated
from fuzzing.targets import NAMES

ROUNDS = 60
LONGEST = 2000


def target(name: str) -> Any:
    return importlib.import_module(f"fuzzing.targets.{name}")


@pytest.mark.parametrize("name", NAMES)
def test_it_holds(name: str) -> None:
    chance = Random(name)
    seeds = [seed for seed in target(name).seeds() if len(seed) <= LONGEST]
    assert seeds
    for seed in seeds:
        target(name).check(seed)
    target(name).check(b"")
    for _ in range(ROUNDS):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randrange(1, 5)):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
        target(name).check(bytes(data[: chance.randrange(len(data) + 1)]))


@pytest.mark.parametrize("name", NAMES)
def test_its_invariant_is_a_sentence_on_top(name: str) -> None:
    first = target(name).__doc__.splitlines()
    assert len(first) == 1
    assert first[0].endswith((".", ")"))


def test_a_broken_invariant_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that takes anything finds nothing."""
    from dovecot_urlauth.wire.lines import LineBuffer

    real = LineBuffer.next_line
    monkeypatch.setattr(LineBuffer, "next_line", lambda lines: real(lines) and b"VERSION\t%d" % len(lines._bytes))
    with pytest.raises(AssertionError):
        target("authmaster").check(target("authmaster").seeds()[0])


def test_dialogues_are_mutated_and_repeatable() -> None:
    for language in ("2.3", "2.4"):
        for pieces in (*dialogues(language, b"imap://x").values(), client_side(b"imap://x")):
            many = [mutated(pieces, Random(seed)) for seed in range(200)]
            assert many == [mutated(pieces, Random(seed)) for seed in range(200)]
            assert any(changed != pieces for changed in many)
            assert pieces in many
