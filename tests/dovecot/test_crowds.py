"""Many who connect and say nothing must not shut out those who have something to ask.

Dovecot's master tells login processes when all of them are full; each then lets its oldest client go.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from testing.instance import DovecotInstance
from testing.processes import wait_for
from testing.scene import MESSAGE, Scene
from testing.versions import COMBINATIONS, PIECES

if TYPE_CHECKING:
    from collections.abc import Callable

    from testing.executables import Installation
    from testing.versions import Version

LOGIN, URLAUTH, _ = PIECES
PROCESSES = 10
SILENT = PROCESSES + 5
LIMIT = f"service imap-urlauth-login {{\n  process_limit = {PROCESSES}\n}}\n"
PATIENCE = 30.0


def _connect(dovecot: DovecotInstance) -> socket.socket:
    """The backlog is small: the next one has room when others have been let go."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return dovecot.connect("imap-urlauth")
        except BlockingIOError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_good_client_is_served_beside_silent_ones(
    version: Version,
    installations: dict[Version, Installation],
    starter: Callable[..., DovecotInstance],
) -> None:
    dovecot = DovecotInstance(version, COMBINATIONS["ours-ours-ours"], installations[version], extra=LIMIT)
    starter(dovecot, r"Warning: service\(imap-urlauth-login\): process_limit")
    silent = []
    with Scene(dovecot) as scene:
        url = scene.sign(scene.store())
        bob = scene.user("bob")
        mark = dovecot.log.mark()
        silent += [_connect(dovecot) for _ in range(SILENT)]
        assert wait_for(lambda: any("Connection queue full" in line for line in dovecot.log.since(mark)), PATIENCE)
        assert not dovecot.processes(URLAUTH)
        assert len(dovecot.processes(LOGIN)) <= PROCESSES
        bob.set_timeout(PATIENCE)
        assert bob.fetch_url(url) == MESSAGE
    for connection in silent:
        connection.close()
