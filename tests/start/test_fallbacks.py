"""Another Python need not have CPython's private modules: everything runs on the public ones behind them."""

from __future__ import annotations

import ast
import builtins
import ctypes
import hashlib
import hmac
import importlib.util
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import dovecot_urlauth
from tests.start.hiding import HIDDEN, import_public

PACKAGE = Path(dovecot_urlauth.__file__).parent
ROOT = PACKAGE.parent
TESTED = ("start", "service", "login", "broker", "worker", "url/test_token.py")
"""Rooms whose unit tests are run once more; what of them is about the private modules is left out."""
LEFT_OUT = ("test_fallbacks", "test_import_budget", "test_imports", "test_frozen", "test_landlock", "test_seccomp")

#: The package's own file, which finds the bundle, comes before start/.
OWN_FILE = PACKAGE / "__init__.py"


def private_imports(path: Path) -> set[str]:
    """The private modules that a file imports, at whatever place."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name for name in names if name.startswith("_") and name != "__future__"} | (names & {"posix"})


def test_private_modules_are_imported_in_one_room() -> None:
    found = {path: private_imports(path) for path in PACKAGE.rglob("*.py") if path != OWN_FILE}
    outside = {str(path): names for path, names in found.items() if names and path.parent.name != "start"}
    assert outside == {}
    assert set().union(*found.values()) == HIDDEN - private_imports(OWN_FILE) | {"posix"}


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import tests.start.public
before = set(sys.modules)
import dovecot_urlauth.start.cpython as cpython, dovecot_urlauth.start.digest as digest
import dovecot_urlauth.start.preconnect as preconnect
import dovecot_urlauth, hashlib, hmac, importlib.util, os, signal, socket
assert dovecot_urlauth.posix is os and dovecot_urlauth.MAGIC_NUMBER == importlib.util.MAGIC_NUMBER
assert cpython.socket is socket.socket and cpython.signal is signal.signal
assert digest.compare_digest is hmac.compare_digest
assert preconnect.environ is os.environb
assert digest.sha1(b"abc") == hashlib.sha1(b"abc").digest()
assert digest.blake2b(b"abc", 16) == hashlib.blake2b(b"abc", digest_size=16).digest()
assert cpython.call_library("getpid") == os.getpid()
memory = cpython.Memory(b"four")
import ctypes
assert ctypes.string_at(memory.address, 4) == b"four"
print("as expected")
"""


def load(name: str) -> ModuleType:
    """A copy of a module of start/, apart from the one that everybody uses."""
    spec = importlib.util.spec_from_file_location(f"dovecot_urlauth.start.{name}", PACKAGE / f"start/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["private", "public"])
def hidden(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if request.param == "public":
        monkeypatch.setattr(builtins, "__import__", import_public)
    return bool(request.param == "public")


def test_digests(hidden: bool) -> None:
    digest = load("digest")
    assert (digest.compare_digest is hmac.compare_digest) >= hidden
    assert digest.compare_digest(b"a", b"a")
    assert digest.sha1(b"abc") == hashlib.sha1(b"abc").digest()
    assert digest.blake2b(b"abc", 16) == hashlib.blake2b(b"abc", digest_size=16).digest()


def test_sockets_and_signals(hidden: bool) -> None:
    cpython = load("cpython")
    assert (cpython.socket is socket.socket) is hidden
    assert (cpython.signal is signal.signal) is hidden
    assert cpython.AF_UNIX == socket.AF_UNIX
    assert cpython.SIG_BLOCK == signal.SIG_BLOCK


def test_calls_of_the_library(hidden: bool) -> None:
    cpython = load("cpython")
    assert cpython.call_library("getpid") == os.getpid()
    fd = cpython.call_library("dup", 0)
    os.close(fd)
    with pytest.raises(OSError, match="close failed"):
        cpython.call_library("close", -1)
    memory = cpython.Memory(b"fo\0ur")
    assert ctypes.string_at(memory.address, 5) == b"fo\0ur"


def test_the_environment(hidden: bool) -> None:
    assert (load("preconnect").environ is os.environb) is hidden


def test_each_has_its_public_stand_in() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(ROOT)], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("as expected\n", "")


@pytest.mark.packaging
def test_everything_runs_on_the_public_modules() -> None:
    ignored = [f"--ignore-glob=*/{name}.py" for name in LEFT_OUT]
    rooms = [f"tests/{room}" for room in TESTED]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "tests.start.public", "-p", "no:cacheprovider"]
    selection = ["-m", "not dovecot and not limits", "--no-header", *ignored, *rooms]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*command, *selection], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:]
