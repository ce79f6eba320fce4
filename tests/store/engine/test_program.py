"""The copy of the engine's program that nobody can look into."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.store.engine.program import path_of, unreadable_copy

if TYPE_CHECKING:
    from pathlib import Path

TRUE = b"/bin/true"


def test_a_copy_that_can_be_run_and_not_be_read() -> None:
    copy = unreadable_copy(TRUE)
    assert copy is not None
    try:
        assert stat.S_IMODE(os.fstat(copy).st_mode) == 0o111
        assert os.fstat(copy).st_size == os.stat(TRUE).st_size
        assert subprocess.run([path_of(copy)], pass_fds=[copy], check=False).returncode == 0
    finally:
        os.close(copy)


def test_a_script_is_run_as_it_is(tmp_path: Path) -> None:
    """Its interpreter has to read it."""
    (tmp_path / "script").write_text("#!/bin/sh\n")
    assert unreadable_copy(os.fsencode(tmp_path / "script")) is None


def test_a_kernel_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Better readable than no mail, and nothing is left open."""
    before = os.listdir("/proc/self/fd")

    def refuse(*args: object) -> int:
        raise OSError(errno.EPERM, "Operation not permitted")

    for name in ("memfd_create", "fchmod"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, refuse)
            assert unreadable_copy(TRUE) is None
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_no_program(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        unreadable_copy(os.fsencode(tmp_path / "absent"))
