"""The attribute dictionary in a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dovecot_urlauth.store.errors import StoreFailure, Unsupported
from dovecot_urlauth.store.native.attributes import file_dict
from dovecot_urlauth.store.native.attributes.file_dict import FileDict
from dovecot_urlauth.wire.tabescape import escape
from tests.store.waiting import wait

if TYPE_CHECKING:
    from pathlib import Path

    from dovecot_urlauth.store.native.file_source import FileSource


def lookup(folder: Path, data: bytes, key: bytes) -> bytes | None:
    (folder / "dict").write_bytes(data)
    opened = FileDict(os.fsencode(folder / "dict"))
    try:
        return wait(opened.lookup(key))
    finally:
        opened.close()


def test_lookup(tmp_path: Path) -> None:
    data = b"one\n1\ntwo\n2\none\n3\nkey\nkey\nvalue\n4\n"
    expected = {b"one": b"3", b"two": b"2", b"key": b"key", b"value": b"4", b"1": None, b"on": None, b"": None}
    for key, value in expected.items():
        assert lookup(tmp_path, data, key) == value


def test_missing_file(tmp_path: Path) -> None:
    assert wait(FileDict(os.fsencode(tmp_path / "dict")).lookup(b"key")) is None
    assert wait(FileDict(os.fsencode(tmp_path / "no" / "dict")).lookup(b"key")) is None


def test_pair_that_is_not_complete(tmp_path: Path) -> None:
    for rest in (b"key", b"key\n", b"key\n2"):
        assert lookup(tmp_path, b"key\n1\n" + rest, b"key") == b"1"


def test_what_changed_is_seen_whatever_stat_remembers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network file system answers stat() from what it knows, and asks its server when a file is opened."""
    path = tmp_path / "dict"
    path.write_bytes(b"key\n1\n")
    known = os.stat(path)
    opened = FileDict(os.fsencode(path))
    assert wait(opened.lookup(b"key")) == b"1"
    monkeypatch.setattr(os, "stat", lambda *_, **__: known)
    fresh = tmp_path / "fresh"
    for text, value in ((b"key\n2\n", b"2"), (b"other\n3\n", None)):
        fresh.write_bytes(text)
        fresh.rename(path)
        assert wait(opened.lookup(b"key")) == value
    path.unlink()
    assert wait(opened.lookup(b"other")) is None
    opened.close()


def test_what_stays_is_searched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[bytes] = []
    real = file_dict.search

    def noted(file: FileSource, key: bytes) -> bytes | None:
        searched.append(key)
        return real(file, key)

    monkeypatch.setattr(file_dict, "search", noted)
    (tmp_path / "dict").write_bytes(b"key\n1\n")
    opened = FileDict(os.fsencode(tmp_path / "dict"))
    before = len(os.listdir("/proc/self/fd"))
    assert [wait(opened.lookup(b"key")) for _ in range(3)] == [b"1"] * 3
    assert searched == [b"key"]
    assert len(os.listdir("/proc/self/fd")) == before + 1
    opened.close()


def test_special_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/etc/passwd")
    for name, error in (("fifo", StoreFailure), ("link", Unsupported), ("", StoreFailure)):
        with pytest.raises(error):
            wait(FileDict(os.fsencode(tmp_path / name)).lookup(b"key"))


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_dict, "BLOCK", 100)
    monkeypatch.setattr(file_dict, "LIMIT_PAIR", 1000)
    assert lookup(tmp_path, b"long\n" + b"x" * 900 + b"\nkey\n1\n", b"key") == b"1"
    with pytest.raises(StoreFailure, match="without end"):
        lookup(tmp_path, b"long\n" + b"x" * 2000 + b"\nkey\n1\n", b"key")
    os.truncate(tmp_path / "dict", 1 << 40)
    with pytest.raises(StoreFailure, match="very long"):
        wait(FileDict(os.fsencode(tmp_path / "dict")).lookup(b"key"))


TEXT = st.binary(max_size=30).map(lambda data: data.replace(b"\0", b""))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(TEXT, TEXT), max_size=20), st.integers(1, 50))
def test_any_pairs_in_any_blocks(tmp_path: Path, pairs: list[tuple[bytes, bytes]], block: int) -> None:
    data = b"".join(escape(key) + b"\n" + escape(value) + b"\n" for key, value in pairs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_dict, "BLOCK", block)
        for key, value in dict(pairs).items():
            assert lookup(tmp_path, data, key) == value
        assert lookup(tmp_path, data, b"a key that is too long to be there") is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from([b"\n", b"a", b"b", b"\x01n", b"\0"])).map(b"".join) | st.binary(max_size=100),
    st.sampled_from([b"a", b"", b"ab", b"\n"]) | st.binary(max_size=5),
    st.integers(1, 10),
)
def test_any_bytes(tmp_path: Path, data: bytes, key: bytes, block: int) -> None:
    whole = lookup(tmp_path, data, key)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_dict, "BLOCK", block)
        assert lookup(tmp_path, data, key) == whole
    lines = data.split(b"\n")[:-1]
    assert (whole is not None) == (escape(key) in lines[: len(lines) // 2 * 2 : 2])
