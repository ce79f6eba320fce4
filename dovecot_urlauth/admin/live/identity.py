"""Lending root's process the ids of a user for a moment, so that the kernel answers as it would that user."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@contextmanager
def lent(uid: int, gid: int, groups: Sequence[int]) -> Iterator[None]:
    """Effective ids and groups are the user's within. Raises PermissionError for all but root."""
    own = os.getgroups()
    try:
        os.setgroups(groups)
        os.setegid(gid)
        os.seteuid(uid)
        yield
    finally:
        os.seteuid(os.getuid())
        os.setegid(os.getgid())
        if os.geteuid() == 0:
            os.setgroups(own)
