"""A Python without CPython's private modules, for tests: start/ then finds the public ones only.

As a pytest plugin (``-p tests.start.public``) it must be loaded before anything of ours.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from types import ModuleType

HIDDEN = frozenset(
    ("_socket", "_signal", "_ctypes", "_sha1", "_blake2", "_operator", "posix", "_frozen_importlib_external")
)

_import = builtins.__import__


def _public_only(
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


builtins.__import__ = _public_only
