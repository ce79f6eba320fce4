"""A second session of alice's, at work on the mailbox that is asked about: logs grow and rotate, files move.

The mails of the questions stay; their flags change, and what stands before and behind them comes and goes.
"""

from __future__ import annotations

import re
from collections import Counter
from threading import Event, Thread
from typing import TYPE_CHECKING

from testing.instance import HOST
from testing.scene import MESSAGE

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from testing.imapclient import ImapClient, Reply
    from tests.dovecot.differential.arena import Arena

ELSEWHERE = "Elsewhere"
"""Where mails are moved to; only the first one stays."""

FLAGS = (rb"(\Seen)", rb"(\Flagged \Answered)", b"($Forwarded other)", rb"(\Draft third)", b"()")
APPENDED = re.compile(rb"APPENDUID \d+ (\d+)\]")
COPIED = re.compile(rb"COPYUID \d+ \S+ (\d+)\]")

MOST = 12
"""Mails of its own that are there at the same time."""
PAUSE = 0.002
"""Seconds between two changes."""


class Writer:
    """Changes things until it is left; a context manager."""

    def __init__(self, arena: Arena, passing: list[int], kept: list[int], random: Random) -> None:
        """``passing`` are UIDs before the ``kept`` ones, which are removed one by one."""
        self._arena = arena
        self._passing = passing
        self._kept = kept
        self._random = random
        self._own: list[int] = []
        self._over = Event()
        self._thread = Thread(target=self._run)
        self.done: Counter[str] = Counter()
        self.refused = 0
        self.failure = ""
        changes = [self.flag] * 6 + [self.append] * 3 + [self.move] * 2 + [self.expunge] * 2
        self._changes: list[Callable[[], None]] = [*changes, self.copy, self.rename, self.reset_key]
        self._rarely: list[Callable[[], None]] = []
        if arena.store.has_alt:
            self._rarely = [self.altmove, self.purge]

    def __enter__(self) -> Writer:
        self._imap = self._session(self._arena.mailbox)
        assert self._imap.command(b"CREATE " + ELSEWHERE.encode()).ok
        self._imap.append(ELSEWHERE, MESSAGE)
        self._elsewhere = self._session(ELSEWHERE)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._imap.close()
        self._elsewhere.close()

    def _session(self, mailbox: str) -> ImapClient:
        session = self._arena.dovecot.imap("alice", timeout=60)
        assert session.command(b'SELECT "%s"' % mailbox.encode()).ok
        return session

    def _run(self) -> None:
        try:
            at_first = [*self._rarely, *dict.fromkeys(self._changes)]
            while not self._over.wait(PAUSE):
                rarely = self._rarely if self._random.random() < 0.01 else []
                change = at_first.pop(0) if at_first else self._random.choice(rarely or self._changes)
                change()
                self.done[change.__name__] += 1
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}"
        if self.refused > self.done.total() // 2:
            self.failure = f"{self.refused} commands were refused"

    def _do(self, session: ImapClient, line: bytes) -> Reply:
        """A command; a NO is counted: Dovecot has some for who comes while the mailbox is another one."""
        reply = session.command(line)
        assert reply.status != b"BAD", (line, reply)
        self.refused += not reply.ok
        return reply

    # -- changes

    def flag(self) -> None:
        """Other flags for a mail that may be asked for."""
        uid = self._random.choice(self._kept)
        self._do(self._imap, b"UID STORE %d FLAGS %s" % (uid, self._random.choice(FLAGS)))

    def append(self) -> None:
        """A mail behind all others."""
        message = b"Subject: new\r\n\r\n" + b"line\r\n" * self._random.randint(0, 1000)
        reply = self._imap.command(b'APPEND "%s" {}' % self._arena.mailbox.encode(), message)
        if found := APPENDED.search(reply.text):
            self._own.append(int(found[1]))
        else:
            self.refused += 1

    def copy(self) -> None:
        """One that may be asked for, once more: mdbox has then two references to it."""
        uid = self._random.choice(self._kept)
        reply = self._do(self._imap, b'UID COPY %d "%s"' % (uid, self._arena.mailbox.encode()))
        if found := COPIED.search(reply.text):
            self._own.append(int(found[1]))

    def move(self) -> None:
        """One of its own, to the other mailbox; what is there goes when it is much."""
        if self._own:
            uid = self._own.pop(self._random.randrange(len(self._own)))
            self._do(self._imap, b"UID MOVE %d %s" % (uid, ELSEWHERE.encode()))
        if self._random.random() < 0.1:
            self._do(self._elsewhere, rb"UID STORE 2:4294967294 +FLAGS (\Deleted)")
            self._do(self._elsewhere, b"EXPUNGE")

    def expunge(self) -> None:
        """One from before the mails of the questions, which then have other numbers, and some of its own."""
        uids = [self._passing.pop()] if self._passing else []
        while len(self._own) > MOST or (self._own and self._random.random() < 0.5):
            uids.append(self._own.pop(0))
        if uids:
            listed = b",".join(b"%d" % uid for uid in uids)
            self._do(self._imap, rb"UID STORE %s +FLAGS (\Deleted)" % listed)
            self._do(self._imap, b"UID EXPUNGE " + listed)

    def rename(self) -> None:
        """A mailbox that comes, gets another name, and goes."""
        for command in (b"CREATE Passing", b"RENAME Passing Past", b"DELETE Past"):
            self._do(self._elsewhere, command)

    def reset_key(self) -> None:
        """Another mailbox's key: the dictionary is written anew."""
        rump = f"imap://alice@{HOST}/{ELSEWHERE}/;UID=1;URLAUTH=user+bob"
        self._do(self._elsewhere, b'GENURLAUTH "%s" INTERNAL' % rump.encode())
        self._do(self._elsewhere, b"RESETKEY " + ELSEWHERE.encode())

    def altmove(self) -> None:
        """Some that may be asked for, to the second storage or back."""
        first = self._random.randrange(len(self._kept))
        uids = ",".join(str(uid) for uid in self._kept[first : first + 40 : 3])
        back = self._random.choice(((), ("-r",)))
        self._arena.dovecot.doveadm("altmove", "alice", *back, "mailbox", self._arena.mailbox, "uid", uids)

    def purge(self) -> None:
        """Mdbox: what is expunged leaves its files, and what stays there is written elsewhere."""
        self._arena.dovecot.doveadm("purge", "alice")
