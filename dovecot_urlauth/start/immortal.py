"""Objects whose references nobody counts, so that a child which uses them needs no copy of its parent's page.

CPython keeps an object's count of references inside the object: whoever uses it writes to it, and the kernel gives
a forked process its own copy of that page.  From 3.12 on some objects are never freed, and known by their count
(PEP 683, "immortal"); None is one.  What a program is made of lives as long as the process anyway, and gets the
same count here: code, functions, classes, modules, constants, values that never change, and whatever a module or
a class has a name for.  Nothing else that holds a descriptor, a task or a buffer is among it, nor a tuple or a
value that refers to one.

Python has no call that sets the count, so it is written where the object begins.  Place and number are those of
CPython 3.12 to 3.14 (Include/object.h, Include/refcount.h), in builds that count with one number; an object made
for the purpose shows first whether this Python is one of them.  Elsewhere nothing is written, and children take
more memory.
"""

from __future__ import annotations

import gc
import sys

from dovecot_urlauth.start.frozen import Enum, is_frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import CodeType
    from typing import Any

COUNTS = {(3, 12): 0xFFFFFFFF, (3, 13): 0xFFFFFFFF, (3, 14): 1 << 48 | 0xC0000000}
"""Python's version -> the 64 bits with which an immortal object begins; 3.14 has a flag that says so, too."""
COUNTS_CONSTANTS = (3, 14)
"""From here on a code that has run once adds to its constants without looking, if they were mortal then."""
IMMORTAL = 0x80000000
"""From here on nothing is subtracted, and what is no plain count stands in higher bits."""
HELD = 100
"""References that an object on trial is given, and loses again."""


class CountUnknown(Exception):
    """This Python is not known to count references as those of the table do."""


def _function() -> None:
    """Nothing is called; types are named after it."""


def _types_of(*examples: object) -> frozenset[type]:
    return frozenset(map(type, examples))


_CODE = type(_function.__code__)
_LEAVES = _types_of(
    "", b"", 0, 0.0, None, True, ..., NotImplemented, _function.__code__, gc, property(), str.join
) | {
    staticmethod,
    classmethod,
    *_types_of(
        str.__add__,
        dict.__dict__["fromkeys"],
        _CODE.__dict__["co_name"],
        type(_function).__dict__["__code__"],
        gc.__spec__,
    ),
}
"""Atoms and parts of a program: they refer to nothing that has to end before the process does."""
_HOLDERS = _types_of((), frozenset(), len, "".__len__) | {type((lambda x: lambda: x)(0).__closure__[0])}  # type: ignore[index]
"""As lasting as what they refer to: tuples, sets, cells, bound functions of C."""
_OPENED = _HOLDERS | {dict, list, set}
"""What they refer to is looked at, which the garbage collector need not know of."""


def immortalize() -> int:
    """Freeze what the garbage collector knows, and make what the program is made of immortal; how much that is.

    Raises CountUnknown; then all is as before.
    """
    count = _known_count()
    counter_at = _counters()
    _try(count, counter_at)
    gc.unfreeze()
    gc.collect()
    lasting = lasting_objects(gc.get_objects(), with_constants=sys.version_info < COUNTS_CONSTANTS)
    gc.freeze()  # the collector must not come upon one: it counts, too
    changed = 0
    for address in lasting:
        counter = counter_at(address)
        if counter.value < IMMORTAL:
            counter.value = count
            changed += 1
    return changed


def lasting_objects(tracked: Sequence[object], *, with_constants: bool) -> dict[int, object]:
    """Address -> object, of what may live as long as the process.

    That is looked for in what the garbage collector knows, what that refers to, and what code is made of; whatever
    a module or a class has a name for lives as long as that.
    """
    known: dict[int, bool] = {}
    found: dict[int, object] = {}
    constants: set[int] = set()
    opened: dict[int, object] = {}
    waiting: Sequence[object] = [*tracked, *gc.get_referents(*tracked)]
    while waiting:
        candidates = dict(zip(map(id, waiting), waiting, strict=True))
        fresh = {
            address: thing
            for address, thing in candidates.items()
            if address not in found and (type(thing) in _LEAVES or _lasts(thing, known))
        }
        found |= fresh
        closed = {
            address: thing
            for address, thing in candidates.items()
            if type(thing) in _OPENED and address not in opened
        }
        opened |= closed
        waiting = gc.get_referents(*closed.values())
        for names in closed.values():
            if type(names) is dict:
                waiting += names  # keys that are text are passed over
        for code in fresh.values():
            if type(code) is _CODE:
                waiting += _parts(code)
                constants.update(map(id, code.co_consts))
    for owner in [thing for thing in found.values() if isinstance(thing, type | type(gc))]:
        for names in gc.get_referents(owner):
            if type(names) is dict:
                found[id(names)] = names
                found.update(zip(map(id, names.values()), names.values(), strict=True))
    if not with_constants:
        for address in constants:
            found.pop(address, None)
    return found


def _lasts(thing: object, known: dict[int, bool]) -> bool:
    """Whether it may live for ever; ``known`` are the answers so far, by address."""
    kind = type(thing)
    if kind in _LEAVES or isinstance(thing, type | Enum):
        return True
    if kind is type(_function):
        parts: Iterable[object] = thing.__closure__ or ()  # type: ignore[attr-defined]
    elif kind in _HOLDERS or is_frozen(thing):
        parts = gc.get_referents(thing)
    else:
        return False
    answer = known.get(id(thing))
    if answer is None:
        known[id(thing)] = True  # what refers to itself is not the reason to end
        answer = known[id(thing)] = all(_lasts(part, known) for part in parts)
    return answer


def _parts(code: CodeType) -> list[object]:
    """Names, constants and tables, which the garbage collector does not find."""
    names = (
        *code.co_names,
        *code.co_varnames,
        *code.co_freevars,
        *code.co_cellvars,
        code.co_name,
        code.co_qualname,
    )
    return [
        *names,
        *code.co_consts,
        code.co_names,
        code.co_consts,
        code.co_filename,
        code.co_linetable,
        code.co_exceptiontable,
    ]


def _known_count() -> int:
    """Raises CountUnknown."""
    version = sys.version_info[:2]
    if sys.implementation.name != "cpython" or version not in COUNTS:
        raise CountUnknown(f"not known for {sys.implementation.name} {version[0]}.{version[1]}")
    if sys.abiflags or sys.maxsize < IMMORTAL or sys.byteorder != "little":
        raise CountUnknown("not known for this build")
    return COUNTS[version]


def _counters() -> Callable[[int], Any]:
    """What gives the 64 bits at an address, to read and to write as ``value``. Raises CountUnknown."""
    try:
        from _ctypes import _SimpleCData
    except ImportError:
        try:
            from ctypes import _SimpleCData
        except ImportError as error:
            raise CountUnknown("not to be set without ctypes") from error

    class Counter(_SimpleCData):  # type: ignore[type-arg]
        _type_ = "Q"

    return Counter.from_address


def _try(count: int, counter_at: Callable[[int], Any]) -> None:
    """See on a new object that the number at its address is its count, and stays when it is ``count``.

    Raises CountUnknown.
    """
    trial = object()
    counter = counter_at(id(trial))
    before = counter.value
    held = [trial] * HELD
    if counter.value != before + HELD:
        raise CountUnknown("an object does not begin with its count")
    held.clear()
    counter.value = count
    held = [trial] * HELD
    if counter.value != count:
        counter.value = before + HELD
        raise CountUnknown("such a count goes on counting")
    held.clear()
    if counter.value != count:
        raise CountUnknown("such a count goes down")
