"""The index of the mailbox list, whole and broken."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.store.errors import Unsupported
from dovecot_urlauth.store.native.list_index import (
    NO_GUID,
    RECORD,
    IndexView,
    parse_names,
    parse_record,
    read_list,
)
from tests.store import ondisk

GUIDS = {uid: f"{uid:02x}" * 16 for uid in range(1, 6)}


def header(*names: tuple[int, bytes], refresh: bytes = b"\0", end: bytes = b"") -> bytes:
    """The extension's header."""
    return refresh + b"".join(struct.pack("<I", number) + name + b"\0" for number, name in names) + end


def list_index(*names: tuple[int, bytes, int, bool]) -> tuple[bytes, bytes]:
    """Main file and log of parts with UID, name, UID of the parent, and whether a mailbox ends there."""
    records = {
        uid: RECORD.pack(uid, parent, bytes.fromhex(GUIDS[uid]) if is_mailbox else NO_GUID, uid)
        for uid, _, parent, is_mailbox in names
    }
    extension = (b"list", 0, header(*((uid, name) for uid, name, _, _ in names)), records)
    flags = [(uid, 0 if is_mailbox else 0x10) for uid, _, _, is_mailbox in names]
    return ondisk.index(flags, extensions=[extension]), ondisk.log_header()


def test_names() -> None:
    assert parse_names(b"") == parse_names(b"\1") == {}
    assert parse_names(header((1, b"Box"), (7, b"&AOQ-"))) == {1: b"Box", 7: b"&AOQ-"}
    assert parse_names(header((1, b""), end=bytes(9))) == {1: b""}


@pytest.mark.parametrize(
    "broken",
    [
        header((1, b"Box"))[:-1],
        header((1, b"Box"), end=b"\0"),
        header((2, b"Box"), (2, b"Other")),
        header((2, b"Box"), (1, b"Other")),
        b"\0\1\0\0",
    ],
)
def test_broken_names(broken: bytes) -> None:
    with pytest.raises(Unsupported):
        parse_names(broken)


@given(st.binary(max_size=60) | st.lists(st.binary(max_size=8)).map(lambda names: header(*enumerate(names, 1))))
def test_any_names(data: bytes) -> None:
    """Whole and cut anywhere: every name that is found stands there."""
    for cut in range(len(data) + 1):
        try:
            names = parse_names(data[:cut])
        except Unsupported:
            continue
        assert all(name + b"\0" in data and b"\0" not in name for name in names.values())
        assert list(names) == sorted(names)


@given(st.binary(max_size=40), st.integers(0, 255))
def test_any_record(data: bytes, flags: int) -> None:
    for cut in range(len(data) + 1):
        try:
            number, parent, guid = parse_record(data[:cut], flags)
        except Unsupported:
            continue
        assert data.startswith(struct.pack("<II", number, parent) + guid)
        assert guid == NO_GUID or not flags & 0x14


def test_flags_of_what_is_to_be_repaired() -> None:
    record = RECORD.pack(1, 0, b"g" * 16, 1)
    assert parse_record(record, 0x02) == (1, 0, b"g" * 16)
    for flags in (0x04, 0x08, 0x10):
        with pytest.raises(Unsupported):
            parse_record(record, flags)
    assert parse_record(RECORD.pack(1, 0, NO_GUID, 0), 0x14) == (1, 0, NO_GUID)


class View:
    """An index of records with these names and parents."""

    def __init__(self, records: dict[int, tuple[int, int, bytes]]) -> None:
        self._records = records

    def extension_header(self, _: bytes) -> bytes:
        return header((1, b"one"), (2, b"two"), (3, b"three"))

    def extension_record(self, _: bytes, uid: int) -> bytes:
        return RECORD.pack(*self._records[uid], 1)

    def flags(self, _: int) -> int:
        return 0

    def uid_after(self, uid: int) -> int | None:
        return min((each for each in self._records if each > uid), default=None)


def read(records: dict[int, tuple[int, int, bytes]]) -> dict[tuple[int, bytes], int]:
    view: IndexView = View(records)  # type: ignore[assignment]
    return read_list(view)[0]


def test_a_parent_may_come_later() -> None:
    assert read({1: (1, 2, b"a" * 16), 2: (2, 0, NO_GUID)}) == {(2, b"one"): 1, (0, b"two"): 2}


@pytest.mark.parametrize(
    "records",
    [
        {1: (9, 0, NO_GUID)},
        {1: (1, 7, NO_GUID)},
        {1: (1, 1, NO_GUID)},
        {1: (1, 2, NO_GUID), 2: (2, 1, NO_GUID)},
        {1: (1, 0, NO_GUID), 2: (1, 0, NO_GUID)},
        {1: (1, 0, b"g" * 16), 2: (2, 0, b"g" * 16)},
    ],
)
def test_a_list_that_is_to_be_repaired(records: dict[int, tuple[int, int, bytes]]) -> None:
    with pytest.raises(Unsupported):
        read(records)


@given(st.dictionaries(st.integers(1, 6), st.tuples(st.integers(0, 4), st.integers(0, 7), st.binary(max_size=1))))
def test_any_list(records: dict[int, tuple[int, int, bytes]]) -> None:
    """Whatever it says, the parts form a tree, or there is none."""
    try:
        parts = read({uid: (name, parent, guid.ljust(16, b"\0")) for uid, (name, parent, guid) in records.items()})
    except Unsupported:
        return
    assert set(parts.values()) == set(records)
    for parent, _ in parts:
        seen = set()
        while parent:
            assert parent not in seen
            seen.add(parent)
            parent = records[parent][1]
