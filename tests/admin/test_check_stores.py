"""What check says when plugins store mail in a way that the worker has no library for."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.admin.check_stores import check_stores
from dovecot_urlauth.admin.doveconf import Configuration, parse
from dovecot_urlauth.admin.executables import find_executable

if TYPE_CHECKING:
    from pathlib import Path

NAME = "imap-urlauth-worker"
EMPTY = parse("")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """An installation without any of the libraries."""
    (tmp_path / "library").mkdir()
    program = f"#!{os.path.realpath(sys.executable)} -IBS\nimport sys\nsys.path.insert(0, '{tmp_path}/library')\n"
    (tmp_path / NAME).write_text(program + "sys.exit('dovecot_urlauth')\n")
    (tmp_path / NAME).chmod(0o755)
    return tmp_path / "library"


def said(library: Path, worker: str, everything: str = "") -> list[str]:
    configuration = Configuration("2.4.5", "file", parse(everything), EMPTY, parse(worker))
    executable = find_executable(NAME, str(library.parent))
    return [str(finding) for finding in check_stores(NAME, configuration, executable)]


OLD = "mail_plugins = quota zlib"
NEW = "mail_plugins {\n  mail_compress = yes\n  mail_crypt = no\n}"


@pytest.mark.parametrize(
    ("worker", "everything", "package"),
    [
        (OLD, "plugin {\n  zlib_save = lz4\n}", "python3-lz4"),
        (NEW, "mail_compress_write_method = lz4", "python3-lz4"),
        ("mail_plugins = mail_crypt", "", "python3-cryptography"),
        ("mail_plugins {\n  mail_crypt = yes\n}", "", "python3-cryptography"),
    ],
)
def test_a_library_is_missing(library: Path, worker: str, everything: str, package: str) -> None:
    [line] = said(library, worker, everything)
    assert line.startswith(f"note  {NAME}: mail stored by ")
    assert f"apt-get install {package} and install dovecot-urlauth again" in line


def test_nothing_is_missing(library: Path) -> None:
    assert said(library, "mail_plugins = quota", "mail_compress_write_method = lz4") == []
    for method in ("", "gz", "bz2"):
        assert said(library, NEW, f"mail_compress_write_method = {method}") == []
    (library / "zstandard.py").write_text("")
    (library / "lz4").mkdir()
    (library / "lz4" / "block.py").write_text("")
    for method in ("zstd", "lz4"):
        assert said(library, NEW, f"mail_compress_write_method = {method}") == []


def test_an_executable_without_a_library_is_none_of_its_business(library: Path) -> None:
    (library.parent / NAME).write_text("#!/usr/bin/python3 -IBS\nimport sys  # dovecot_urlauth\n")
    assert said(library, "mail_plugins = mail_crypt") == []


def test_a_distribution_s_own_library(library: Path) -> None:
    (library / "distribution" / "lz4").mkdir(parents=True)
    (library / "distribution" / "lz4" / "block.py").write_text("")
    assert said(library, OLD, "plugin {\n  zlib_save = lz4\n}") == []
