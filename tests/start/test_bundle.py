"""Writing the bundle of a small package; tests/packaging loads one of the whole package."""

from __future__ import annotations

import importlib.util
import marshal
import os
import py_compile
import sys
from pathlib import Path
from typing import Any

import pytest

from dovecot_urlauth.start import bundle
from dovecot_urlauth.start.bundle import compiled, refresh, write_bundle

TAG = sys.implementation.cache_tag


@pytest.fixture
def package(tmp_path: Path) -> Path:
    package = tmp_path / "small"
    (package / "room").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "room/__init__.py").write_text('"""A room."""\n')
    (package / "room/module.py").write_text('"""A module."""\nANSWER = 42\n')
    return package


def test_its_parts_are_where_its_index_says(package: Path) -> None:
    write_bundle(package, Path("/final/small"))
    content = (package / f"__pycache__/bundle.{TAG}").read_bytes()
    assert content.startswith(importlib.util.MAGIC_NUMBER)
    index = marshal.loads(content[int.from_bytes(content[4:8], "little") :])
    assert {name: file for name, (file, _, _) in index.items()} == {
        "small.room": "room/__init__.py",
        "small.room.module": "room/module.py",
    }
    _, offset, size = index["small.room.module"]
    code = marshal.loads(content[offset : offset + size])
    names: dict[str, object] = {}
    exec(code, names)
    assert (names["ANSWER"], names.get("__doc__")) == (42, None)
    assert code.co_filename == "/final/small/room/module.py"


SOURCE = b"""
from __future__ import annotations
class Kind:
    field: int
    async def method(self, one: int, /, *more: str, two: bytes = b"", **named: float) -> None:
        local: list[int] = []
        return lambda: local
def function(one: Kind = Kind) -> Kind:
    \"\"\"What it does.\"\"\"
    return one
"""


def test_only_classes_keep_their_annotations() -> None:
    names: dict[str, Any] = {}
    code = compiled(SOURCE, "/final/file.py")
    exec(code, names)
    kind, function = names["Kind"], names["function"]
    assert kind.__annotations__ == {"field": "int"}
    assert kind.method.__annotations__ == function.__annotations__ == {}
    assert (function(), function.__doc__) == (kind, None)
    assert (code.co_filename, function.__code__.co_firstlineno) == ("/final/file.py", 8)


def test_what_is_no_python_names_its_file() -> None:
    with pytest.raises(SyntaxError) as raised:
        compiled(b"not python at all\n", "/final/file.py")
    assert raised.value.filename == "/final/file.py"


def test_a_module_that_cannot_be_compiled_leaves_the_old_one(package: Path) -> None:
    write_bundle(package, package)
    before = (package / f"__pycache__/bundle.{TAG}").read_bytes()
    (package / "room/module.py").write_text("not python at all\n")
    with pytest.raises(SyntaxError):
        refresh(package)
    assert (package / f"__pycache__/bundle.{TAG}").read_bytes() == before


def test_nothing_old_is_left(package: Path) -> None:
    for source in package.rglob("*.py"):
        py_compile.compile(str(source))
    (package / "gone/deeper/__pycache__").mkdir(parents=True)
    (package / "__pycache__/bundle.cpython-210").touch()
    refresh(package)
    assert {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()} == {
        "__init__.py",
        "room/__init__.py",
        "room/module.py",
        f"__pycache__/__init__.{TAG}.pyc",
        f"__pycache__/bundle.{TAG}",
    }
    assert not (package / "gone").exists()
    compiled = (package / f"__pycache__/__init__.{TAG}.pyc").read_bytes()
    assert compiled[4:8] == b"\1\0\0\0"  # PEP 552: by hash, unchecked


def test_everybody_may_read_it(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "PACKAGE", package)
    before = os.umask(0o077)
    try:
        bundle.main()
    finally:
        os.umask(before)
    assert (package / f"__pycache__/bundle.{TAG}").stat().st_mode & 0o777 == 0o644
