"""Items of one size, packed behind each other in ascending order of UIDs, as the log has them.

An item starts with its UID, or with the first and the last UID of a range.
"""

from __future__ import annotations

from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

UID_RANGE = Struct("<II")
FLAGS = Struct("<IIBBBx")
"""first and last UID, flags to add, flags to remove, modseq increase."""


def last_uid(layout: Struct, item: tuple[Any, ...]) -> int:
    """The highest UID that ``item`` is about."""
    uid: int = item[1] if layout is UID_RANGE or layout is FLAGS else item[0]
    return uid


def search(layout: Struct, data: bytes, uid: int) -> tuple[Any, ...] | None:
    """The item of ``data`` that has ``uid``, by bisection; None when there is none."""
    low, high = 0, len(data) // layout.size
    while low < high:
        middle = (low + high) // 2
        item: tuple[Any, ...] = layout.unpack_from(data, middle * layout.size)
        if last_uid(layout, item) < uid:
            low = middle + 1
        elif item[0] > uid:
            high = middle
        else:
            return item
    return None


def first_above(layout: Struct, data: bytes, uid: int) -> int | None:
    """The lowest UID above ``uid`` that an item of ``data`` starts with; None when there is none."""
    low, high = 0, len(data) // layout.size
    if not high or layout.unpack_from(data, (high - 1) * layout.size)[0] <= uid:
        return None
    while low < high:
        middle = (low + high) // 2
        if layout.unpack_from(data, middle * layout.size)[0] <= uid:
            low = middle + 1
        else:
            high = middle
    found: int = layout.unpack_from(data, low * layout.size)[0]
    return found
