"""The mailbox that ``dovecot-urlauth test`` makes in a user's account, and its end, whatever comes between."""

from __future__ import annotations

import os
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dovecot_urlauth.admin.live.failure import LiveFailure
from dovecot_urlauth.admin.live.ownimap import mailbox_name, mailbox_word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dovecot_urlauth.admin.live.dovecot import LiveDovecot
    from dovecot_urlauth.admin.live.ownimap import OwnImap

STEM = "dovecot-urlauth-test-"
OLD = 600
"""Seconds after which no test can be about any more: its mailbox was left by one that was killed."""


@contextmanager
def own_mailbox(dovecot: LiveDovecot, imap: OwnImap, owner: str) -> Iterator[str]:
    """Make it, give its name, remove it. Raises LiveFailure; an error's notes name what could not be removed."""
    name = f"{imap.personal_prefix()}{STEM}{os.getpid()}"
    try:
        imap.expect("make a mailbox", b"CREATE", mailbox_word(name))
        yield name
    except BaseException as error:  # imap may be gone, or amid a command: another one is asked
        if left := _remove_anew(dovecot, owner, name):
            error.add_note(left)
        raise
    if left := _remove(imap, owner, name):
        raise LiveFailure("imap", left)


def remove_old(imap: OwnImap, owner: str) -> list[str]:
    """Remove what earlier tests had to leave; their names. A mailbox's UIDVALIDITY is when it was made.

    Raises LiveFailure, also for one that cannot be removed.
    """
    prefix = imap.personal_prefix()
    pattern = re.compile(re.escape(prefix + STEM) + r"\d+\Z")
    listed = [mailbox_name(word) for word in imap.mailboxes(mailbox_word(f"{prefix}{STEM}*"))]
    removed = []
    for name in filter(pattern.match, listed):
        made = imap.uidvalidity(mailbox_word(name))
        if made is None or made > time.time() - OLD:
            continue
        if left := _remove(imap, owner, name):
            raise LiveFailure("imap", left)
        removed.append(name)
    return removed


def _remove_anew(dovecot: LiveDovecot, owner: str, name: str) -> str:
    try:
        with dovecot.imap(owner) as imap:
            return _remove(imap, owner, name)
    except LiveFailure as failure:
        return _left(owner, name, failure.why)


def _remove(imap: OwnImap, owner: str, name: str) -> str:
    """Empty where there is no such mailbox any more, else what is left and why. Raises LiveFailure."""
    mailbox = mailbox_word(name)
    reply = imap.command(b"DELETE", mailbox)
    if reply.ok or imap.uidvalidity(mailbox) is None:
        return ""
    return _left(owner, name, reply.tagged.decode(errors="replace"))


def _left(owner: str, name: str, why: str) -> str:
    return (
        f"the mailbox {name} could not be removed ({why}); when that is mended: "
        f"doveadm mailbox delete -u {owner} {name}"
    )
