"""Dovecot's ``imap`` for one user, on pipes: it stores mail, signs URLs, resets keys with that user's rights."""

from __future__ import annotations

import base64
import os
import re
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Timer
from typing import IO, TYPE_CHECKING

from dovecot_urlauth.admin.live.failure import LOG_HINT, LiveFailure
from dovecot_urlauth.store.native.names import to_mutf7

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")
REFUSED = re.compile(rb"NO \[([A-Z-]+)")
APPENDUID = re.compile(rb"\[APPENDUID (\d+) (\d+)\]")
QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"')
NAMESPACE = re.compile(rb'\* NAMESPACE \(\(("[^"]*") ')
LISTED = re.compile(rb'\* LIST \(([^)]*)\) (?:"[^"]*"|NIL) (.+)\r\n\Z', re.DOTALL)

MUTF7 = re.compile(r"&[^-]*-")

KEYLESS = (b"NONEXISTENT", b"NOPERM")
"""Why a mailbox has no key to show: it is not there, or another's."""

SEE_CHECK = "see: dovecot-urlauth check"
REMEDIES = {b"GENURLAUTH": SEE_CHECK, b"RESETKEY": SEE_CHECK}
"""What helps where URLAUTH's own commands are refused: imap names no setting."""

PART = re.compile(r"[1-9]\d*(?:\.[1-9]\d*)*\Z")
NUMBERS = re.compile(r"[\d.]*\Z")
NOTHING = re.compile(rb'BODY\[[^]]*\](?:<\d+>)? (?:NIL|""|\{0\})')
"""How Dovecot answers for what is not there."""

KEY_ENTRY = b"/private/vendor/vendor.dovecot/imap-urlauth"
"""The mailbox attribute that holds the key (lib-imap-urlauth/imap-urlauth-backend.c)."""


@dataclass(frozen=True)
class Reply:
    """What imap answered: each untagged response as bytes, its literals in their place, and the last line."""

    untagged: tuple[bytes, ...]
    tagged: bytes

    @property
    def ok(self) -> bool:
        return self.tagged.startswith(b"OK")


class OwnImap:
    """One session; use it in a ``with``."""

    def __init__(self, program: str, file: str, user: str, patience: float) -> None:
        """Start it; each command may take ``patience`` seconds. Raises LiveFailure."""
        self._user = user
        self._count = 0
        self._patience = patience
        self._timed_out = False
        try:
            self._process = subprocess.Popen(  # noqa: S603
                [program, "-c", file, "-o", "imap_metadata=yes", "-u", user],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={"PATH": "/usr/bin:/bin"},
                process_group=0,  # what is typed at the terminal to interrupt is for us
            )
        except OSError as error:
            raise LiveFailure("imap", f"{program} cannot be started: {error.strerror}") from error
        try:
            with self._deadline():
                if not self._line().startswith(b"* PREAUTH"):
                    raise self._gone()
        except LiveFailure:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the session; what imap has to say is of no use any more."""
        if self._process.stdin:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                pass
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe:
                pipe.close()
        try:
            self._process.wait(self._patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def command(self, *words: bytes, literal: bytes | None = None) -> Reply:
        """One command and its reply. Raises LiveFailure when imap is gone, or takes too long."""
        with self._deadline():
            return self._command(words, literal)

    def _command(self, words: tuple[bytes, ...], literal: bytes | None) -> Reply:
        self._count += 1
        tag = b"a%d" % self._count
        line = b" ".join((tag, *words))
        if literal is not None:
            line += b" {%d+}\r\n%s" % (len(literal), literal)
        try:
            self._input.write(line + b"\r\n")
            self._input.flush()
        except BrokenPipeError:
            raise self._gone() from None
        untagged = []
        while not (response := self._response()).startswith(tag + b" "):
            untagged.append(response)
        return Reply(tuple(untagged), response[len(tag) + 1 :].rstrip())

    def expect(self, what: str, *words: bytes, literal: bytes | None = None) -> Reply:
        """A command that must succeed. Raises LiveFailure with imap's words."""
        reply = self.command(*words, literal=literal)
        if not reply.ok:
            said = reply.tagged.decode(errors="replace")
            raise LiveFailure("imap", f"{self._user} cannot {what}: {said}", REMEDIES.get(words[0], ""))
        return reply

    def personal_prefix(self) -> str:
        """What the names of the user's own mailboxes begin with."""
        for line in self.expect("ask for its namespaces", b"NAMESPACE").untagged:
            found = NAMESPACE.match(line)
            if found:
                return found[1].strip(b'"').decode(errors="replace")
        return ""

    def mailboxes(self, pattern: bytes = b"*") -> list[bytes]:
        """The mailboxes that can be selected, quoted as they go into a command."""
        listed = [LISTED.match(line) for line in self.expect("list mailboxes", b"LIST", b'""', pattern).untagged]
        return [found[2] for found in listed if found and b"\\Noselect" not in found[1]]

    def append(self, mailbox: bytes, message: bytes) -> tuple[int, int]:
        """Store ``message``; its UIDVALIDITY and UID. Raises LiveFailure."""
        reply = self.expect("store a message", b"APPEND", mailbox, literal=message)
        found = APPENDUID.search(reply.tagged)
        if found is None:
            raise LiveFailure("imap", "no APPENDUID after APPEND")
        return int(found[1]), int(found[2])

    def sign(self, rump: str) -> str:
        """GENURLAUTH: the URL with its token. Raises LiveFailure."""
        word = b'"' + os.fsencode(rump) + b'"'
        for line in self.expect("sign a URL", b"GENURLAUTH", word, b"INTERNAL").untagged:
            if line.startswith(b"* GENURLAUTH "):
                return strings(line)[0].decode()
        raise LiveFailure("imap", "no URL after GENURLAUTH")

    def uidvalidity(self, mailbox: bytes) -> int | None:
        """A mailbox's UIDVALIDITY; None when there is no such mailbox. Raises LiveFailure with imap's words."""
        reply = self.command(b"STATUS", mailbox, b"(UIDVALIDITY)")
        refused = None if reply.ok else REFUSED.search(reply.tagged)
        if refused is not None and refused[1] != b"NONEXISTENT":  # 2.3 gives no code where there is no mailbox
            raise LiveFailure(
                "imap", f"{self._user} cannot see the mailbox: {reply.tagged.decode(errors='replace')}"
            )
        for line in reply.untagged:
            found = re.search(rb"UIDVALIDITY (\d+)", line)
            if found:
                return int(found[1])
        return None

    def key(self, mailbox: bytes) -> bytes | None:
        """A mailbox's key; None when it has none, or is not there. Raises LiveFailure where nobody can tell."""
        reply = self.command(b"GETMETADATA", mailbox, KEY_ENTRY)
        refused = None if reply.ok else REFUSED.search(reply.tagged)
        if not reply.ok and not (refused and refused[1] in KEYLESS) and self.uidvalidity(mailbox) is not None:
            said = reply.tagged.decode(errors="replace")
            place = mailbox_name(mailbox)
            raise LiveFailure("imap", f"{self._user} cannot read the key of {place}: {said}", SEE_CHECK)
        for line in reply.untagged:
            found = strings(line.partition(KEY_ENTRY)[2])
            if found:
                try:
                    return bytes.fromhex(found[0].decode())
                except ValueError:
                    return None
        return None

    def has_message(self, mailbox: bytes, uid: int) -> bool:
        """Whether a message with this UID is there; the mailbox is only looked at."""
        if not self.command(b"EXAMINE", mailbox).ok:
            return False
        return any(b"FETCH" in line for line in self.command(b"UID FETCH %d (UID)" % uid).untagged)

    def has_part(self, uid: int, part: str) -> bool:
        """Whether a message of the mailbox that was looked at last has this part.

        An empty part is there all the same, so that its header is asked for, which ends with an empty line.
        """
        if NUMBERS.match(part):
            wanted = f"{part}.MIME" if PART.match(part) else ""
        else:
            wanted = part
        if not wanted:
            return False
        reply = self.command(b"UID FETCH %d (BODY.PEEK[%s]<0.2>)" % (uid, os.fsencode(wanted)))
        return reply.ok and any(b"FETCH" in line and not NOTHING.search(line) for line in reply.untagged)

    @contextmanager
    def _deadline(self) -> Iterator[None]:
        """End imap when what is within takes longer than it may."""

        def end() -> None:
            self._timed_out = True
            self._process.kill()

        timer = Timer(self._patience, end)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    @property
    def _input(self) -> IO[bytes]:
        if self._process.stdin is None:
            raise self._gone()
        return self._process.stdin

    def _response(self) -> bytes:
        response = self._line()
        while found := LITERAL.search(response):
            size = int(found[1])
            data = self._process.stdout.read(size) if self._process.stdout else b""
            response += data + self._line()
        return response

    def _line(self) -> bytes:
        line = self._process.stdout.readline() if self._process.stdout else b""
        if not line:
            raise self._gone()
        return line

    def _gone(self) -> LiveFailure:
        if self._timed_out:
            return LiveFailure("imap", f"for {self._user}: no answer in {self._patience:g} seconds", LOG_HINT)
        said = self._process.stderr.read().decode(errors="replace").strip() if self._process.stderr else ""
        last = said.splitlines()[-1].strip() if said else "ended without a word"
        return LiveFailure("imap", f"for {self._user}: {last}")


def mailbox_word(name: str) -> bytes:
    """A mailbox's name as an IMAP command takes it: quoted mUTF-7 (RFC 3501, 5.1.3)."""
    return b'"' + to_mutf7(name).replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def mailbox_name(word: bytes) -> str:
    """The name that imap lists so; what is no mUTF-7 stays as it is."""
    listed = strings(word) if word.startswith((b'"', b"{")) else [word]
    text = (listed or [b""])[0].decode(errors="replace")
    return MUTF7.sub(lambda found: _decoded(found[0]), text)


def _decoded(piece: str) -> str:
    if piece == "&-":
        return "&"
    try:
        padded = piece[1:-1].replace(",", "/") + "=" * (-len(piece[1:-1]) % 4)
        return base64.b64decode(padded, validate=True).decode("utf-16-be")
    except ValueError:
        return piece


def strings(line: bytes) -> list[bytes]:
    """The quoted strings and literals of a response; an atom behind the last blank counts, too."""
    found: list[bytes] = []
    rest = line
    while rest:
        literal = re.search(rb"\{(\d+)\}\r\n", rest)
        quoted = QUOTED.search(rest)
        if quoted and not (literal and literal.start() < quoted.start()):
            found.append(re.sub(rb"\\(.)", rb"\1", quoted[1]))
            rest = rest[quoted.end() :]
        elif literal:
            end = literal.end() + int(literal[1])
            found.append(rest[literal.end() : end])
            rest = rest[end:]
        else:
            break
    if not found and b"imap://" in line:
        found.append(line.split()[-1])
    return found
