"""The uidlist: both versions, appended lines, broken order, and no more work for more mails."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dovecot_urlauth.store.errors import StoreError, StoreFailure, Unsupported
from dovecot_urlauth.store.native.files import Directory
from dovecot_urlauth.store.native.maildir import uidlist
from dovecot_urlauth.store.native.maildir.uidlist import Uidlist, UidlistEntry
from tests.store import ondisk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def opened(folder: Path, data: bytes) -> Iterator[Uidlist]:
    (folder / "dovecot-uidlist").write_bytes(data)
    with Directory.root(os.fsencode(folder)) as root, root.file(b"dovecot-uidlist") as file:
        yield Uidlist(file)


def test_version_3(tmp_path: Path) -> None:
    lines = [
        (1, ":first"),
        (3, "S12 W13 :second,S=12:2,S"),
        (4, "G0123 P a.b W9:third :x"),
        (9, "Sx :fourth"),
    ]
    with opened(tmp_path, ondisk.uidlist(lines, uid_validity=77)) as found:
        assert (found.header.uid_validity, found.header.guid) == (77, b"0123456789abcdef" * 2)
        assert found.find(1) == UidlistEntry(1, b"first", None, None)
        assert found.find(3) == UidlistEntry(3, b"second,S=12:2,S", 12, 13)
        assert found.find(4) == UidlistEntry(4, b"x", None, None)
        assert found.find(9) == UidlistEntry(9, b"fourth", None, None)
        assert [found.find(uid) for uid in (0, 2, 5, 10, 1 << 31)] == [None] * 5


def test_version_1(tmp_path: Path) -> None:
    with opened(tmp_path, b"1 77 4\n1 first\n3  second file\n") as found:
        assert (found.header.uid_validity, found.header.guid) == (77, None)
        assert found.find(1) == UidlistEntry(1, b"first", None, None)
        assert found.find(3) == UidlistEntry(3, b"second file", None, None)
        assert found.find(2) is None


@pytest.mark.parametrize("data", [b"", b"3 V1 N1", b"2 V1 N1\n", b"3 N1\n", b"1 0 3\n", b"\n", b"3 Vx\n", b"1\n"])
def test_header_that_is_none(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(Unsupported), opened(tmp_path, data):
        pass


@pytest.mark.parametrize("guid", ["", "00", "g" * 32, "0" * 33])
def test_guid_that_is_none(tmp_path: Path, guid: str) -> None:
    with opened(tmp_path, ondisk.uidlist([], guid=guid)) as found:
        assert found.header.guid is None


@pytest.mark.parametrize("rest", [":", "", ":a/b", "name", ":..", ":a\0b", "S1 W2"])
def test_line_that_is_none(tmp_path: Path, rest: str) -> None:
    with opened(tmp_path, ondisk.uidlist([(1, rest)])) as found, pytest.raises(StoreFailure):
        found.find(1)


def test_line_without_end_does_not_count(tmp_path: Path) -> None:
    with opened(tmp_path, ondisk.uidlist([(1, ":a")]) + b"2 :b") as found:
        assert found.find(1)
        assert found.find(2) is None


def test_broken_order_is_read_line_by_line(tmp_path: Path) -> None:
    lines = [(uid, f":{'n' * 90}{uid}") for uid in [*range(500, 1000), *range(1, 499), 3000]]
    with opened(tmp_path, ondisk.uidlist(lines)) as found:
        for uid in (1, 250, 498, 500, 750, 999, 3000):
            entry = found.find(uid)
            assert entry
            assert entry.name.endswith(b"n%d" % uid)
        assert found.find(499) is None


def test_broken_and_very_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uidlist, "LIMIT_SCAN", 1 << 20)
    (tmp_path / "dovecot-uidlist").write_bytes(ondisk.uidlist([]))
    os.truncate(tmp_path / "dovecot-uidlist", 1 << 40)
    with Directory.root(os.fsencode(tmp_path)) as root, root.file(b"dovecot-uidlist") as file:
        with pytest.raises(StoreFailure, match="very long"):
            Uidlist(file).find(7)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 900)), unique_by=lambda item: item[0]), st.data())
def test_any_uids_in_order(tmp_path: Path, items: list[tuple[int, ...]], data: Any) -> None:
    lines = [(uid, f":{'n' * size}{uid}") for uid, size in sorted(items)]
    with opened(tmp_path, ondisk.uidlist(lines)) as found:
        for uid in [uid for uid, _ in lines] + data.draw(st.lists(st.integers(0, 5001))):
            entry = found.find(uid)
            assert (entry.name.decode() if entry else None) == dict(lines).get(uid, ":")[1:] or not entry


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([b"1 :a", b"\n", b"2", b" ", b":", b"3 V1 N9\n", b"9" * 12, b"\0", b"x" * 9000])))
@example([b"3 V1 N9\n", b"1:a\n"])
def test_any_bytes(tmp_path: Path, pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    answers = list(found_in(tmp_path, data))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uidlist, "BLOCK", 16)
        assert list(found_in(tmp_path, data)) == answers


def found_in(folder: Path, data: bytes) -> Iterator[Any]:
    """What there is for each of some UIDs, or that it cannot be read."""
    for uid in (0, 1, 2, 999999999999):
        try:
            with opened(folder, data) as found:
                yield found.find(uid)
        except StoreError as error:
            yield type(error)


def test_a_large_mailbox_needs_few_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 000 mails: the file is bisected, not read."""
    lines = [(uid, f":1700000000.M{uid}P1.host,S=1000,W=1020") for uid in range(1, 200_001)]
    with opened(tmp_path, ondisk.uidlist(lines)) as found:
        reads: list[tuple[int, ...]] = []

        def read(self: Any, *where: int) -> bytes:
            reads.append(where)
            return os.pread(self.fd, *where[::-1])

        monkeypatch.setattr(type(found._file), "read", read)
        for uid in (1, 2, 99_999, 200_000):
            reads.clear()
            entry = found.find(uid)
            assert entry
            assert entry.name == f"1700000000.M{uid}P1.host,S=1000,W=1020".encode()
            assert len(reads) < 25
