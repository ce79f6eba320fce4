"""Extensions of an index against a model: by name and by number, flushed and rotated anywhere, and broken."""

from __future__ import annotations

import os
import struct
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dovecot_urlauth.store.errors import StoreError, Unsupported
from dovecot_urlauth.store.native.files import Directory
from dovecot_urlauth.store.native.index import extensions
from dovecot_urlauth.store.native.index.index_view import IndexView
from tests.store import ondisk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WANTED = (b"map", b"map-hdr")
START = ondisk.log_header() + ondisk.uid_validity(7)


@contextmanager
def view(
    folder: Path, log: bytes, index: bytes | None = None, old_log: bytes | None = None
) -> Iterator[IndexView]:
    """The index of these files, called `box`."""
    for name, data in (("", index), (".log", log), (".log.2", old_log)):
        path = folder / f"box{name}"
        if data is None:
            path.unlink(missing_ok=True)
        else:
            path.with_suffix(".tmp").write_bytes(data)
            path.with_suffix(".tmp").rename(path)
    opened = IndexView(Directory.root(os.fsencode(folder)), WANTED, b"box")
    try:
        opened.refresh()
        yield opened
    finally:
        opened.close()


def test_in_the_log(tmp_path: Path) -> None:
    log = (
        START
        + ondisk.append((1, 0), (2, 0), (3, 0))
        + ondisk.intro(b"map-hdr", header=8)
        + ondisk.update_extension((0, b"abcde"), (6, b"gh"))
        + ondisk.intro(b"cache", record=4)
        + ondisk.update_records({1: b"none"})
        + ondisk.intro(b"map", record=6)
        + ondisk.update_records({1: b"first1", 3: b"third1"})
        + ondisk.intro(0, header=12)
        + ondisk.update_extension((8, b"wide"), wide=True)
        + ondisk.intro(2, record=6)
        + ondisk.update_records({3: b"third2"})
    )
    with view(tmp_path, log) as opened:
        assert opened.extension_header(b"map-hdr") == b"abcde\0ghwide"
        assert opened.extension_header(b"map") == b""
        found = {uid: opened.extension_record(b"map", uid) for uid in range(5)}
        assert found == {0: b"", 1: b"first1", 2: b"", 3: b"third2", 4: b""}
        assert opened.extension_record(b"never", 1) == b""
        assert opened.has(3)
        assert not opened.has(4)


def test_in_the_main_file_and_changed_since(tmp_path: Path) -> None:
    parts = [
        (b"cache", 5, b"", {1: b"xxxx", 2: b"yyyy"}),
        (b"map", 9, b"head", {1: b"first", 2: b"second"}),
        (b"map-hdr", 0, b"twelve bytes", {}),
    ]
    index = ondisk.index([(1, 0), (2, 0), (3, 0)], extensions=parts)
    log = ondisk.log_header() + ondisk.intro(1, reset_id=9, record=8) + ondisk.update_records({2: b"replaced"})
    log += ondisk.intro(2, header=12) + ondisk.update_extension((0, b"T"))
    with view(tmp_path, log, index) as opened:
        found = [opened.extension_record(b"map", uid) for uid in (1, 2, 3, 4)]
        assert found == [b"first\0", b"replaced", bytes(6), b""]
        assert opened.extension_header(b"map") == b"head"
        assert opened.extension_header(b"map-hdr") == b"Twelve bytes"


def test_a_keyword_takes_a_number(tmp_path: Path) -> None:
    """The first keyword makes an extension, in the log or in the main file; the next ones do not."""
    keyword = ondisk.update_keyword(0, b"Junk", (1, 1))
    log = START + ondisk.append((1, 0)) + ondisk.intro(b"other", record=4) + keyword + keyword
    log += ondisk.intro(b"map", record=4) + ondisk.intro(2, record=4) + ondisk.update_records({1: b"mine"})
    with view(tmp_path, log) as opened:
        assert opened.extension_record(b"map", 1) == b"mine"
    index = ondisk.index([(1, 0)], extensions=[(b"keywords", 0, bytes(8), {1: b"\1"})])
    log = ondisk.log_header() + keyword + ondisk.intro(b"map", record=4) + ondisk.intro(1, record=4)
    with view(tmp_path, log + ondisk.update_records({1: b"mine"}), index) as opened:
        assert opened.extension_record(b"map", 1) == b"mine"


def test_several_introductions_in_one_record(tmp_path: Path) -> None:
    both = ondisk.intro(b"abc", record=4)[8:] + ondisk.intro(b"map", record=4)[8:]
    log = START + ondisk.append((1, 0)) + ondisk.log_record(0x40, both) + ondisk.update_records({1: b"mine"})
    with view(tmp_path, log) as opened:
        assert opened.extension_record(b"map", 1) == b"mine"


@pytest.mark.parametrize(("keeps", "left"), [(False, (b"\0\0\0\0", b"")), (True, (b"head", b"mine"))])
def test_a_reset(tmp_path: Path, keeps: bool, left: tuple[bytes, bytes]) -> None:
    log = START + ondisk.append((1, 0)) + ondisk.intro(b"map", header=4, record=4)
    log += ondisk.update_extension((0, b"head")) + ondisk.update_records({1: b"mine"})
    log += ondisk.reset_extension(8, keeps=keeps)
    with view(tmp_path, log) as opened:
        assert (opened.extension_header(b"map"), opened.extension_record(b"map", 1)) == left
    late = ondisk.intro(0, header=4, record=4) + ondisk.update_records({1: b"late"})
    late += ondisk.update_extension((0, b"LATE"))
    with view(tmp_path, log + late) as opened:  # its writer did not know of the reset
        assert (opened.extension_header(b"map"), opened.extension_record(b"map", 1)) == left
    new = ondisk.intro(0, reset_id=8, header=4, record=4) + ondisk.update_records({1: b"anew"})
    with view(tmp_path, log + late + new) as opened:
        assert opened.extension_record(b"map", 1) == b"anew"


def test_what_an_introduction_said_before_counts_until_something_changes(tmp_path: Path) -> None:
    again = ondisk.intro(0, header=8, record=4)
    log = (
        START + ondisk.append((1, 0)) + ondisk.intro(b"map", header=8, record=4) + ondisk.intro(b"other", record=4)
    )
    log += again + again + ondisk.update_extension((0, b"12345678")) + ondisk.update_records({1: b"mine"})
    with view(tmp_path, log) as opened:
        assert (opened.extension_header(b"map"), opened.extension_record(b"map", 1)) == (b"12345678", b"mine")
    smaller = ondisk.intro(0, header=4, record=4, shrinks=True)
    with view(tmp_path, log + smaller + again) as opened:
        assert opened.extension_header(b"map") == b"1234\0\0\0\0"
    other = ondisk.intro(1, record=4) + ondisk.update_records({1: b"that"})
    with view(tmp_path, log + other + again + ondisk.update_records({1: b"anew"})) as opened:
        assert opened.extension_record(b"map", 1) == b"anew"
    late = ondisk.reset_extension(8, keeps=True) + again + ondisk.update_records({1: b"late"})
    with view(tmp_path, log + late) as opened:
        assert opened.extension_record(b"map", 1) == b"mine"


def test_any_number_of_introductions(tmp_path: Path) -> None:
    many = b"".join(
        ondisk.intro(0, record=4, header=4 * size) for size in range(3 * extensions.LIMIT_INTRODUCTIONS)
    )
    log = START + ondisk.append((1, 0)) + ondisk.intro(b"other", record=4) + 2 * many
    with view(tmp_path, log + ondisk.intro(b"map", record=4) + ondisk.update_records({1: b"mine"})) as opened:
        assert opened.extension_record(b"map", 1) == b"mine"
        assert opened._changes.extensions is not None
        assert len(opened._changes.extensions._introductions) <= extensions.LIMIT_INTRODUCTIONS


def test_a_header_shrinks_only_when_it_may(tmp_path: Path) -> None:
    log = START + ondisk.intro(b"map-hdr", header=8) + ondisk.update_extension((0, b"12345678"))
    for shrinks, left in ((False, b"12345678"), (True, b"1234")):
        with view(tmp_path, log + ondisk.intro(0, header=4, shrinks=shrinks)) as opened:
            assert opened.extension_header(b"map-hdr") == left


HEADER = ondisk.intro(b"map-hdr", header=4)
BROKEN = {
    "unknown": ondisk.intro(0, record=4),
    "without a name": ondisk.intro(b"", record=4),
    "before it names one": ondisk.update_records({1: b"mine"}),
    "beyond its header": HEADER + ondisk.update_extension((2, b"abc")),
    "beyond": HEADER + ondisk.log_record(0x100, struct.pack("<HH", 0, 4)),
    "very long header": ondisk.intro(b"map", header=1 << 20),
    "counts": ondisk.intro(b"map", record=2) + ondisk.log_record(0x1000, struct.pack("<Ii", 1, 1)),
    "very many": b"".join(ondisk.intro(b"x%d" % number, record=4) for number in range(1025)),
}


@pytest.mark.parametrize("reason", BROKEN)
def test_what_is_not_understood(tmp_path: Path, reason: str) -> None:
    with pytest.raises(Unsupported, match=reason), view(tmp_path, START + BROKEN[reason]):
        pass


def test_an_extension_that_nobody_wants_may_be_odd(tmp_path: Path) -> None:
    log = START + ondisk.intro(b"ref", record=2) + ondisk.log_record(0x1000, struct.pack("<Ii", 1, 1))
    log += ondisk.update_extension((9, b"x")) + ondisk.intro(b"long", header=1 << 20)
    with view(tmp_path, log + HEADER) as opened:
        assert opened.extension_header(b"map-hdr") == bytes(4)


def test_very_many_updates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extensions, "LIMIT_UPDATES", 5)
    log = START + ondisk.append((1, 0)) + ondisk.intro(b"map", record=4) + 6 * ondisk.update_records({1: b"mine"})
    with pytest.raises(Unsupported, match="very many"), view(tmp_path, log):
        pass


@dataclass
class Model:
    """What a history has left, and how the next record names things."""

    messages: list[int] = field(default_factory=list)
    header: bytes = b""
    values: dict[int, bytes] = field(default_factory=dict)
    numbers: list[bytes] = field(default_factory=list)
    next_uid: int = 1

    def introduce(self, name: bytes, by_number: bool, *, header: int = 0, record: int = 0) -> bytes:
        """The introduction of `name`; its number if it has one already."""
        if name in self.numbers:
            known = self.numbers.index(name) if by_number else name
            return ondisk.intro(known, header=header, record=record)
        self.numbers.append(name)
        return ondisk.intro(name, header=header, record=record)

    def do(self, what: str, number: int, more: int) -> bytes:
        """One step of the history, as the log has it."""
        if what == "append":
            added = list(range(self.next_uid, self.next_uid + more + 1))
            self.next_uid += more + 1
            self.messages += added
            return ondisk.append(*((uid, 0) for uid in added))
        if what == "expunge":
            self.messages = [uid for uid in self.messages if uid != number]
            self.values.pop(number, None)
            return ondisk.expunge((number, number))
        if what == "keyword":
            if b"keywords" not in self.numbers:
                self.numbers.append(b"keywords")
            return ondisk.update_keyword(0, b"Junk", (number, number))
        if what == "other":
            return self.introduce(b"other", more > 1, record=4) + ondisk.update_records({number: b"oooo"})
        if what == "header":
            record = self.introduce(b"map-hdr", more > 1, header=8)
            self.header = self.header.ljust(8, b"\0")
            self.header = self.header[:more] + bytes([number]) * 4 + self.header[more + 4 :]
            return record + ondisk.update_extension((more, bytes([number]) * 4))
        last = min(number + more + 1, self.next_uid)
        given = {uid: struct.pack("<III", uid, number, more) for uid in range(number, last)}
        self.values.update({uid: value for uid, value in given.items() if uid in self.messages})
        return self.introduce(b"map", more > 1, record=12) + ondisk.update_records(given)

    def main_file(self, log: tuple[int, int]) -> bytes:
        """The main index file after these steps."""
        kept = {b"map-hdr": (self.header, {}), b"map": (b"", self.values), b"other": (b"", {1: b"oooo"})}
        parts = [(name, 0, *kept.get(name, (b"", {}))) for name in self.numbers]
        messages = [(uid, 0) for uid in self.messages]
        return ondisk.index(messages, log=log, extensions=parts, next_uid=self.next_uid)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["append", "append", "expunge", "keyword", "other", "header", "record", "record"]),
        st.integers(1, 9),
        st.integers(0, 4),
    )
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS, st.data())
def test_any_history_gives_the_model(tmp_path: Path, steps: list[tuple[str, int, int]], data: Any) -> None:
    """Wherever the main file and a rotation cut it."""
    flushed = data.draw(st.integers(0, len(steps)), "steps in the main file")
    rotated = data.draw(st.integers(flushed, len(steps)), "steps in the older log")
    model = Model()
    written: list[bytes] = []
    index = b""
    for number, step in enumerate([*steps, None]):
        if number == flushed:
            index = model.main_file((1, 40 + sum(map(len, written))))
        if step is not None:
            written.append(model.do(*step))
    old = ondisk.log_header(1) + b"".join(written[:rotated])
    new = ondisk.log_header(2, (1, len(old))) + b"".join(written[rotated:])
    with view(tmp_path, new, index, old) as opened:
        assert opened.extension_header(b"map-hdr") == model.header
        found = {uid: opened.extension_record(b"map", uid) for uid in model.messages}
        assert {uid: value for uid, value in found.items() if value.strip(b"\0")} == model.values


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage(tmp_path: Path, data: Any) -> None:
    """Either answers or a documented error."""
    model = Model()
    steps = [("append", 1, 3), ("record", 1, 3), ("header", 2, 0), ("keyword", 1, 0), ("other", 1, 2)]
    first = b"".join(model.do(*step) for step in steps)
    index = bytearray(model.main_file((1, 40)))
    log = bytearray(ondisk.log_header() + first + ondisk.reset_extension(4) + model.do("record", 2, 2))
    for file in (index, log):
        for at in data.draw(st.lists(st.integers(0, len(file) - 1), max_size=4)):
            file[at] = data.draw(st.integers(0, 255))
        del file[data.draw(st.integers(0, 2 * len(file))) :]
    try:
        with view(tmp_path, bytes(log), bytes(index)) as opened:
            for uid in (0, 1, 2, 1 << 31):
                opened.extension_record(b"map", uid)
            opened.extension_header(b"map-hdr")
    except StoreError:
        pass
