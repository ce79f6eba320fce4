"""Nothing that a user can put into a home makes us wait, leave the root, or read what is not his."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from dovecot_urlauth.store.errors import StoreFailure, Unsupported
from dovecot_urlauth.store.native.files import Directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
USER = 12345
OTHER = 12346


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Directory]:
    with Directory.root(os.fsencode(tmp_path)) as directory:
        yield directory


def test_regular_file(root: Directory, tmp_path: Path) -> None:
    (tmp_path / "mail").write_bytes(b"0123456789")
    with root.file(b"mail") as file:
        assert file.size == 10
        assert file.read(2, 3) == b"234"
        assert file.read(8, 100) == b"89"
        assert file.read(10, 1) == b""
        assert not os.get_inheritable(file.fd)


def test_a_file_that_grows(root: Directory, tmp_path: Path) -> None:
    """Its size is that of before; what has come since can be read."""
    (tmp_path / "file").write_bytes(b"abc")
    with root.file(b"file") as file:
        assert file.read(0, 100) == b"abc"
        with (tmp_path / "file").open("ab") as other:
            other.write(b"defg")
        assert (file.size, file.read(0, 100), file.read(1, 4)) == (3, b"abcdefg", b"bcde")
        file.grow()
        assert file.size == 7


def test_absent(root: Directory, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in (b"absent", b"file/below", b"x" * 300):
        with pytest.raises(FileNotFoundError):
            root.file(name)
    assert root.status(b"absent") is None
    for name in (b"absent", b"file", b"x" * 300):
        with pytest.raises(FileNotFoundError):
            root.directory(name)
    with pytest.raises(FileNotFoundError):
        Directory.root(os.fsencode(tmp_path / "absent"))


def test_link_instead_of_a_file(root: Directory, tmp_path: Path) -> None:
    (tmp_path / "passwd").symlink_to("/etc/passwd")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in (b"passwd", b"zero", b"dangling"):
        with pytest.raises(Unsupported, match="is a symbolic link"):
            root.file(name)


def test_special_files_do_not_block(root: Directory, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for name in (b"fifo", b"directory", b"socket"):
            with pytest.raises(StoreFailure):
                root.file(name)
    with pytest.raises(FileNotFoundError):
        root.directory(b"fifo")


def test_directories_are_steps(root: Directory, tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "mail").write_bytes(b"x")
    with root.directory(b"a", b"b") as below, below.file(b"mail") as file:
        assert file.read(0, 9) == b"x"
        assert list(below.names()) == [b"mail"]
    for step in (b"..", b".", b"", b"a/b"):
        with pytest.raises(StoreFailure):
            root.directory(step)


def test_link_instead_of_a_directory(root: Directory, tmp_path: Path) -> None:
    """Whoever made it: Dovecot follows links, and its own imap is asked."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere")
    with pytest.raises(Unsupported, match="is a symbolic link"):
        root.directory(b"link")


@needs_root
def test_who_owns_a_file_is_the_kernels_business(tmp_path: Path) -> None:
    """Another owner's file is served if the target user may read it, and not if not."""
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.name.startswith(("pytest-", "popen-")):
            parent.chmod(0o755)
    for name, mode in (("open", 0o644), ("closed", 0o600)):
        (tmp_path / name).write_bytes(b"x")
        os.chown(tmp_path / name, OTHER, OTHER)
        (tmp_path / name).chmod(mode)
    os.seteuid(USER)
    try:
        with Directory.root(os.fsencode(tmp_path)) as root:
            root.file(b"open").close()
            with pytest.raises(StoreFailure, match="Permission denied"):
                root.file(b"closed")
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("code", [errno.ESTALE, errno.EIO, errno.EMFILE])
@pytest.mark.parametrize("call", ["fstat", "dup", "open", "scandir"])
def test_a_file_system_that_fails(
    root: Directory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    """Whatever fails is a StoreFailure, and leaves nothing open."""
    (tmp_path / "a").mkdir()
    (tmp_path / "mail").touch()

    def fail(*args: Any, **named: Any) -> None:
        raise OSError(code, os.strerror(code))

    before = len(os.listdir("/proc/self/fd"))
    attempts = {
        "fstat": (lambda: Directory.root(root.path), lambda: root.directory(b"a"), lambda: root.file(b"mail")),
        "dup": (lambda: root.directory(b"a"),),
        "open": (lambda: Directory.root(root.path), lambda: root.directory(b"a"), lambda: root.file(b"mail")),
        "scandir": (lambda: list(root.names()),),
    }
    monkeypatch.setattr(os, call, fail)
    for attempt in attempts[call]:
        with pytest.raises(StoreFailure, match=rf"{call}\(.*{os.strerror(code)}"):
            attempt()
    monkeypatch.undo()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_close_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was only read has lost nothing."""
    (tmp_path / "mail").touch()
    directory = Directory.root(os.fsencode(tmp_path))
    file = directory.file(b"mail")
    real = os.close

    def fail(fd: int) -> None:
        real(fd)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "close", fail)
    file.close()
    directory.close()
    assert (file.fd, directory.fd) == (-1, -1)


def test_no_descriptor_is_left(root: Directory, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    os.mkfifo(tmp_path / "fifo")
    before = len(os.listdir("/proc/self/fd"))
    root.directory(b"a").close()
    for _ in range(3):
        with pytest.raises(StoreFailure):
            root.file(b"fifo")
        with pytest.raises(FileNotFoundError):
            root.directory(b"a", b"absent")
    assert len(os.listdir("/proc/self/fd")) == before
