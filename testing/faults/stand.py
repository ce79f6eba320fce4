"""One Dovecot, a client whose way a fault lies on, and one beside it."""

from __future__ import annotations

import re
import subprocess
import time
from typing import TYPE_CHECKING

from testing.faults import CHILD, LOGIN, PARENT, URLAUTH, Fault
from testing.imapclient import ConnectionLost
from testing.logs import INTERNAL
from testing.processes import read, wait_for
from testing.scene import MESSAGE, Scene
from testing.versions import PIECES

if TYPE_CHECKING:
    from testing.instance import DovecotInstance

SERVED, REFUSED, LOST, LATE = "served", "NIL", "connection lost", "late"
PATIENCE = 20.0
"""Seconds for the client; imap itself tries for a few."""
NEXT = 15.0
"""Seconds until the next client is served."""
OF_THE_INTERPRETER = "importlib."
"""In a line about a process that ended because its own modules could not be read."""
OURS = re.compile(r"imap-urlauth[\w-]*(?:\(\d+\))?: |imap-urlauth\[")


class Stand:
    """Lets faults happen, one after the other."""

    def __init__(self, dovecot: DovecotInstance) -> None:
        self._dovecot = dovecot
        self._scene = Scene(dovecot)
        self._url = self._scene.sign(self._scene.store(), access="authuser")
        assert self._scene.user("carol").fetch_url(self._url) == MESSAGE

    def close(self) -> None:
        self._scene.close()

    def try_fault(self, fault: Fault) -> tuple[str, int, list[str]]:
        """What became of the client, how many lines the log has about it, and what must not be."""
        self._wait_for_rest()
        mark = self._dovecot.log.mark()
        tracer = self._attach(fault)
        try:
            outcome = self._fetch("bob")
        finally:
            tracer.terminate()
            tracer.wait(10)
        wrong = []
        if outcome == LATE:
            wrong.append("the client waits")
        if not wait_for(lambda: self._fetch("bob") == SERVED, NEXT, 0.2):
            wrong.append("the next client is not served")
        if not wait_for(self._is_neighbour_served, NEXT, 0.2):
            wrong.append("the client beside it is not served")
        wrong += [f"root serves: {title}" for title in self._served_by_root()]
        lines = [line for line in self._dovecot.log.since(mark) if OURS.search(line) and "Info: " not in line]
        wrong += [line for line in lines if INTERNAL.search(line) and OF_THE_INTERPRETER not in line]
        return outcome, len(lines), wrong

    def _wait_for_rest(self) -> None:
        """Until a child is spare, and nobody is left of the last client's processes."""
        wait_for(lambda: self._pid(CHILD) and not self._is_anybody_left(), 10)

    def _is_anybody_left(self) -> bool:
        titles = [process.title for process in self._dovecot.processes(PIECES[2])]
        return any("[bob->" in title or "[idling->" in title for title in titles)

    def _attach(self, fault: Fault) -> subprocess.Popen[bytes]:
        pid = self._pid(fault.process)
        assert pid, f"there is no {fault.process}"
        inject = f"inject={fault.call}:error={fault.error}:when={fault.number}"
        command = ["strace", "-qq", "-o", "/dev/null", "-e", f"trace={fault.call}", "-e", inject, "-p", str(pid)]
        null = subprocess.DEVNULL
        tracer = subprocess.Popen(command, stdin=null, stdout=null, stderr=null)
        assert wait_for(lambda: _tracer_of(pid) == tracer.pid or tracer.poll() is not None, 10)
        assert tracer.poll() is None, f"strace knows no {fault.call}"
        return tracer

    def _pid(self, name: str) -> int | None:
        executable = {LOGIN: PIECES[0], URLAUTH: PIECES[1], PARENT: PIECES[2], CHILD: PIECES[2]}[name]
        found = self._dovecot.processes(executable)
        if name == CHILD:
            found = [process for process in found if "[spare]" in process.title]
        elif name == PARENT:
            pids = {process.pid for process in found}
            found = [process for process in found if process.parent not in pids]
        return found[-1].pid if found else None

    def _fetch(self, user: str) -> str:
        try:
            with self._dovecot.imap(user, timeout=PATIENCE) as client:
                content = client.fetch_url(self._url)
        except TimeoutError:
            return LATE
        except (ConnectionLost, OSError, AssertionError):
            return LOST
        assert content in (MESSAGE, None), "another mail"
        return REFUSED if content is None else SERVED

    def _is_neighbour_served(self) -> bool:
        try:
            return self._scene.user("carol").fetch_url(self._url) == MESSAGE
        except (ConnectionLost, OSError):
            return False

    def _served_by_root(self) -> list[str]:
        """Processes that serve somebody's mail (their titles have an arrow) and are still root."""
        time.sleep(0.05)
        serving = [process for process in self._dovecot.processes(PIECES[2]) if "->" in process.title]
        still = [process.pid for process in serving if 0 in process.uids]
        time.sleep(0.05 if still else 0)
        now = [read(pid) for pid in still]
        return [process.title for process in now if process and 0 in process.uids and "->" in process.title]


def _tracer_of(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/status") as status:
            return int(status.read().partition("TracerPid:")[2].split()[0])
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0
