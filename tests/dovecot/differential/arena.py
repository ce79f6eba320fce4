"""One Dovecot with the stock worker and ours over the same store, and the mail that they are asked for."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from dovecot_urlauth.wire.tabescape import unescape
from testing.instance import HOST, DovecotInstance
from testing.oracle import STOCK_WORKER, WORKER, Answer, WorkerLost, WorkerSession, sign
from testing.scene import MESSAGE, Stored
from testing.versions import PIECES, TUNED
from tests.dovecot.differential.compare import Exchange
from tests.dovecot.differential.names import MAILBOX
from tests.dovecot.differential.writer import Writer
from tests.store.native.compressing import COMPRESS

if TYPE_CHECKING:
    from random import Random

    from dovecot_urlauth.url.access import Accessor
    from testing.executables import Installation
    from testing.imapclient import ImapClient
    from testing.versions import Version
    from tests.dovecot.differential.mail_store import MailStore
    from tests.dovecot.differential.questions import Question

#: Seconds after which a worker is taken for silent; the stock one sometimes is for ever.
PATIENCE = {STOCK_WORKER: 2.0, WORKER: 15.0}

#: And until one has begun, on a machine that has much else to do.
STARTING = 60.0

#: With a message of more bytes than this a worker may just be slow.
LARGE = 50_000
LARGE_PATIENCE = 40.0

#: Mails that the writer removes, before those that are asked for.
PASSING = 100

#: What is stored instead of a message without a byte, which imap refuses.
EMPTY = b"\r\n"

ACL_NEUTRAL = "anyone l\nuser=bob lr\n"
ACL_ALLOWS = "owner lrw\n-user=alice w\n"
ACL_DENIES = "owner lr\n-user=alice r\n"

#: Where alice is not the owner.
ACL_ALLOWS_ALL = "anyone l\nauthenticated lr\n"
ACL_ALLOWS_OTHERS = "user=alice lrw\n-user=alice w\n"
ACL_DENIES_ONE = "anyone lr\n-user=alice r\n"

#: Alarming lines of ours.
COMPLAINT = re.compile(r"imap-urlauth-worker.*(?:Error|Fatal|Panic|Traceback)")


class Respondent:
    """A worker that is asked one question after the other, and begun anew when it ends."""

    def __init__(self, dovecot: DovecotInstance, name: str) -> None:
        self._dovecot = dovecot
        self._name = name
        self._sessions: dict[Accessor, WorkerSession] = {}

    def ask(self, question: Question, patience: float = 0.0) -> Answer | None:
        """The answer; None if the worker ended, or fell silent, instead of completing one."""
        for fresh in (question.accessor not in self._sessions, True):
            session = self._sessions.get(question.accessor) or self._start(question.accessor)
            session.set_timeout(patience or PATIENCE[self._name])
            try:
                return session.fetch(question.line, *question.items)
            except TimeoutError:
                fresh = True
                self._end_those_that_spin()
            except (WorkerLost, OSError):
                # the stock worker ends after some NOs, which only the next question finds out
                pass
            self._sessions.pop(question.accessor).close()
            if fresh:
                break
        return None

    def _start(self, accessor: Accessor) -> WorkerSession:
        session = self._sessions[accessor] = WorkerSession(self._dovecot, self._name, STARTING)
        applications = [b"apps=" + b",".join(accessor.applications)] if accessor.applications else []
        session.access(accessor.user or b"", accessor.service, *applications)
        assert session.select(b"alice") == b"OK\n"
        return session

    def close(self) -> None:
        while self._sessions:
            self._sessions.popitem()[1].close()

    def _end_those_that_spin(self) -> None:
        """A stock worker that fell silent may compute for ever; others of it lose their sessions, too."""
        if self._name == STOCK_WORKER:
            for process in self._dovecot.processes():
                with suppress(FileNotFoundError, ProcessLookupError):
                    if os.path.basename(os.readlink(f"/proc/{process.pid}/exe")) == PIECES[2]:
                        process.kill()


class Prepared(DovecotInstance):
    """A Dovecot with what a store needs beside its settings."""

    store: MailStore

    def _write_users(self) -> None:
        super()._write_users()
        self.store.prepare(self)
        users = self.folder / "users"
        text = users.read_text()
        alice = text.partition("\n")[0]
        for saver in self.store.savers:
            text += f"{alice.replace('alice', self.saver(saver.name), 1)}{saver.fields(self.version)}\n"
        users.write_text(text)

    def saver(self, name: str) -> str:
        """The user who saves in this way."""
        return f"alice-{name}" if name else "alice"


class Arena:
    """Starts the Dovecot; a context manager that stops it."""

    def __init__(self, version: Version, installation: Installation, store: MailStore) -> None:
        self.store = store
        self.dovecot = Prepared(version, TUNED, installation)
        self.dovecot.store = store
        self.dovecot.extra = store.settings(version, installation, self.dovecot.inside)
        self.keys: dict[str, bytes] = {}
        self._respondents = [Respondent(self.dovecot, name) for name in (STOCK_WORKER, WORKER)]
        self.mailbox = store.names.mailbox
        self._savers: list[ImapClient] = []
        self._passing: list[int] = []
        self._uidvalidity = 0
        self._delivered = 0
        self.messages: dict[Stored, bytes] = {}

    def __enter__(self) -> Arena:
        self.dovecot.start()
        try:
            for name in ("", *(saver.name for saver in self.store.savers)):
                self._savers.append(self.dovecot.imap(self.dovecot.saver(name), timeout=120))
            self._imap = self._savers[0]
            for in_url, name in self.store.names.existing.items():
                self.keys[name] = self._mailbox(name, in_url)
            if self.store.has_acl:
                self._write_acls()
            if self.store.has_writer:
                self._passing = [self._imap.append(self.mailbox, MESSAGE)[1] for _ in range(PASSING)]
                self._delivered = self._passing[-1]
        except BaseException:
            self.dovecot.stop(check=False)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for respondent in self._respondents:
            respondent.close()
        for session in self._savers:
            session.close()
        self.dovecot.stop(check=False)

    def _mailbox(self, name: str, in_url: str) -> bytes:
        """Make a mailbox with one message; return its key."""
        if name != "INBOX":
            assert self._imap.command(b'CREATE "%s"' % name.encode()).ok
        uidvalidity, uid = self._imap.append(name, MESSAGE)
        if name == self.mailbox:
            self._uidvalidity, self._delivered = uidvalidity, uid
        rump = f"imap://alice@{HOST}/{in_url}/;UID=1;URLAUTH=user+bob"
        [signed] = self._imap.genurlauth(rump)
        [key] = [key for key in self.store.keys(self.dovecot) if sign(rump.encode(), key) == signed]
        return key

    def _write_acls(self) -> None:
        """The mailbox of the questions may be read; of the others the last one may not."""
        names = [name for name in self.keys if name != self.mailbox]
        acls = {"INBOX": ACL_NEUTRAL, self.mailbox: ACL_ALLOWS, names[-1]: ACL_DENIES}
        if self.store.names.prefix:
            acls = dict.fromkeys(names, ACL_ALLOWS_ALL) | {
                self.mailbox: ACL_ALLOWS_OTHERS,
                names[-1]: ACL_DENIES_ONE,
            }
        for name, text in acls.items():
            (self.dovecot.home("alice") / self.store.folder(name) / "dovecot-acl").write_text(text)

    def put(self, messages: list[bytes]) -> list[Stored]:
        """Deliver messages; where each is stored. Workers look into the mailbox anew."""
        for respondent in self._respondents:
            respondent.close()
        first = self._delivered + 1
        uids = list(range(first, first + len(messages)))
        for place, message in enumerate(messages):
            if self.store.takes_files:
                method = self.store.methods[place % len(self.store.methods)]
                stored = COMPRESS[method](message) if method else message
                self.dovecot.deliver("alice", stored, str(1_700_000_000 + uids[place]), f".{MAILBOX}")
            else:
                # in an mbox file a message may turn out to be two
                saver = self._savers[place % len(self._savers)]
                uids[place] = saver.append(self.mailbox, message or EMPTY)[1]
        self._delivered = uids[-1]
        if self.store.has_alt:
            self._move_some(first)
        reply = self._imap.command(b"STATUS %s (UIDNEXT)" % self.mailbox.encode())
        assert self.store.name.startswith("mbox") or reply.all(b"STATUS")[0][1][1] == b"%d" % (uids[-1] + 1), reply
        places = [Stored("alice", self.mailbox, self._uidvalidity, uid) for uid in uids]
        self.messages.update(zip(places, messages))
        return places

    def writer(self, random: Random) -> Writer:
        """Somebody who changes the mailbox, but for the mails that are asked for."""
        return Writer(self, self._passing, [stored.uid for stored in self.messages], random)

    def _move_some(self, first: int) -> None:
        """Every third message goes to the second storage; mdbox then moves what stays behind in the same files."""
        uids = ",".join(str(uid) for uid in range(first, self._delivered + 1, 3))
        self.dovecot.doveadm("altmove", "alice", "mailbox", MAILBOX, "uid", uids)
        self.dovecot.doveadm("purge", "alice")

    def ask(self, question: Question) -> Exchange:
        """What the stock worker answers, and what ours does."""
        message = self.messages.get(question.stored) if question.stored else None
        patience = LARGE_PATIENCE if message and len(message) > LARGE else 0.0
        stock, ours = (respondent.ask(question, patience) for respondent in self._respondents)
        exchange = Exchange(question, stock, ours, message, is_imaps=self.store.read_by == "dovecot")
        if not question.partial or stock is None or ours is None or stock.content == ours.content:
            return exchange
        assert question.stored
        whole = question.whole(self.keys[question.stored.mailbox])
        return replace(exchange, stock_whole=self._respondents[0].ask(whole, patience))

    def ask_again(self, question: Question) -> Exchange:
        """The same question in new sessions."""
        for respondent in self._respondents:
            respondent.close()
        return self.ask(question)

    def complaints(self) -> list[str]:
        """The lines that our worker logged as errors so far."""
        return [line for line in self.dovecot.log.lines() if COMPLAINT.search(line)]


def shown(answer: Answer | None, most: int = 1500) -> str:
    """An answer for a human reader."""
    if answer is None:
        return "ended or silent"
    words = " ".join(repr(unescape(word))[2:-1][:most] for word in answer.words)
    return f"{words} {len(answer.content)} bytes {answer.content[:most]!r}"
