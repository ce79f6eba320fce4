"""Which objects may live for ever; tests/dovecot/test_memory.py asks Pythons that have such ones."""

from __future__ import annotations

import gc
import io
import math
import socket
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any, ClassVar

import pytest

from dovecot_urlauth.start import immortal
from dovecot_urlauth.start.frozen import Enum, frozen
from dovecot_urlauth.start.immortal import HELD, CountUnknown, immortalize, lasting_objects

WORDS = ("one", 2, (b"three", frozenset((4.5,))))


class Colour(Enum):
    RED = "r"


@frozen
class Pair:
    left: object
    right: object


class Plain:
    """Its objects are nobody's constants."""


def outer(numbers: list[int] | str) -> Callable[[], object]:
    def inner() -> object:
        return numbers, "a constant of its own"

    return inner


def lasts(*things: object, with_constants: bool = True) -> list[bool]:
    """Of each, whether it may live for ever."""
    found = lasting_objects([list(things)], with_constants=with_constants)
    return [found.get(id(thing)) is thing for thing in things]


@pytest.mark.parametrize(
    "thing",
    [
        outer, Plain, Colour, Pair, Colour.RED, math, len, math.sqrt, str.join, Plain.__dict__["__dict__"],
        outer.__code__, WORDS, WORDS[2], "text", b"bytes", 1 << 80, 1.5, frozenset((1,)), outer("text"),
        Pair(1, (b"2", Colour.RED)), (outer, Plain), property(), staticmethod(outer), classmethod(repr),
    ],
    ids=lambda thing: type(thing).__name__,
)  # fmt: skip
def test_what_a_program_is_made_of(thing: object) -> None:
    assert lasts(thing) == [True]


def test_what_holds_something() -> None:
    closed = socket.socket()
    closed.close()
    buffer = io.BytesIO()
    open_things = [closed, buffer, buffer.write, [], {}, set(), bytearray(), Plain(), OSError(), iter(())]
    holders = [(1, closed), ((closed,),), frozenset((closed,)), Pair(1, []), outer([1]), closed.fileno]
    assert lasts(*open_things, *holders) == [False] * 16


def test_what_refers_to_itself() -> None:
    def again() -> object:
        return again

    assert lasts(again) == [True]


class Naming:
    """What it has names for lives as long as it does, and is not looked into."""

    table: ClassVar = {"text that is in a table": [1.25]}
    lock = io.BytesIO()


def test_what_has_a_name_in_a_module_or_a_class() -> None:
    [names] = [names for names in gc.get_referents(Naming) if type(names) is dict]
    found = lasting_objects([Naming, names, math], with_constants=True)
    text, numbers = next(iter(Naming.table.items()))
    for thing in (names, Naming.table, text, Naming.lock, vars(math), math.pi, math.__spec__):
        assert found.get(id(thing)) is thing
    assert id(numbers) not in found


def test_what_the_collector_does_not_know_of() -> None:
    """It is not told of containers in which there are atoms only; the containers may have to end all the same."""
    words = {b"a word": "another"}
    assert not gc.is_tracked(words)
    found = lasting_objects([[words]], with_constants=True)
    assert id(words) not in found
    assert all(found[id(word)] is word for pair in words.items() for word in pair)


def test_code_with_all_that_is_inside() -> None:
    code = outer.__code__
    [inner] = [constant for constant in code.co_consts if isinstance(constant, type(code))]
    found = lasting_objects([outer], with_constants=True)
    for thing in (code, inner, "a constant of its own", code.co_names, inner.co_consts, code.co_linetable):
        assert id(thing) in found
    text = next(constant for constant in inner.co_consts if constant == "a constant of its own")
    assert found[id(text)] is text


def test_constants_left_out() -> None:
    """Wherever else they are referred to."""
    code = outer.__code__
    [inner] = [constant for constant in code.co_consts if isinstance(constant, type(code))]
    made = FunctionType(inner, {}, closure=outer("").__closure__)
    found = lasting_objects([outer, made, inner.co_consts], with_constants=False)
    assert id(code) in found
    assert not {id(inner), *map(id, inner.co_consts)} & found.keys()


# -- this Python


@pytest.mark.parametrize(
    ("name", "value"),
    [("abiflags", "t"), ("abiflags", "d"), ("byteorder", "big"), ("maxsize", 2**31 - 1)],
)
def test_another_build(monkeypatch: pytest.MonkeyPatch, name: str, value: object) -> None:
    monkeypatch.setitem(immortal.COUNTS, sys.version_info[:2], 0xFFFFFFFF)
    monkeypatch.setattr(sys, name, value)
    with pytest.raises(CountUnknown, match="not known for this build"):
        immortalize()


def test_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(immortal.COUNTS, sys.version_info[:2], raising=False)
    with pytest.raises(CountUnknown, match=rf"not known for cpython 3\.{sys.version_info[1]}"):
        immortalize()


def test_a_count_that_is_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only objects that are written to are the one on trial, and it is put right."""
    monkeypatch.setitem(immortal.COUNTS, sys.version_info[:2], 12345)
    monkeypatch.setattr(immortal, "lasting_objects", None)
    with pytest.raises(CountUnknown, match="goes on counting"):
        immortalize()


def test_without_ctypes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python can be built without libffi."""
    monkeypatch.setitem(immortal.COUNTS, sys.version_info[:2], 0xFFFFFFFF)
    monkeypatch.setitem(sys.modules, "_ctypes", None)
    monkeypatch.setitem(sys.modules, "ctypes", None)
    with pytest.raises(CountUnknown, match="not to be set without ctypes"):
        immortalize()


class Counter:
    """An object's first word, as some other Python may have it: what reading it says, one after the other."""

    def __init__(self, *readings: int) -> None:
        self._readings = list(readings)
        self.written: list[int] = []

    @property
    def value(self) -> int:
        return self._readings.pop(0)

    @value.setter
    def value(self, value: int) -> None:
        self.written.append(value)


@pytest.mark.parametrize(
    ("readings", "written", "why"),
    [
        ((1, 1), [], "does not begin"),
        ((1, 1 + HELD, 99), [77, 1 + HELD], "goes on"),
        ((1, 1 + HELD, 77, 76), [77], "goes down"),
    ],
)
def test_the_trial(readings: tuple[int, ...], written: list[int], why: str) -> None:
    counter = Counter(*readings)
    with pytest.raises(CountUnknown, match=why):
        immortal._try(77, lambda _: counter)
    assert counter.written == written


def test_only_what_is_counted_is_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    counters: dict[int, Any] = {1: Counter(3), 2: Counter(1 << 31), 3: Counter(1 << 48 | 1), 4: Counter(9)}
    monkeypatch.setattr(immortal, "_known_count", lambda: 77)
    monkeypatch.setattr(immortal, "_try", lambda count, counter_at: None)
    monkeypatch.setattr(immortal, "_counters", lambda: counters.__getitem__)
    monkeypatch.setattr(immortal, "lasting_objects", lambda tracked, with_constants: counters)
    before = gc.get_freeze_count()
    try:
        assert immortalize() == 2
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()
    assert [counter.written for counter in counters.values()] == [[77], [], [], [77]]
