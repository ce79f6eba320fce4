"""The bundle of an installation: what is in it, and that nothing needs it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXECUTABLES = ("imap-urlauth-login", "imap-urlauth", "imap-urlauth-worker")
PACKAGE = "lib/dovecot-urlauth/dovecot_urlauth"
BUNDLE = f"{PACKAGE}/__pycache__/bundle.{sys.implementation.cache_tag}"

LOOK = """
import json, sys
sys.path.insert(0, sys.argv[1])
seen = {}
for name in json.loads(sys.argv[2]):
    __import__(name)
    module = sys.modules[name]
    spec = module.__spec__
    seen[name] = [type(spec.loader).__name__, module.__file__, spec.parent, getattr(module, "__path__", None)]
print(json.dumps(seen))
"""


def module_name(source: Path, package: Path) -> str:
    parts = source.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def look(prefix: Path, names: list[str]) -> dict[str, list[Any]]:
    """What an interpreter started as ours are sees of these modules: loader, file, parent, path."""
    library = str(prefix / "lib/dovecot-urlauth")
    command = [sys.executable, "-IBS", "-c", LOOK, library, json.dumps(names)]
    seen: dict[str, list[Any]] = json.loads(
        subprocess.run(command, capture_output=True, text=True, check=True).stdout
    )
    return seen


@pytest.fixture
def copy(prefix: Path, tmp_path: Path) -> Path:
    """A copy of the installation's library, to be damaged."""
    shutil.copytree(prefix / "lib", tmp_path / "lib")
    return tmp_path


def test_every_module_comes_from_the_bundle_and_knows_its_source(prefix: Path) -> None:
    package = prefix / PACKAGE
    sources = {module_name(source, package): source for source in package.rglob("*.py")}
    del sources["dovecot_urlauth"], sources["dovecot_urlauth.admin.__main__"]
    del sources["dovecot_urlauth.admin.monitor.metrics"]  # needs prometheus-client, which no service does
    assert len(sources) > 100
    seen = look(prefix, sorted(sources))
    for name, (loader, file, parent, path) in seen.items():
        is_package = sources[name].name == "__init__.py"
        assert loader == "Bundle"
        assert file == str(sources[name])
        assert parent == (name if is_package else name.rpartition(".")[0])
        assert path == ([str(sources[name].parent)] if is_package else None)


def test_a_traceback_shows_the_source(prefix: Path) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(prefix / 'lib/dovecot-urlauth')!r}); "
        "from dovecot_urlauth.wire.number import decimal; decimal(None)"
    )
    done = subprocess.run([sys.executable, "-IBS", "-c", program], capture_output=True, text=True)
    source = prefix / PACKAGE / "wire/number.py"
    assert f'File "{source}", line ' in done.stderr
    shown = done.stderr.partition(str(source))[2].splitlines()[1].strip()
    assert shown in source.read_text()


def test_a_module_runs_as_a_program(prefix: Path) -> None:
    program = (
        f"import runpy, sys; sys.path.insert(0, {str(prefix / 'lib/dovecot-urlauth')!r}); "
        "sys.argv = ['', '--version']; runpy.run_module('dovecot_urlauth.admin', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-IB", "-c", program], capture_output=True, text=True)
    assert done.stdout.startswith("dovecot-urlauth ")
    assert done.returncode == 0


@pytest.mark.parametrize(
    "damage",
    [
        None,
        lambda whole: b"",
        lambda whole: whole[:6],
        lambda whole: whole[: len(whole) // 2],
        lambda whole: b"\0\0\r\n" + whole[4:],
        lambda whole: whole[:4] + b"\xff\xff\xff\x7f" + whole[8:],
    ],
    ids=["missing", "empty", "no header", "cut off", "another Python's", "no index"],
)
def test_without_a_whole_bundle_of_this_python_modules_come_from_their_files(
    copy: Path, damage: Callable[[bytes], bytes] | None
) -> None:
    if damage is None:
        (copy / BUNDLE).unlink()
    else:
        (copy / BUNDLE).write_bytes(damage((copy / BUNDLE).read_bytes()))
    names = [f"dovecot_urlauth.{stage}.main" for stage in ("login", "broker", "worker")]
    assert [loader for loader, *_ in look(copy, names).values()] == ["SourceFileLoader"] * 3


@pytest.mark.parametrize("name", EXECUTABLES)
def test_starting_opens_no_file_of_the_package_but_the_bundle(prefix: Path, name: str) -> None:
    executable = prefix / "libexec/dovecot-urlauth" / name
    command = [sys.executable, "-IBS", "-v", str(executable)]
    done = subprocess.run(command, capture_output=True, text=True, env={}, stdin=subprocess.DEVNULL)
    read = [line for line in done.stderr.splitlines() if line.startswith("# code object from ")]
    ours = [line for line in read if PACKAGE in line]
    assert len(ours) == 1
    assert "__init__.cpython" in ours[0]


def test_a_package_brings_its_byte_code_up_to_date(copy: Path) -> None:
    """As where it was unpacked, and as after an upgrade of it, and of python3."""
    package = copy / PACKAGE
    tag = sys.implementation.cache_tag
    (package / "__pycache__/bundle.cpython-210").touch()
    (package / "gone/__pycache__").mkdir(parents=True)
    (package / "gone/__pycache__/module.cpython-210.pyc").touch()
    source = package / "__init__.py"
    source.write_text(source.read_text() + "NEW = True\n")
    command = [sys.executable, "-IB", str(package / "start/bundle.py")]
    subprocess.run(command, check=True, umask=0o077)
    assert {str(path.relative_to(package)) for path in package.rglob("__pycache__/*")} == {
        f"__pycache__/__init__.{tag}.pyc",
        f"__pycache__/bundle.{tag}",
    }
    assert not (package / "gone").exists()
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in (package / "__pycache__").iterdir())
    seen = look(copy, ["dovecot_urlauth", "dovecot_urlauth.worker.main"])
    assert seen["dovecot_urlauth.worker.main"][0] == "Bundle"
    ask = "import sys; sys.path.insert(0, sys.argv[1]); import dovecot_urlauth; print(dovecot_urlauth.NEW)"
    command = [sys.executable, "-IBS", "-c", ask, str(copy / "lib/dovecot-urlauth")]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "True\n"
