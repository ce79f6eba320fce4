"""Who is a Dovecot's master, as root learns it, and as one knows it who has given root up."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dovecot_urlauth.admin.live.identity import lent
from dovecot_urlauth.admin.master import Master, MasterUnknown, NoMaster
from testing.processes import wait_for

NOBODY = 65534


@pytest.fixture
def base_dir() -> Iterator[Path]:
    """Others may look into it, as into Dovecot's own."""
    with tempfile.TemporaryDirectory(prefix="urlauth-", dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def write(base_dir: Path, pid: int) -> None:
    """As Dovecot does: for root alone, a new file at each start."""
    new = base_dir / "new"
    new.write_text(f"{pid}\n")
    new.chmod(0o600)
    new.rename(base_dir / "master.pid")


@pytest.fixture
def sleepers() -> Iterator[list[int]]:
    """Two processes with one command line that nobody else has, and one with another."""
    title = f"dovecot-of-{os.getpid()}"
    with (
        subprocess.Popen([title, "60"], executable="/bin/sleep") as first,
        subprocess.Popen([title, "60"], executable="/bin/sleep") as second,
        subprocess.Popen([title, "61"], executable="/bin/sleep") as other,
    ):
        started = (first, second, other)
        for one in started:
            path = Path(f"/proc/{one.pid}/cmdline")
            assert wait_for(lambda path=path: title.encode() in path.read_bytes())  # type: ignore[misc]
        yield [one.pid for one in started]
        for one in started:
            one.kill()


def test_it_runs(base_dir: Path) -> None:
    write(base_dir, os.getpid())
    assert Master(str(base_dir)).pid() == os.getpid()


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "master.pid is not there"), ("x", "holds no process id"), ("-1", "holds no process id")],
)
def test_none_runs(base_dir: Path, content: str | None, why: str) -> None:
    if content is not None:
        (base_dir / "master.pid").write_text(content)
    with pytest.raises(NoMaster, match=f"no Dovecot runs with base_dir {base_dir} .*{why}.: start it"):
        Master(str(base_dir)).pid()


def test_what_was_killed_has_left_its_file(base_dir: Path) -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    write(base_dir, gone.pid)
    with pytest.raises(NoMaster, match=f"process {gone.pid} of .* is gone"):
        Master(str(base_dir)).pid()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives root up")
def test_who_was_never_root_does_not_know(base_dir: Path) -> None:
    write(base_dir, os.getpid())
    with lent(NOBODY, NOBODY, []), pytest.raises(MasterUnknown, match="is closed to others: run this as root"):
        Master(str(base_dir)).pid()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives root up")
def test_who_was_root_knows_on(base_dir: Path, sleepers: list[int]) -> None:
    first, second, other = sleepers
    write(base_dir, first)
    master = Master(str(base_dir))
    assert master.pid() == first
    with lent(NOBODY, NOBODY, []):
        assert master.pid() == first

    write(base_dir, second)  # a restart that nobody has seen, the old one still there
    with lent(NOBODY, NOBODY, []), pytest.raises(MasterUnknown):
        master.pid()
    os.kill(first, 9)
    assert wait_for(lambda: not Path(f"/proc/{first}/cmdline").read_bytes())
    with lent(NOBODY, NOBODY, []):
        assert master.pid() == second

    write(base_dir, other)  # started by other words than before
    os.kill(second, 9)
    assert wait_for(lambda: not Path(f"/proc/{second}/cmdline").read_bytes())
    with lent(NOBODY, NOBODY, []), pytest.raises(MasterUnknown):
        master.pid()

    (base_dir / "master.pid").unlink()
    with lent(NOBODY, NOBODY, []), pytest.raises(NoMaster, match="is not there"):
        master.pid()
