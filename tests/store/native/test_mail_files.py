"""Finding a mail's file under the name that it has at this moment."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.store.errors import ReadFailed, StoreFailure, Unsupported
from dovecot_urlauth.store.native.files import Directory
from dovecot_urlauth.store.native.maildir.mail_files import Maildir, size_in_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SEEN, FLAGGED = 0x08, 0x02


@pytest.fixture
def maildir(tmp_path: Path) -> Iterator[Maildir]:
    for name in ("cur", "new"):
        (tmp_path / name).mkdir()
    with Directory.root(os.fsencode(tmp_path)) as root:
        opened = Maildir(root)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    "path",
    ["cur/a:2,FS", "cur/a:2,", "cur/a", "new/a", "cur/a:2,DFPRSTab", "cur/a:1,x", "new/a:2,S", "cur/a:2,FSab"],
)
def test_found_wherever_it_is(maildir: Maildir, tmp_path: Path, path: str) -> None:
    for other in ("cur/b:2,FS", "cur/ab:2,FS", "new/a2", "cur/A:2,FS"):
        (tmp_path / other).write_bytes(b"wrong")
    (tmp_path / path).write_bytes(b"right")
    for name in (b"a", b"a:2,old"):
        with maildir.open(name, SEEN | FLAGGED | 0xE0) as file:
            assert file.read(0, 9) == b"right"


def test_gone(maildir: Maildir, tmp_path: Path) -> None:
    (tmp_path / "cur" / "ab:2,").touch()
    with pytest.raises(ReadFailed, match="expunged"):
        maildir.open(b"a", 0)


def test_no_directories_are_listed_for_a_name_that_fits(
    maildir: Maildir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Directory, "names", lambda self: pytest.fail("listed"))
    (tmp_path / "cur" / "a:2,DFRST").write_bytes(b"x")
    maildir.open(b"a", 0x1F).close()


def test_renamed_while_we_look(maildir: Maildir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each listing is out of date once more, until it is not."""
    names = iter("abcde")
    path = tmp_path / "cur" / "m:2,"
    path.write_bytes(b"x")

    def list_then_rename(self: Directory, listed: Callable[..., Any] = Directory.names) -> Any:
        nonlocal path
        found = list(listed(self))
        letter = next(names, None)
        path = path.rename(tmp_path / "cur" / f"m:2,{letter}") if letter else path
        return iter(found)

    monkeypatch.setattr(Directory, "names", list_then_rename)
    with maildir.open(b"m", SEEN) as file:
        assert file.size == 1


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (os.mkfifo, StoreFailure),
        (lambda path: os.symlink("/etc/passwd", path), Unsupported),
        (os.mkdir, StoreFailure),
    ],
)
def test_no_mail(maildir: Maildir, tmp_path: Path, make: Callable[..., Any], error: type[Any]) -> None:
    make(tmp_path / "cur" / "a:2,S")
    for flags in (SEEN, 0):
        with pytest.raises(error):
            maildir.open(b"a", flags)


def test_no_maildir(tmp_path: Path) -> None:
    with Directory.root(os.fsencode(tmp_path)) as root:
        with pytest.raises(FileNotFoundError):
            Maildir(root)
        (tmp_path / "cur").mkdir()
        Maildir(root).close()
        os.symlink("cur", tmp_path / "new")
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            with pytest.raises(Exception, match="symbolic link"):
                Maildir(root)
        assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("name", "size"),
    [(b"a,S=12,W=13:2,S", 13), (b"a,W=13", 13), (b"a,W=13,S=12", 13), (b"a", None), (b"a,W=", None),
     (b"a,W=x", None), (b"a,W=13x", None), (b"a,W=" + b"9" * 30, None), (b"W=13", None)],
)  # fmt: skip
def test_size_in_name(name: bytes, size: int | None) -> None:
    assert size_in_name(name, b"W") == size


@given(
    st.lists(st.sampled_from([b",S=", b",W=", b"1", b"99", b":2,S", b",", b"x", b"\xb2"])).map(b"".join)
    | st.binary(max_size=30)
)
def test_any_name_has_a_size_or_none(name: bytes) -> None:
    for key in (b"S", b"W"):
        size = size_in_name(name, key)
        if size is not None:
            _, mark, rest = name.partition(b"," + key + b"=")
            assert mark
            assert int(rest.partition(b":")[0].partition(b",")[0]) == size < 10**18
