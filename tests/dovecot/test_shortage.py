"""No process or no descriptor is left: a clean failure or a wait, and all is well when there are some again."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from testing.instance import USERS, DovecotInstance
from testing.oracle import WorkerSession
from testing.processes import wait_for
from testing.scene import MESSAGE, Scene
from testing.versions import ALL_OURS, PIECES

if TYPE_CHECKING:
    from collections.abc import Callable

    from testing.versions import Version
    from tests.dovecot.conftest import Installations

ONE_WORKER = f"service {PIECES[2]} {{\n  process_limit = 1\n}}\n"
FULL = r"Warning: service\(imap-urlauth-worker\): .*reached, client connections are being dropped"
PATIENCE = 30.0


@pytest.mark.in_turns
def test_no_more_workers_than_the_service_allows(
    version: Version, installations: Installations, starter: Callable[..., DovecotInstance]
) -> None:
    """Who comes too late waits and is served; who was there notices nothing, and nor does master."""
    dovecot = DovecotInstance(version, ALL_OURS, installations[version], extra=ONE_WORKER)
    starter(dovecot, FULL)
    with Scene(dovecot, PATIENCE) as scene:
        url = scene.sign(scene.store(), "authuser")
        bob, carol = scene.user("bob"), scene.user("carol")
        assert bob.fetch_url(url) == MESSAGE
        tag = carol.send(b'URLFETCH "%s"' % url)
        dovecot.log.wait_for(FULL, seconds=PATIENCE)
        assert bob.fetch_url(url) == MESSAGE
        assert len(dovecot.processes(PIECES[2])) == 1
        bob.close()
        assert carol.reply(tag).all(b"URLFETCH") == [[url, MESSAGE]]


SET_LIMIT = """
import resource, sys
pid, limit = map(int, sys.argv[1:])
_, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit or hard, hard))
"""


def _allow_descriptors(pid: int, limit: int) -> None:
    """As the process's own user: so that no capability is needed.  0 is the hard limit."""
    own = USERS["alice"]
    command = ["/usr/bin/python3", "-IBc", SET_LIMIT, str(pid), str(limit)]
    subprocess.run(command, user=own, group=own, extra_groups=[], check=True)


@pytest.mark.only("tuned")
def test_a_serving_process_without_descriptors(scene: Scene) -> None:
    """With each number that it may open beside what it holds: the mail or a NO, and the session goes on."""
    scene.expect_log("Too many open files", "Failed to fetch URLAUTH")
    url = scene.sign(scene.store(), "authuser")
    with WorkerSession(scene.dovecot) as session:
        session.access(b"scarce")
        assert session.select(b"alice") == b"OK\n"
        [pid] = wait_for(
            lambda: [each.pid for each in scene.dovecot.processes(PIECES[2]) if "[scarce->alice]" in each.title]
        )
        assert not session.fetch(b"imap://").ok  # the process has become Alice's, and holds no more than it will
        held = set(map(int, os.listdir(f"/proc/{pid}/fd")))
        free = [number for number in range(100) if number not in held]
        outcomes = {}
        for more in range(12):
            _allow_descriptors(pid, free[more])
            answer = session.fetch(url, b"body")
            outcomes[more] = answer.ok
            assert answer.content == (MESSAGE if answer.ok else b"")
        assert outcomes[11]
        assert not all(outcomes.values())
        _allow_descriptors(pid, 0)
        assert session.fetch(url, b"body").content == MESSAGE
