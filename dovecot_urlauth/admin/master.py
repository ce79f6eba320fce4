"""Does a Dovecot run here: its master, by the pid that it leaves in base_dir."""

from __future__ import annotations

import os
from pathlib import Path

MASTER_PID = "master.pid"


def running_master(base_dir: str) -> int | None:
    """The master's pid; None where none runs, or where that may not be read (not being root)."""
    try:
        pid = int((Path(base_dir) / MASTER_PID).read_text(encoding="ascii"))
        os.kill(pid, 0)
    except PermissionError as error:
        return None if error.filename else pid
    except (OSError, ValueError):
        return None
    return pid
