"""Nothing that a user can put into a home makes us wait, leave the root, or read what is not his."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

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
    with Directory.root(os.fsencode(tmp_path), os.getuid()) as directory:
        yield directory


def test_regular_file(root, tmp_path):
    (tmp_path / "mail").write_bytes(b"0123456789")
    with root.file(b"mail") as file:
        assert file.size == 10
        assert file.read(2, 3) == b"234"
        assert file.read(8, 100) == b"89"
        assert file.read(10, 1) == b""
        assert not os.get_inheritable(file.fd)


def test_absent(root, tmp_path):
    (tmp_path / "file").touch()
    for name in (b"absent", b"file/below", b"x" * 300):
        with pytest.raises(FileNotFoundError):
            root.file(name)
    assert root.status(b"absent") is None
    for name in (b"absent", b"file", b"x" * 300):
        with pytest.raises(FileNotFoundError):
            root.directory(name)
    with pytest.raises(FileNotFoundError):
        Directory.root(os.fsencode(tmp_path / "absent"), 0)


def test_link_instead_of_a_file(root, tmp_path):
    (tmp_path / "passwd").symlink_to("/etc/passwd")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in (b"passwd", b"zero", b"dangling"):
        with pytest.raises(StoreFailure, match="is a symbolic link"):
            root.file(name)


def test_special_files_do_not_block(root, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for name in (b"fifo", b"directory", b"socket"):
            with pytest.raises(StoreFailure):
                root.file(name)
    with pytest.raises(FileNotFoundError):
        root.directory(b"fifo")


def test_directories_are_steps(root, tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "mail").write_bytes(b"x")
    with root.directory(b"a", b"b") as below, below.file(b"mail") as file:
        assert file.read(0, 9) == b"x"
        assert list(below.names()) == [b"mail"]
    for step in (b"..", b".", b"", b"a/b"):
        with pytest.raises(StoreFailure):
            root.directory(step)


@needs_root
def test_link_instead_of_a_directory(root, tmp_path):
    """A link of the user's own is refused; one that root made shares a mailbox, which Dovecot understands."""
    (tmp_path / "elsewhere").mkdir()
    for name, owner, failure in (("own", USER, StoreFailure), ("roots", 0, Unsupported)):
        (tmp_path / name).symlink_to("elsewhere")
        os.lchown(tmp_path / name, owner, owner)
        with pytest.raises(failure, match="is a symbolic link"):
            root.directory(name.encode())


@needs_root
def test_owner(tmp_path):
    """The user's own files and those of the directory's owner, no others."""
    (tmp_path / "shared").mkdir()
    os.chown(tmp_path / "shared", OTHER, OTHER)
    for folder in (tmp_path, tmp_path / "shared"):
        for name, uid in (("own", USER), ("other", OTHER)):
            (folder / name).write_bytes(b"x")
            os.chown(folder / name, uid, uid)
    with Directory.root(os.fsencode(tmp_path), USER) as root, root.directory(b"shared") as shared:
        root.file(b"own").close()
        shared.file(b"own").close()
        shared.file(b"other").close()
        with pytest.raises(StoreFailure, match=f"belongs to another user .uid={OTHER}"):
            root.file(b"other")


def test_no_descriptor_is_left(root, tmp_path):
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
