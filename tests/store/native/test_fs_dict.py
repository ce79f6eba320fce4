"""The attribute dictionary in a file for each key."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.config.attribute_dict import FsDictSettings
from dovecot_urlauth.store.errors import StoreFailure, Unsupported
from dovecot_urlauth.store.native.attributes import fs_dict
from dovecot_urlauth.store.native.attributes.attributes import open_attributes
from tests.store.waiting import LOOP, wait

if TYPE_CHECKING:
    from pathlib import Path


def lookup(prefix: str, key: bytes) -> bytes | None:
    opened = open_attributes(FsDictSettings(os.fsencode(prefix), b"bob"), LOOP)
    try:
        return wait(opened.lookup(key))
    finally:
        opened.close()


def test_lookup(tmp_path: Path) -> None:
    (tmp_path / "bob" / "guid" / "vendor").mkdir(parents=True)
    (tmp_path / "bob" / "guid" / "vendor" / "key").write_bytes(b"value\n")
    (tmp_path / "guid").mkdir()
    (tmp_path / "guid" / "key").write_bytes(b"shared\0rest")
    (tmp_path / "with-bob").symlink_to("bob")
    assert lookup(f"{tmp_path}/", b"priv/guid/vendor/key") == b"value\n"
    assert lookup(f"{tmp_path}/", b"shared/guid/key") == b"shared"
    assert lookup(f"{tmp_path}/", b"priv/guid/vendor/other") is None
    assert lookup(f"{tmp_path}/no/", b"priv/guid/vendor/key") is None
    assert lookup(f"{tmp_path}/no", b"priv/guid/vendor/key") is None


def test_a_value_is_never_remembered(tmp_path: Path) -> None:
    (tmp_path / "xbob").mkdir()
    opened = open_attributes(FsDictSettings(os.fsencode(tmp_path / "x"), b"bob"), LOOP)
    for value in (b"1", b"2"):
        (tmp_path / "xbob" / "key").write_bytes(value)
        assert wait(opened.lookup(b"priv/key")) == value
    (tmp_path / "xbob" / "key").unlink()
    assert wait(opened.lookup(b"priv/key")) is None


@pytest.mark.parametrize("key", [b"priv/../key", b"priv/./key", b"priv//key", b"priv/a/.", b"priv/"])
def test_keys_that_are_written_otherwise(tmp_path: Path, key: bytes) -> None:
    with pytest.raises(Unsupported):
        lookup(f"{tmp_path}/", key)


def test_special_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bob"
    folder.mkdir()
    os.mkfifo(folder / "fifo")
    (folder / "folder").mkdir()
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "long").write_bytes(b"x" * 11)
    monkeypatch.setattr(fs_dict, "LIMIT_VALUE", 10)
    for name, error in (
        (b"fifo", StoreFailure), (b"folder", StoreFailure), (b"link", Unsupported), (b"long", StoreFailure)
    ):  # fmt: skip
        with pytest.raises(error):
            lookup(f"{tmp_path}/", b"priv/" + name)
