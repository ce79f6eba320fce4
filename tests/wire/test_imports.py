"""The wire room is sans-I/O and cheap to start: both are visible in what it imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import dovecot_urlauth.wire

ROOM = Path(dovecot_urlauth.wire.__file__).parent
MODULES = sorted(path.stem for path in ROOM.glob("*.py") if path.stem != "__init__")
ALLOWED = {
    "dovecot_urlauth.start.frozen",
    "__future__",
    "binascii",
    "struct",
    "sys",
    "collections.abc",
    "dataclasses",
    "enum",
    "typing",
}
ONLY_FOR_TYPES = {"collections.abc", "dataclasses", "enum", "typing"}
EXPENSIVE = {
    "dataclasses",
    "typing",
    "re",
    "socket",
    "_socket",
    "enum",
    "collections",
    "inspect",
    "logging",
    "select",
}


def imports(tree: ast.AST) -> set[str]:
    """Every module that is imported anywhere in the tree."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or ".")
    return found


def for_types(tree: ast.AST) -> set[str]:
    """The modules imported for annotations only."""
    return {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for statement in node.body
        for name in imports(statement)
    }


@pytest.mark.parametrize("module", MODULES)
def test_no_sockets_clock_or_files(module: str) -> None:
    tree = ast.parse((ROOM / f"{module}.py").read_text())
    foreign = {name for name in imports(tree) if not name.startswith("dovecot_urlauth.wire")}
    assert foreign <= ALLOWED
    assert foreign & ONLY_FOR_TYPES <= for_types(tree)


def test_nothing_expensive_is_loaded() -> None:
    lines = [f"import dovecot_urlauth.wire.{module}" for module in MODULES]
    program = "\n".join(["import sys", *lines, "print(*sorted(sys.modules))"])
    run = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True)
    assert set(run.stdout.split()) & EXPENSIVE == set()
