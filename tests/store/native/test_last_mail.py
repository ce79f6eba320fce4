"""The mail that was read last: given again as long as its file is the same, and not a moment longer."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.message.source import BytesSource
from dovecot_urlauth.store.native import file_source
from dovecot_urlauth.store.native.driver import Located
from dovecot_urlauth.store.native.files import Directory
from dovecot_urlauth.store.native.last_mail import LastMail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAME = b"u.1"


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Directory]:
    monkeypatch.setattr(file_source, "TICK", 0)
    (tmp_path / "u.1").write_bytes(b"mail")
    with Directory.root(os.fsencode(tmp_path)) as opened:
        yield opened


def read(directory: Directory, last: LastMail, which: object = 1) -> Located:
    with directory.file(NAME) as file:
        return last.keep(which, Located(BytesSource(file.read(0, file.size)), file), file, NAME)


def test_the_same_mail_again(directory: Directory) -> None:
    last = LastMail()
    assert last.again(directory, 1) is None
    located = read(directory, last)
    for _ in range(2):
        assert last.again(directory, 1) is located
    assert last.again(directory, 2) is None
    other = read(directory, last, 2)
    assert last.again(directory, 2) is other
    assert last.again(directory, 1) is None


def replace(path: Path) -> None:
    """Another file of the same size and time, which may get the number of the first."""
    status = path.stat()
    path.unlink()
    path.write_bytes(b"Mail")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def rewrite(path: Path) -> None:
    """The same in place."""
    status = path.stat()
    with path.open("r+b") as file:
        file.write(b"Mail")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


@pytest.mark.parametrize("change", [os.unlink, replace, rewrite, append, lambda path: path.chmod(0o400)])
def test_a_file_that_is_not_the_same(tmp_path: Path, directory: Directory, change: Callable[[Path], None]) -> None:
    last = LastMail()
    read(directory, last)
    assert last.again(directory, 1) is not None
    time.sleep(0.02)  # the clock of file systems
    change(tmp_path / "u.1")
    assert last.again(directory, 1) is None
    assert last.again(directory, 1) is None


def test_a_file_that_was_written_a_moment_ago(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_source, "TICK", 60_000_000_000)
    last = LastMail()
    read(directory, last)
    assert last.again(directory, 1) is None


def test_what_is_not_kept(directory: Directory) -> None:
    """A long mail, which is read from its file, and one whose parts are elsewhere."""
    last = LastMail()
    with directory.file(NAME) as file:
        for located in (Located(file, file), Located(BytesSource(b""), file, complete=lambda source: source)):
            assert last.keep(1, located, file, NAME) is located
            assert last.again(directory, 1) is None
