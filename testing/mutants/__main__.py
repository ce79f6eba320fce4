"""`python -m testing.mutants [name...] [--dovecot]`: one changed line at a time, and whether a test notices.

Everything happens in a copy of the checkout.  The tests that a mutant names run first without it, since a test
that fails anyway kills nothing.  A mutant is killed by a failed test alone: tests that cannot be collected say
nothing about the line.  Exit status 1 when one survives.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from testing.mutants import table
from testing.mutants.mutant import CHECKOUT, Mutant

TIME_LIMIT = 300
"""Seconds for the tests of one mutant; one that makes them hang is noticed, too."""
PASSED, FAILED = 0, 1
"""pytest's exit statuses."""

OF_VENV_NOT_COPIED = "run"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m testing.mutants", description=__doc__.split("\n")[0])
    parser.add_argument(
        "names", nargs="*", metavar="name", help="mutants (5.3), promises (5), files or folders (wire)"
    )
    parser.add_argument("--dovecot", action="store_true", help="those, too, that only a real Dovecot can tell")
    options = parser.parse_args(arguments)
    chosen = [
        mutant
        for mutant in table()
        if (options.dovecot or not mutant.needs_dovecot) and _is_named(mutant, options.names)
    ]
    started = time.monotonic()
    with _copy() as copy:
        unfit = _unfit(copy, chosen)
        if unfit:
            print("fail without any mutant:", *unfit)
            return 1
        survivors = [mutant for mutant in chosen if not _is_killed(copy, mutant)]
    print(f"{len(chosen)} mutants, {len(survivors)} survive, {time.monotonic() - started:.0f} s")
    return 1 if survivors else 0


def _is_named(mutant: Mutant, names: list[str]) -> bool:
    return not names or any(
        name in (mutant.name, str(mutant.promise)) or mutant.file.startswith(name) for name in names
    )


def _unfit(copy: Path, mutants: list[Mutant]) -> list[str]:
    """The tests that do not even pass over the source as it is."""
    named = dict.fromkeys(test for mutant in mutants for test in mutant.tests)
    apart = [[test for test in named if _needs_dovecot(test) is needed] for needed in (False, True)]
    suspects = [test for tests in apart if tests and _run(copy, tuple(tests)) != PASSED for test in tests]
    return [test for test in suspects if _run(copy, (test,)) != PASSED]


def _needs_dovecot(test: str) -> bool:
    return test.startswith("tests/dovecot/")


def _is_killed(copy: Path, mutant: Mutant) -> bool:
    """Put the mutant in the line's place, run its tests, and put the line back."""
    path = copy / mutant.path
    source, status = path.read_text(), path.stat()
    path.write_text(mutant.apply(source))
    # byte code is found by seconds and size: a time that no version had
    os.utime(path, (status.st_mtime + 1, status.st_mtime + 1))
    started = time.monotonic()
    try:
        result = _run(copy, mutant.tests)
    finally:
        path.write_text(source)
        os.utime(path, (status.st_mtime, status.st_mtime))
    verdict = {FAILED: "killed", PASSED: "SURVIVES", None: "killed (hangs)"}.get(
        result, f"UNFIT (pytest: {result})"
    )
    print(
        f"{mutant.name:>6}  {verdict:9}  {time.monotonic() - started:5.1f} s  {mutant.file}: {mutant.hole}",
        flush=True,
    )
    return result in (FAILED, None)


def _run(copy: Path, tests: tuple[str, ...]) -> int | None:
    """pytest's exit status, None when it hangs."""
    command = [str(copy / ".venv/bin/python"), "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    if not any(map(_needs_dovecot, tests)):
        command += ["-m", "not dovecot and not limits"]
    null = subprocess.DEVNULL
    running = subprocess.Popen(
        [*command, *tests], cwd=copy, stdin=null, stdout=null, stderr=null, start_new_session=True
    )
    try:
        return running.wait(TIME_LIMIT)
    except subprocess.TimeoutExpired:
        return None
    finally:
        _end(running)


def _end(running: subprocess.Popen[bytes]) -> None:
    """What tests have forked may go on without them."""
    with suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()


@contextmanager
def _copy() -> Iterator[Path]:
    """A copy of what git knows, that runs the tools of the checkout; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="mutants-"))
    folder.chmod(0o755)
    try:
        names = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, check=True).stdout
        for name in filter(None, names.decode().split("\0")):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if (CHECKOUT / name).exists():
                shutil.copy2(CHECKOUT / name, target)
        _lend_tools(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _lend_tools(folder: Path) -> None:
    """The checkout's .venv, with the copy as what the executables import."""
    venv = CHECKOUT / ".venv"
    (folder / ".venv/run").mkdir(parents=True)
    for entry in venv.iterdir():
        if entry.name != OF_VENV_NOT_COPIED:
            (folder / ".venv" / entry.name).symlink_to(entry.resolve())
    for entry in (venv / "run").iterdir():
        own = folder / entry.name
        (folder / ".venv/run" / entry.name).symlink_to(own if own.exists() else entry.resolve())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
