"""What is remembered of compressed mails: their sizes, as long as nobody has written to their files."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.message.steps import run_through
from dovecot_urlauth.store.errors import StoreFailure
from dovecot_urlauth.store.native import file_source
from dovecot_urlauth.store.native.decode import measured as measured_mails
from dovecot_urlauth.store.native.decode.compressed_source import CompressedSource
from dovecot_urlauth.store.native.decode.compression import decompressed
from dovecot_urlauth.store.native.decode.measured import MeasuredMails
from dovecot_urlauth.store.native.file_source import FileSource
from tests.store.native.compressing import COMPRESS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMATS = tuple(COMPRESS)
MAIL = b"".join(b"line %d of %d\n" % (number, number * number) for number in range(20_000))
STORED = {name: compress(MAIL) for name, compress in COMPRESS.items()}


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    """A compressed mail that was not written a moment ago."""
    path = tmp_path / "mail"
    path.write_bytes(STORED["zstd"])
    time.sleep(file_source.TICK / 1e9)
    return path


def reopened(path: Path, measured: MeasuredMails) -> tuple[CompressedSource, int]:
    """The mail, and in how many steps it was opened."""
    with open_file(path) as file:
        opened = []

        def opening() -> Iterator[None]:
            opened.append((yield from decompressed(file, FORMATS, measured)))

        count = sum(1 for _ in opening())
        [source] = opened
        assert isinstance(source, CompressedSource)
        assert source.read(5, 100_000) == MAIL[5:100_005]
        return source, count


def open_file(path: Path) -> FileSource:
    fd = os.open(path, os.O_RDONLY)
    return FileSource(fd, os.fsencode(path), os.fstat(fd))


def test_the_same_file_is_gone_through_once(mail: Path) -> None:
    measured = MeasuredMails()
    first, steps = reopened(mail, measured)
    again, none = reopened(mail, measured)
    assert first.size == again.size == len(MAIL)
    assert steps > none == 0
    assert reopened(mail, MeasuredMails())[1] == steps


@pytest.mark.parametrize("change", ["written", "replaced", "just written"])
def test_another_one_is_not_believed_to_be_it(mail: Path, change: str) -> None:
    measured = MeasuredMails()
    reopened(mail, measured)
    status = mail.stat()
    if change == "replaced":
        mail.with_name("other").write_bytes(STORED["zstd"])
        mail.with_name("other").replace(mail)
    else:
        mail.write_bytes(STORED["zstd"])
    os.utime(mail, ns=(status.st_atime_ns, status.st_mtime_ns))
    if change == "just written":
        reopened(mail, measured)
    else:
        time.sleep(file_source.TICK / 1e9)
    assert reopened(mail, measured)[1] > 0


def test_what_broke_is_not_remembered(mail: Path) -> None:
    measured = MeasuredMails()
    mail.write_bytes(STORED["zstd"][:-10])
    time.sleep(file_source.TICK / 1e9)
    for _ in range(2):
        with open_file(mail) as file, pytest.raises(StoreFailure, match="Unexpected end"):
            run_through(decompressed(file, FORMATS, measured))


def test_few_sizes_are_kept(tmp_path: Path) -> None:
    measured = MeasuredMails()
    paths = [tmp_path / str(number) for number in range(measured_mails.KEPT + 2)]
    for path in paths:
        path.write_bytes(STORED["gz"])
    time.sleep(file_source.TICK / 1e9)
    counts = [reopened(path, measured)[1] for path in [*paths, paths[-1], paths[0]]]
    assert counts[-2] == 0
    assert counts[-1] > 0
    assert len(measured._sizes) == measured_mails.KEPT
