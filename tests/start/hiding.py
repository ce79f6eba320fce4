"""A Python without CPython's private modules, for tests: start/ then finds the public ones only."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from types import ModuleType

HIDDEN = frozenset(
    ("_socket", "_signal", "_ctypes", "_sha1", "_blake2", "_operator", "posix", "_frozen_importlib_external")
)

_import = builtins.__import__


def import_public(
    name: str,
    globals: Mapping[str, object] | None = None,
    locals: Mapping[str, object] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    importer = str((globals or {}).get("__name__", ""))
    if name in HIDDEN and importer.partition(".")[0] == "dovecot_urlauth":
        raise ImportError(f"{name} is hidden from {importer}")
    return _import(name, globals, locals, fromlist or (), level)
