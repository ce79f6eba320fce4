"""A worker that is still root opens nothing of a user's and is given no URL: strace saw what it did."""

from __future__ import annotations

import re
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testing.instance import USERS, DovecotInstance
from testing.oracle import WorkerSession
from testing.processes import wait_for
from testing.scene import MESSAGE, Scene
from testing.versions import PIECES

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.only("tuned"),
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace tells what was opened"),
]

CALLS = "%file,read,recvfrom,recvmsg,getdents64,setresuid"
DROP = re.compile(r"setresuid\({0}, {0}, {0}\) += 0$".format(USERS["alice"]))
OPENED = re.compile(r"(?!recv).*home/alice\b")
GIVEN = re.compile(r"recv.*imap://alice@")


@contextmanager
def _traced(dovecot: DovecotInstance, output: Path) -> Iterator[None]:
    """Have the calls of the workers, and of all that they start, written down."""
    pids = [process.pid for process in dovecot.processes(PIECES[2])]
    attached = [word for pid in pids for word in ("-p", str(pid))]
    # -y: a name below an open folder is shown with the folder's path
    command = ["strace", "-fqqy", "-s", "500", "-e", f"trace={CALLS}", "-o", str(output), *attached]
    null = subprocess.DEVNULL
    tracer = subprocess.Popen(command, stdin=null, stdout=null, stderr=null)
    try:
        assert wait_for(lambda: all(_is_traced(pid) for pid in pids), 10)
        yield
    finally:
        tracer.terminate()
        tracer.wait(10)


def _is_traced(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True  # it has ended
    return not re.search(r"^TracerPid:\t0$", status, re.MULTILINE)


def test_nothing_is_opened_and_no_url_read_before_the_drop(scene: Scene, tmp_path: Path) -> None:
    url = scene.sign(scene.store(), "authuser")
    with _traced(scene.dovecot, tmp_path / "calls"), WorkerSession(scene.dovecot) as session:
        # nobody has been served under this name, so a process is to become alice
        session.access(b"dropper")
        assert session.select(b"alice") == b"OK\n"
        assert session.fetch(url).content == MESSAGE
    calls = [line.split(maxsplit=1) for line in (tmp_path / "calls").read_text().splitlines()]
    [serving] = {pid for pid, call in calls if DROP.match(call)}
    own = [call for pid, call in calls if pid == serving]
    [dropped] = [number for number, call in enumerate(own) if DROP.match(call)]
    while_root = own[:dropped]
    others = [call for pid, call in calls if pid != serving]
    for sign in (OPENED, GIVEN):
        assert [call for call in own[dropped:] if sign.match(call)]
        assert [call for call in while_root + others if sign.match(call)] == []
    assert [call for call in while_root if "USER\\talice" in call]
