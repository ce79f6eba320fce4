"""Writes the bundle that the package's ``__init__`` loads from: all byte code in one file.

``install.py`` calls it.  A distribution's package runs it as a program, once it is unpacked and whenever python3
becomes another one:

    python3 -IB .../dovecot_urlauth/start/bundle.py

It then brings its own package's byte code up to date, in one step: services that start meanwhile load the old
bundle or the new one, never parts of both.
"""

import ast
import importlib.util
import marshal
import os
import py_compile
import shutil
import sys
import types
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def write_bundle(package: Path, final: Path) -> None:
    """Write the byte code of ``package`` into its bundle; ``final`` is where it will lie.

    Raises OSError, SyntaxError.
    """
    content = bytearray(importlib.util.MAGIC_NUMBER + bytes(4))
    index = {}
    for source in sorted(package.rglob("*.py")):
        file = source.relative_to(package)
        name = ".".join((package.name, *file.with_suffix("").parts)).removesuffix(".__init__")
        if name == package.name:
            continue  # it finds the bundle
        marshalled = marshal.dumps(compiled(source.read_bytes(), str(final / file)))
        index[name] = (str(file), len(content), len(marshalled))
        content += marshalled
    content[4:8] = len(content).to_bytes(4, "little")
    content += marshal.dumps(index)
    bundle = package / f"__pycache__/bundle.{sys.implementation.cache_tag}"
    bundle.parent.mkdir(exist_ok=True)
    fresh = bundle.with_name(f"{bundle.name}.new")
    fresh.write_bytes(content)
    fresh.rename(bundle)


def compiled(source: bytes, name: str) -> types.CodeType:
    """Byte code without docstrings, a tenth of it, and without what functions say of the types that they take.

    Of a class's annotations start/frozen.py makes its fields, and they stay.  Raises SyntaxError.
    """
    tree = ast.parse(source, name)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
    return compile(tree, name, "exec", dont_inherit=True, optimize=2)


def refresh(package: Path) -> None:
    """Bring the byte code of ``package`` up to date, and leave none of another Python's.

    Raises OSError, SyntaxError.
    """
    write_bundle(package, package)
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(package / "__init__.py"), doraise=True, invalidation_mode=unchecked)
    tag = sys.implementation.cache_tag
    for folder in list(package.rglob("__pycache__")):
        if folder.parent != package:
            shutil.rmtree(folder)  # the bundle has it all
    for file in list((package / "__pycache__").iterdir()):
        if file.name not in (f"bundle.{tag}", f"__init__.{tag}.pyc"):
            file.unlink()
    _remove_empty_folders(package)


def _remove_empty_folders(package: Path) -> None:
    """A room that is no longer, whose byte code dpkg found and left."""
    for folder in sorted((path for path in package.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def main() -> None:
    """Bring the package that this is a part of up to date, readable for everybody."""
    os.umask(0o022)
    refresh(PACKAGE)


if __name__ == "__main__":
    main()
