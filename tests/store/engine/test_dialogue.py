"""Everything that can go wrong between us and the engine, played by a stub of it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dovecot_urlauth.message.errors import InvalidSection, PartMissing, Undecodable
from dovecot_urlauth.message.request import Request
from dovecot_urlauth.service.loop import Loop
from dovecot_urlauth.store.engine import dialogue, engine, imap_process
from dovecot_urlauth.store.engine.dialogue import EngineSession
from dovecot_urlauth.store.engine.engine import EngineStore
from dovecot_urlauth.store.engine.imap_process import Command, EngineGone, EngineProcess
from dovecot_urlauth.store.errors import MailboxMissing, MailboxRefused, ReadFailed, StoreFailure
from dovecot_urlauth.store.store import Ahead
from dovecot_urlauth.wire.imapdialogue import STEP, Status, UrlFetch
from tests.store.waiting import LOOP, gather, open_mailbox, wait, whole

STUB = """#!{python} -IS
import os, sys, time

def say(text):
    os.write(1, text)

def hear():
    line = hear_line()
    while looks and line.split()[1] == b"EXAMINE":
        say(b"* OK [UIDNEXT 4] Predicted next UID\\r\\n" + line.split()[0] + b" OK\\r\\n")
        line = hear_line()
    return line.split()[0], line

def hear_line():
    line = b""
    while not line.endswith(b"\\n"):
        byte = os.read(0, 1)
        if not byte:
            os._exit(0)
        line += byte
    return line

def ok():
    tag, line = hear()
    say(tag + b" OK Done.\\r\\n")
    return line

def metadata(text=b'"' + b"ab" * 64 + b'"'):
    tag, line = hear()
    assert b"GETMETADATA" in line, line
    say(b"* METADATA INBOX (/private/vendor/vendor.dovecot/imap-urlauth " + text + b")\\r\\n" + tag + b" OK\\r\\n")

def urlfetch(answer, end=b""):
    tag, line = hear()
    assert b"URLFETCH" in line, line
    url = line.split(b'"')[1]
    say(b"* URLFETCH " + url + b" " + answer.replace(b"@", url) + b"\\r\\n" * (not end) + end)
    if not end:
        say(tag + b" OK\\r\\n")

def complain(text):
    os.write(2, text)

looks = True
GREETING = b"* PREAUTH [CAPABILITY IMAP4rev1] Logged in as alice\\r\\n"
{scene}
"""

WHOLE = Request(b"")


class Stage:
    """Writes stubs and remembers what was logged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logged: list[str] = []
        self.opened: list[EngineSession | EngineStore] = []

    def command(self, scene: str) -> Command:
        program = self.folder / "imap"
        program.write_text(STUB.format(python=sys.executable, scene=scene))
        program.chmod(0o755)
        return Command(os.fsencode(program), (b"imap",), {b"KEPT": b"yes"}, None)

    def session(self, scene: str, seconds: float = 10.0) -> EngineSession:
        session = EngineSession(self.command(scene), self.logged.append, LOOP, seconds)
        self.opened.append(session)
        return session

    def store(self, scene: str) -> EngineStore:
        store = EngineStore(b"alice", self.command(scene), self.logged.append, LOOP)
        self.opened.append(store)
        return store


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """No engine and no descriptor is left behind, whatever happened."""
    before = set(os.listdir("/proc/self/fd"))
    stage = Stage(tmp_path)
    yield stage
    for opened in stage.opened:
        opened.close()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert set(os.listdir("/proc/self/fd")) <= before


def test_a_command_and_its_end(stage: Stage) -> None:
    session = stage.session("say(GREETING); ok(); line = ok(); say(b'* BYE Idle.\\r\\n')")
    assert session.usable
    assert wait(session.call(b"CHECK")).status == Status(b"u1", b"OK", b"", b"Done.")
    assert wait(session.call(b"CHECK")).events == ()
    deadline = time.monotonic() + 10
    while session.usable:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("scene", "text"),
    [
        ("complain(b'imap: Fatal: Unknown user\\n'); sys.exit(89)", "imap died: imap: Fatal: Unknown user"),
        ("", "imap died"),
        ("say(b'* BYE Go away.\\r\\n'); hear()", "imap: Go away."),
        ("say(b'* OK Log in, please.\\r\\n'); hear()", "imap: Log in, please."),
        ("say(b'hello\\r\\n'); hear()", "imap: Unexpected IMAP response"),
        ("say(GREETING); hear()", "imap died"),
        ("say(GREETING); hear(); say(b'u7 OK\\r\\n'); hear()", "imap: answered another command than was sent"),
        ("say(GREETING); hear(); say(b'* BYE Killed.\\r\\n'); hear()", "imap: Killed."),
        ("say(GREETING); hear(); say(b'* METADATA {5}\\r\\nab'); sys.exit()", "imap died"),
        ("say(GREETING); hear(); say(b'* METADATA oops\\r\\n'); hear()", "imap: Malformed IMAP response"),
    ],
)
def test_failures_have_a_reason(stage: Stage, scene: str, text: str) -> None:
    session = stage.session(scene)
    with pytest.raises(StoreFailure) as failure:
        wait(session.call(b"CHECK"))
    assert failure.value.text == text
    assert not session.usable


def test_silence_has_a_limit(stage: Stage) -> None:
    session = stage.session("say(GREETING); time.sleep(30)", seconds=0.2)
    started = time.monotonic()
    with pytest.raises(StoreFailure, match=r"no answer for 0\.2 seconds"):
        wait(session.call(b"CHECK"))
    session.close()
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("remark", ["b'* OK Still here.\\r\\n'", "b'* 1 EXISTS\\r\\n'", "b'*'"])
def test_remarks_are_no_answer(stage: Stage, remark: str) -> None:
    """Whoever said something now and then kept a URL for ever."""
    scene = f"say(GREETING); hear()\nfor _ in range(300): say({remark}); time.sleep(0.02)\nsay(b'u1 OK\\r\\n')"
    session = stage.session(scene, seconds=0.5)
    with pytest.raises(StoreFailure, match=r"no answer for 0\.5 seconds"):
        wait(session.call(b"CHECK"))


def test_content_may_take_longer_than_an_answer(stage: Stage) -> None:
    """It is silence that ends it."""
    scene = """
say(GREETING)
tag, _ = hear()
say(b"* URLFETCH u (BODY {20}\\r\\n")
for _ in range(20): say(b"x"); time.sleep(0.1)
say(b")\\r\\n" + tag + b" OK\\r\\n")
"""
    session = stage.session(scene, seconds=1.5)
    session.send(b"URLFETCH u")
    assert isinstance(wait(session.next_event()), UrlFetch)
    assert b"".join(wait(gather(session.content(20)))) == b"x" * 20


@pytest.mark.parametrize("limit", ["MOST_EVENTS", "MOST_BYTES"])
def test_remarks_have_an_end(stage: Stage, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(dialogue, limit, 100_000)
    remark = "b'* OK x\\r\\n'" if limit == "MOST_EVENTS" else "b'* 1 EXISTS\\r\\n'"
    session = stage.session(
        f"say(GREETING); hear()\nfor _ in range(3000): say({remark} * 100)\nsay(b'u1 OK\\r\\n')"
    )
    with pytest.raises(StoreFailure, match="too long"):
        wait(session.call(b"CHECK"))


class Said:
    """An engine that has said everything before anybody asks."""

    host = b"localhost"
    is_remote = False
    last_complaint = ""

    def __init__(self, text: bytes) -> None:
        self.text = text

    def start(self, log: Callable[[str], None], loop: Loop) -> Said:
        return self

    def send(self, line: bytes) -> None:
        """Nothing that it has not expected."""

    async def read(self, seconds: float) -> bytes:
        return self.text

    def has_spoken(self) -> bool:
        return False

    def has_refused(self) -> bool:
        return False

    def close(self) -> None:
        """Nothing is open."""

    kill = close


def test_a_long_structure_leaves_others_their_turn() -> None:
    structure = b'"a" "1" ' * 5 * STEP
    said = b"* PREAUTH Hi\r\n* URLFETCH u (BODYPARTSTRUCTURE (%s))\r\nu1 OK\r\n" % structure
    session = EngineSession(Said(said), print, LOOP)
    session.send(b"URLFETCH")
    turns = 0

    async def fetch() -> UrlFetch:
        nonlocal turns
        task = LOOP.spawn(session.next_event())
        while not task.ended:
            turns += 1
            await LOOP.turn()
        event = await task.join(0)
        assert isinstance(event, UrlFetch)
        return event

    assert wait(fetch()).structure == structure
    assert turns >= 10


def test_slow_is_not_silent(stage: Stage) -> None:
    scene = "say(GREETING); t, _ = hear()\nfor b in t + b' OK Done.\\r\\n': time.sleep(0.05); say(bytes([b]))"
    assert wait(stage.session(scene, seconds=5).call(b"CHECK")).status.text == b"Done."


def test_an_engine_that_will_not_go_is_killed(stage: Stage) -> None:
    session = stage.session("say(GREETING); ok(); os.close(0); time.sleep(60)")
    wait(session.call(b"CHECK"))
    started = time.monotonic()
    session.close()
    assert time.monotonic() - started < 5


def test_an_engine_that_outlives_its_end_keeps_nobody_waiting(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a call to a file server that has gone even SIGKILL is not heard; here nobody sends it."""
    monkeypatch.setattr(imap_process, "LONGEST_BURIAL", 0.0)
    monkeypatch.setattr(os, "kill", lambda pid, number: None)
    free = stage.folder / "free"
    wait_for = f"for _ in range(3000): os.path.exists({str(free)!r}) and sys.exit(); time.sleep(0.01)"
    session = stage.session(f"say(GREETING); ok()\n{wait_for}")
    wait(session.call(b"CHECK"))
    process = session._process
    assert isinstance(process, EngineProcess)

    async def kill() -> None:
        session.kill()
        assert os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        free.touch()
        deadline = time.monotonic() + 20
        while is_there(process.pid):
            assert time.monotonic() < deadline
            await LOOP.sleep(0.01)

    wait(kill())


def is_there(pid: int) -> bool:
    """Whether a child runs, or has ended and nobody has waited for it."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def test_an_engine_that_is_killed_at_the_very_end(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """No task runs any more: it is waited for, and not for ever."""
    session = stage.session("say(GREETING); ok(); time.sleep(60)")
    wait(session.call(b"CHECK"))
    process = session._process
    assert isinstance(process, EngineProcess)
    with monkeypatch.context() as patched:
        patched.setattr(imap_process, "LONGEST_BURIAL", 0.05)
        patched.setattr(os, "kill", lambda pid, number: None)
        session.kill()
    assert is_there(process.pid)
    os.kill(process.pid, 9)
    process._bury()
    assert not is_there(process.pid)


def test_an_engine_may_take_its_leave(stage: Stage) -> None:
    scene = f"say(GREETING); ok(); os.read(0, 1); open({str(stage.folder / 'left')!r}, 'w').close()"
    session = stage.session(scene)
    wait(session.call(b"CHECK"))
    session.close()
    assert (stage.folder / "left").exists()


def test_complaints_are_kept_short(stage: Stage) -> None:
    scene = (
        "complain(b'imap: Info: hello\\n' + b'imap: Error: bad\\n' * 5000 + b'imap: Error: ' + b'x' * 300000)\n"
        "complain(b'\\nimap: Debug: x\\nimap: Panic: p\\nimap: Error: Raw backtrace: y\\nunfinished')"
    )
    session = stage.session(scene)
    with pytest.raises(EngineGone):
        wait(session.call(b"CHECK"))
    assert len(stage.logged) <= 20
    assert set(stage.logged) == {"imap: Error: bad"}
    assert session.last_complaint == "unfinished"


def test_complaints_do_not_block_the_engine(stage: Stage) -> None:
    scene = "say(GREETING)\nt, _ = hear()\ncomplain(b'imap: Error: x\\n' * 100000)\nsay(t + b' OK\\r\\n'); hear()"
    assert wait(stage.session(scene).call(b"CHECK")).status.condition == b"OK"


def test_content_is_streamed(stage: Stage) -> None:
    scene = """
say(GREETING)
tag, _ = hear()
say(b"* URLFETCH u (BODY {30000000}\\r\\n")
for _ in range(300): say(bytes(100000))
say(b")\\r\\n" + tag + b" OK\\r\\n")
ok()
"""
    session = stage.session(scene)
    session.send(b"URLFETCH")
    assert wait(session.next_event()) == UrlFetch(b"u", True, None, 30_000_000, False)
    assert not session.usable
    sizes = [len(chunk) for chunk in wait(gather(session.content(30_000_000)))]
    assert sum(sizes) == 30_000_000
    assert max(sizes) <= 256 * 1024
    assert session.usable
    assert wait(session.call(b"CHECK")).status.condition == b"OK"


def test_content_may_come_with_its_announcement(stage: Stage) -> None:
    session = stage.session(
        "say(GREETING); t, _ = hear(); say(b'* URLFETCH u (BODY {2}\\r\\nhi)\\r\\n' + t + b' OK\\r\\n'); hear()"
    )
    session.send(b"URLFETCH")
    wait(session.next_event())
    assert wait(gather(session.content(2))) == [b"hi"]
    assert session.usable


async def take(chunks: AsyncIterator[bytes], taken: list[bytes]) -> None:
    async for chunk in chunks:
        taken.append(chunk)


@pytest.mark.parametrize(
    "end",
    ["sys.exit()", "os.kill(os.getpid(), 9)", "time.sleep(60)", "say(b'x' * 500 + b'trailing\\r\\n'); hear()"],
)
def test_content_that_never_ends_well(stage: Stage, end: str) -> None:
    scene = f"say(GREETING); hear(); say(b'* URLFETCH u (BODY {{1000}}\\r\\n' + b'x' * 500); {end}"
    session = stage.session(scene, seconds=0.5)
    session.send(b"URLFETCH")
    wait(session.next_event())
    taken: list[bytes] = []
    with pytest.raises(StoreFailure):
        wait(take(session.content(1000), taken))
    assert len(b"".join(taken)) < 1000
    assert not session.usable


def test_the_engine_gets_nothing_of_ours(stage: Stage) -> None:
    inheritable = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(inheritable, True)
    scene = """
say(GREETING)
tag, _ = hear()
fds = os.listdir("/proc/self/fd")
del os.environ["LC_CTYPE"]  # the interpreter's own
say(b"* NO %d %s\\r\\n" % (len(fds), repr(sorted(os.environb.items())).encode()))
say(tag + b" OK\\r\\n")
hear()
"""
    session = stage.session(scene)
    event = wait(session.call(b"CHECK")).events[0]
    os.close(inheritable)
    assert isinstance(event, Status)
    count, _, environment = event.text.partition(b" ")
    assert int(count) == 3 + 1  # and the folder that is listed
    assert environment == b"[(b'KEPT', b'yes')]"


def test_no_such_program(stage: Stage) -> None:
    command = Command(os.fsencode(stage.folder / "none"), (b"imap",), {}, None)
    with pytest.raises(StoreFailure, match=r"^execve\(.*/none\) failed: No such file or directory$"):
        EngineSession(command, stage.logged.append, LOOP)


def fetch(store: EngineStore, request: Request = WHOLE) -> bytes:
    content = wait(open_mailbox(store, b"INBOX").fetch(1, request))
    return wait(whole(content))


ONCE = "say(GREETING); metadata(); urlfetch(b'(BODY {2}\\r\\nhi)')"


def test_an_engine_that_left_is_replaced(stage: Stage) -> None:
    store = stage.store(ONCE)
    assert fetch(store) == b"hi"
    time.sleep(0.3)
    assert fetch(store) == b"hi"


@pytest.mark.parametrize(
    "give_up",
    [
        lambda chunks: None,
        lambda chunks: wait(anext(chunks)),
        lambda chunks: (wait(anext(chunks)), wait(chunks.aclose())),
    ],
    ids=["unread", "begun", "closed"],
)
def test_an_aborted_transfer_does_not_spoil_the_next(stage: Stage, give_up: Callable[[Any], object]) -> None:
    scene = "say(GREETING); metadata(); urlfetch(b'', b'(BODY {9999999}\\r\\n' + b'x' * 1000); time.sleep(60)"
    store = stage.store(scene)
    chunks = wait(open_mailbox(store, b"INBOX").fetch(1, WHOLE)).chunks
    give_up(chunks)
    mailbox = open_mailbox(store, b"INBOX")
    assert wait(mailbox.key()) == b"\xab" * 64


@pytest.mark.parametrize(
    ("value", "key"),
    [(b"NIL", None), (b'"' + b"0F" * 64 + b'"', b"\x0f" * 64), (b"{128}\r\n" + b"00" * 64, bytes(64))],
)
def test_key(stage: Stage, value: bytes, key: bytes | None) -> None:
    store = stage.store(f"say(GREETING); metadata({value!r}); hear()")
    assert wait(open_mailbox(store, b"INBOX").key()) == key


@pytest.mark.parametrize("value", [b'"' + b"0" * 127 + b'"', b'"' + b"0x" * 64 + b'"', b'""'])
def test_an_invalid_key(stage: Stage, value: bytes) -> None:
    store = stage.store(f"say(GREETING); metadata({value!r}); hear()")
    with pytest.raises(StoreFailure, match=r"^imap-urlauth: key found for mailbox INBOX is invalid$"):
        open_mailbox(store, b"INBOX")


@pytest.mark.parametrize(
    ("said", "error", "text"),
    [
        (b"NO [CANNOT] Bad name: x (0.001 + 0.000 secs).", MailboxRefused, "Bad name: x"),
        (b"NO [NONEXISTENT] Nope (really).", MailboxMissing, "Nope (really)"),
        (b"NO Mailbox doesn't exist: x (0.001 secs).", MailboxMissing, "Mailbox doesn't exist: x"),
        (b"NO [SERVERBUG] Internal error.", StoreFailure, "imap: Refused."),
        (b"OK Fine.", StoreFailure, "imap: Refused."),
    ],
)
def test_why_a_mailbox_does_not_open(stage: Stage, said: bytes, error: type[Exception], text: str) -> None:
    scene = f"""
looks = False
say(GREETING)
tag, _ = hear()
say(tag + b" NO Refused.\\r\\n")
tag, line = hear()
assert b"EXAMINE" in line
say(tag + b" " + {said!r} + b"\\r\\n")
hear()
"""
    store = stage.store(scene)
    with pytest.raises(error) as raised:
        open_mailbox(store, b"x")
    assert type(raised.value) is error
    assert raised.value.text == text  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [b"\xff", b"", b"a\nb", b"a\0", b"x" * 4097, b"\xed\xa0\x80"], ids=repr)
def test_names_that_the_engine_never_sees(stage: Stage, name: bytes) -> None:
    store = stage.store("sys.exit('started')")
    with pytest.raises(MailboxMissing):
        open_mailbox(store, name)
    assert not stage.logged


def test_each_mailbox_has_its_own_name(stage: Stage) -> None:
    """The last one's is remembered."""
    store = stage.store(TOGETHER + "while True: answer_together()")
    opened = [wait(store.open(name, 0)) for name in (b"a", b"a", "ä".encode(), b"a")]
    assert [mailbox._quoted for mailbox in opened] == [b'"a"', b'"a"', b'"&AOQ-"', b'"a"']
    with pytest.raises(MailboxMissing):
        wait(store.open(b"", 0))


def test_text_of_a_message_that_is_not_there(stage: Stage) -> None:
    answer = b'NIL\r\n* NO Failed to read URLAUTH "@": Message not found.'
    store = stage.store(
        f"say(GREETING); metadata(); urlfetch({answer!r}); metadata(); urlfetch({answer!r}); hear()"
    )
    for _ in range(2):
        with pytest.raises(ReadFailed) as raised:
            fetch(store)
        assert raised.value.text == "Message not found"


def test_an_engine_that_was_used_looks_again(stage: Stage) -> None:
    """It has the mailbox's indexes open, and would not see what came or went."""
    again = "line = hear_line(); complain(line); say(line.split()[0] + b' OK\\r\\n')"
    store = stage.store(f"say(GREETING); metadata(); {again}; metadata(); hear()")
    open_mailbox(store, b"INBOX")
    assert not stage.logged
    open_mailbox(store, b"INBOX")
    assert [line.partition(" ")[2] for line in stage.logged] == ['EXAMINE "INBOX"\r']


TOGETHER = """
def hear_together():
    lines = os.read(0, 65536).splitlines()
    complain(b"+".join(line.split()[1] for line in lines) + b"\\n")
    return [(line.split()[0], line) for line in lines]

def answer_together(key=b"ab" * 64, content=b"{2}\\r\\nhi", fetched=b"BODY[] {2}\\r\\nho"):
    for tag, line in hear_together():
        if b"GETMETADATA" in line:
            say(b'* METADATA INBOX (/x "' + key + b'")\\r\\n')
        if b"URLFETCH" in line:
            say(b"* URLFETCH u (BODY " + content + b")\\r\\n")
        if b"UID FETCH" in line and fetched:
            say(b"* 5 EXISTS\\r\\n* 1 FETCH (UID " + line.split()[3] + b" " + fetched + b")\\r\\n")
        say(tag + b" OK\\r\\n")

say(GREETING)
"""
"""What reads all commands that were sent together, notes them, and answers them in turn."""


def ahead(key: bytes = b"\xab" * 64, request: Request = WHOLE) -> Ahead:
    return Ahead(1, request, lambda found: found == key)


def fetch_ahead(store: EngineStore, wished: Ahead) -> bytes:
    mailbox = wait(store.open(b"INBOX", 0, wished))
    return wait(whole(wait(mailbox.fetch(wished.uid, wished.request))))


def test_a_repeated_fetch_is_asked_for_at_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogue, "LOOK_SECONDS", 0.0)
    store = stage.store(TOGETHER + "while True: answer_together()")
    assert fetch_ahead(store, ahead()) == b"hi"
    assert stage.logged == ["GETMETADATA", "URLFETCH"]
    for number in (3, 4):
        assert fetch_ahead(store, ahead()) == b"hi"
        assert stage.logged[2:] == ["EXAMINE+URLFETCH"] * (number - 2)


def test_a_row_of_urls_is_looked_for_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """And read from what was opened then, if the key is the same still."""
    monkeypatch.setattr(dialogue, "LOOK_SECONDS", 60.0)
    store = stage.store(TOGETHER + "while True: answer_together()")
    assert [fetch_ahead(store, ahead()) for _ in range(4)] == [b"hi", b"hi", b"ho", b"ho"]
    assert stage.logged[2:] == ["EXAMINE+URLFETCH", *["GETMETADATA", "UID"] * 2]
    open_mailbox(store, b"other")
    open_mailbox(store, b"INBOX")
    assert stage.logged[7:] == ["EXAMINE+GETMETADATA"] * 2


def in_a_row(stage: Stage, then: str) -> EngineStore:
    """A store whose engine has the mailbox open and goes on with ``then``; what was logged before is gone."""
    store = stage.store(TOGETHER + "answer_together()\n" * 3 + then)
    for _ in range(2):
        assert fetch_ahead(store, ahead()) == b"hi"
    stage.logged.clear()
    return store


@pytest.mark.parametrize(
    ("request_", "command"),
    [
        (WHOLE, b"BODY.PEEK[]"),
        (Request(b"1.2"), b"BODY.PEEK[1.2]"),
        (Request(b"1.header"), b"BODY.PEEK[1.header]"),
        (Request(b"1", binary=True), b"BINARY.PEEK[1]"),
        (Request(b"1", 3, 4, body=False, binary=True), b"BINARY.PEEK[1]<3.4>"),
        (Request(b"", 0, 4), b"BODY.PEEK[]<0.4>"),
    ],
    ids=repr,
)
def test_what_can_be_read_from_what_is_open(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, request_: Request, command: bytes
) -> None:
    monkeypatch.setattr(dialogue, "LOOK_SECONDS", 60.0)
    store = in_a_row(
        stage,
        "answer_together()\nline = hear_line(); complain(line)\n"
        "say(b'* 1 FETCH (UID 1 BINARY[1] ~{2}\\r\\nho)\\r\\n' + line.split()[0] + b' OK\\r\\n')\nhear()",
    )
    wished = ahead(request=request_)
    found = wait(wait(store.open(b"INBOX", 0, wished)).fetch(1, wished.request))
    assert (found.whole, found.has_nuls, found.structure) == (b"ho", True, None)
    assert [line.partition(" ")[2] for line in stage.logged[1:]] == [f"UID FETCH 1 {command.decode()}\r"]


@pytest.mark.parametrize(
    "request_",
    [
        Request(b"", structure=True),
        Request(b"", body=False, structure=True),
        Request(b"HEADER.FIELDS (FROM)"),
        Request(b"1", 3, body=False, binary=True),
    ],
    ids=repr,
)
def test_what_is_always_a_urls(stage: Stage, monkeypatch: pytest.MonkeyPatch, request_: Request) -> None:
    monkeypatch.setattr(dialogue, "LOOK_SECONDS", 60.0)
    store = in_a_row(stage, "answer_together(); hear()")
    assert fetch_ahead(store, ahead(request=request_)) == b"hi"
    assert stage.logged == ["URLFETCH"]


@pytest.mark.parametrize("key", [b"cd" * 64, b"AB" * 64, b"no key"])
def test_nothing_is_read_if_the_key_is_another(stage: Stage, monkeypatch: pytest.MonkeyPatch, key: bytes) -> None:
    """What is open may be another mailbox by then: it is looked for, and the URL decides."""
    monkeypatch.setattr(dialogue, "LOOK_SECONDS", 60.0)
    store = in_a_row(stage, f"answer_together({key!r}); answer_together(); hear()")
    assert fetch_ahead(store, ahead()) == b"hi"
    assert stage.logged == ["GETMETADATA", "EXAMINE+URLFETCH"]


@pytest.mark.parametrize(
    "fetched",
    [b"", b"BODY[] NIL", b"BODY[] {0}\r\n", b"FLAGS (\\Seen)", b"BODY[] {2}\r\nno"],
    ids=["nothing", "nil", "empty", "flags", "another"],
)
def test_what_is_open_has_nothing_to_give(stage: Stage, monkeypatch: pytest.MonkeyPatch, fetched: bytes) -> None:
    """A mail that came just now, or is gone: the URL decides."""
    monkeypatch.setattr(dialogue, "LOOK_SECONDS", 60.0)
    other = "line = line.replace(b'1', b'2'); " * (b"no" in fetched)
    scene = f"""
answer_together()
for tag, line in hear_together():
    {other}
    if {fetched!r}: say(b"* 1 FETCH (UID " + line.split()[3] + b" " + {fetched!r} + b")\\r\\n")
    say(tag + b" NO [EXPUNGEISSUED] Some are gone.\\r\\n")
answer_together(); hear()
"""
    store = in_a_row(stage, scene)
    assert fetch_ahead(store, ahead()) == b"hi"
    assert stage.logged == ["GETMETADATA", "UID", "EXAMINE+URLFETCH"]


def test_a_url_of_another_uidvalidity_is_not_read_from_what_is_open(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialogue, "LOOK_SECONDS", 60.0)
    store = in_a_row(stage, "while True: answer_together()")
    for content in (b"hi", b"ho"):
        mailbox = wait(store.open(b"INBOX", 7, ahead()))
        assert wait(whole(wait(mailbox.fetch(1, WHOLE)))) == content
    assert stage.logged == ["URLFETCH", "GETMETADATA", "UID"]


def test_nothing_is_read_where_another_mailbox_may_be_open(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogue, "LOOK_SECONDS", 60.0)
    store = in_a_row(stage, "while True: answer_together()")
    wait(store.call(b"EXAMINE other"))
    store.session().has_fetched_from(b'"INBOX"', 0)
    assert fetch_ahead(store, ahead()) == b"hi"
    assert stage.logged == ["EXAMINE", "URLFETCH"]


def test_a_fetch_that_breaks_off_is_begun_with_a_url(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine dies when it is asked for the mail: the next one is asked as if nothing were known."""
    monkeypatch.setattr(dialogue, "LOOK_SECONDS", 60.0)
    store = in_a_row(stage, "answer_together(); hear_together(); sys.exit(1)")
    assert fetch_ahead(store, ahead()) == b"hi"
    assert stage.logged == ["GETMETADATA", "UID", "imap died: UID: asking again", "GETMETADATA", "URLFETCH"]


def test_a_mail_that_came_just_now_is_looked_for_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogue, "LOOK_SECONDS", 60.0)
    missing = b"""
for tag, line in hear_together():
    if b"GETMETADATA" in line: say(b'* METADATA INBOX (/x "' + b"ab" * 64 + b'")\\r\\n')
    if b"URLFETCH" in line: say(b"* URLFETCH u NIL\\r\\n* NO Failed to read URLAUTH \\"" + line.split(b'"')[1])
    if b"URLFETCH" in line: say(b'\\": Message not found.\\r\\n')
    say(tag + b" OK\\r\\n")
""".decode()
    answer = "answer_together(fetched=b'')\n"
    store = stage.store(TOGETHER + answer * 3 + missing + answer * 2 + missing * 5 + "hear()")
    wished = ahead(request=Request(b"", structure=True))
    for _ in range(3):
        assert fetch_ahead(store, wished) == b"hi"
    assert stage.logged[2:] == ["EXAMINE+URLFETCH", "URLFETCH", "EXAMINE+GETMETADATA", "URLFETCH"]
    with pytest.raises(ReadFailed):
        fetch_ahead(store, wished)
    assert stage.logged[6:] == ["URLFETCH", "EXAMINE+GETMETADATA", "URLFETCH"]


def test_nothing_is_fetched_ahead_for_a_url_that_another_key_signed(stage: Stage) -> None:
    store = stage.store(TOGETHER + "while True: answer_together()")
    assert fetch_ahead(store, ahead()) == b"hi"
    wait(store.open(b"INBOX", 0, ahead(bytes(64))))
    assert stage.logged[2:] == ["EXAMINE+GETMETADATA"]


@pytest.mark.parametrize("request_", [Request(b"", 5, 2), Request(b"", body=False)], ids=["range", "nothing"])
def test_what_needs_a_look_first_is_not_fetched_ahead(stage: Stage, request_: Request) -> None:
    store = stage.store(TOGETHER + "while True: answer_together()")
    assert fetch_ahead(store, ahead()) == b"hi"
    wait(store.open(b"INBOX", 0, ahead(request=request_)))
    assert stage.logged[2:] == ["EXAMINE+GETMETADATA"]


def test_a_key_that_has_gone_brings_nothing_and_is_asked_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked then is asked with the new key."""
    monkeypatch.setattr(dialogue, "LOOK_SECONDS", 60.0)
    nothing = "b'* URLFETCH u NIL\\r\\n' * (b'URLFETCH' in line)"
    refused = f"for tag, line in hear_together(): say({nothing} + tag + b' OK\\r\\n')\n"
    store = stage.store(
        TOGETHER + "answer_together()\n" * 2 + refused + "answer_together(b'cd' * 64)\n"
        "answer_together(content=b'{3}\\r\\nnew')\nanswer_together(content=b'{3}\\r\\nnew')"
    )
    assert fetch_ahead(store, ahead()) == b"hi"
    mailbox = wait(store.open(b"INBOX", 0, ahead()))
    assert wait(mailbox.key()) == b"\xcd" * 64
    assert wait(whole(wait(mailbox.fetch(1, WHOLE)))) == b"new"
    assert stage.logged[2:] == ["EXAMINE+URLFETCH", "GETMETADATA", "URLFETCH"]
    assert fetch_ahead(store, ahead(b"\xcd" * 64)) == b"new"
    assert stage.logged[5:] == ["URLFETCH"]


@pytest.mark.parametrize(("uid", "request_"), [(1, Request(b"1")), (2, WHOLE)], ids=["part", "message"])
def test_a_fetch_ahead_is_for_what_it_was_sent_for(stage: Stage, uid: int, request_: Request) -> None:
    """It is thrown away, with the engine that was about to send it."""
    store = stage.store(TOGETHER + "while True: answer_together()")
    assert fetch_ahead(store, ahead()) == b"hi"
    mailbox = wait(store.open(b"INBOX", 0, ahead()))
    assert wait(whole(wait(mailbox.fetch(uid, request_)))) == b"hi"
    assert stage.logged[2:] == ["EXAMINE+URLFETCH", "URLFETCH"]


def test_a_fetch_ahead_that_is_not_done_leaves_it_to_the_key(stage: Stage) -> None:
    """Which is no key any more: that is what an administrator is told."""
    failed = "for tag, line in hear_together(): say(tag + b' NO [SERVERBUG] Internal error.\\r\\n')\n"
    store = stage.store(TOGETHER + "answer_together()\n" * 2 + failed + "answer_together(b'no key')\nhear()")
    assert fetch_ahead(store, ahead()) == b"hi"
    with pytest.raises(StoreFailure, match="key found for mailbox INBOX is invalid"):
        fetch_ahead(store, ahead())
    assert stage.logged[2:] == ["EXAMINE+URLFETCH", "GETMETADATA"]


@pytest.mark.parametrize(
    ("answer", "request_", "found"),
    [
        (b"{0}\\r\\n", WHOLE, (0, None)),
        (b'""', WHOLE, (0, None)),
        (b'"" BODYPARTSTRUCTURE (\\"text\\")', Request(b"", structure=True), (0, b'"text"')),
        (b'NIL BODYPARTSTRUCTURE (\\"text\\")', Request(b"", body=False, structure=True), (0, b'"text"')),
    ],
    ids=["empty literal", "empty string", "empty with structure", "structure"],
)
def test_an_empty_part_proves_the_key_too(
    stage: Stage, answer: bytes, request_: Request, found: tuple[int, bytes | None]
) -> None:
    say = f"answer_together(content=b'{answer.decode()}')\n"
    store = stage.store(TOGETHER + "answer_together()\n" * 2 + say + "answer_together()")
    assert fetch_ahead(store, ahead()) == b"hi"
    wished = ahead(request=request_)
    mailbox = wait(store.open(b"INBOX", 0, wished))
    delivery = wait(mailbox.fetch(1, wished.request))
    assert (delivery.size, delivery.structure, wait(gather(delivery.chunks))) == (*found, [])
    assert stage.logged[2:] == ["EXAMINE+URLFETCH"]
    assert fetch_ahead(store, ahead()) == b"hi"


def test_content_that_is_nil_proves_nothing(stage: Stage) -> None:
    store = stage.store(TOGETHER + "answer_together()\n" * 2 + "answer_together(content=b'NIL')\n" * 3 + "hear()")
    assert fetch_ahead(store, ahead()) == b"hi"
    with pytest.raises(MailboxMissing):
        fetch_ahead(store, ahead())
    assert stage.logged[2:] == ["EXAMINE+URLFETCH", "GETMETADATA", "URLFETCH"]


def test_an_engine_that_dies_of_what_is_fetched_ahead(stage: Stage) -> None:
    """2.3's panics before it has said what came of the commands before."""
    lives = stage.folder / "lives"
    store = stage.store(
        TOGETHER
        + f"open({str(lives)!r}, 'a').write('x'); life = len(open({str(lives)!r}).read())\n"
        + "if life == 1: answer_together(); answer_together(); hear_together(); sys.exit(1)\n"
        "answer_together(); hear_together(); sys.exit(1)"
    )
    assert fetch_ahead(store, ahead()) == b"hi"
    with pytest.raises(EngineGone):
        fetch_ahead(store, ahead())
    assert stage.logged[2:] == [
        "EXAMINE+URLFETCH", "imap died: EXAMINE+URLFETCH: asking again",
        "GETMETADATA", "URLFETCH",
    ]  # fmt: skip


@pytest.mark.parametrize("can_be_decoded", [False, True])
def test_only_one_engine_dies_of_a_part_that_it_cannot_decode(stage: Stage, can_be_decoded: bool) -> None:
    """The next one is asked for its size; what can be decoded, the other died of something else, is fetched."""
    lives = stage.folder / "lives"
    sized = b"OK" if can_be_decoded else b"NO [UNKNOWN-CTE]"
    store = stage.store(
        TOGETHER
        + f"open({str(lives)!r}, 'a').write('x'); life = len(open({str(lives)!r}).read())\n"
        + "if life == 1: answer_together(); answer_together(); hear_together(); sys.exit(1)\n"
        + f"answer_together()\nfor _ in range(2):\n [(tag, _)] = hear_together(); say(tag + b' ' + {sized!r})\n"
        + " say(b' Done.\\r\\n')\n"
        + "answer_together(); hear()"
    )
    assert fetch_ahead(store, ahead()) == b"hi"
    wished = ahead(request=Request(b"1", binary=True))
    if can_be_decoded:
        assert fetch_ahead(store, wished) == b"hi"
    else:
        with pytest.raises(Undecodable, match="Unknown Content-Transfer-Encoding"):
            fetch_ahead(store, wished)
    assert stage.logged[2:] == [
        "EXAMINE+URLFETCH", "imap died: EXAMINE+URLFETCH: asking again",
        "GETMETADATA", "EXAMINE", "UID", *["URLFETCH"] * can_be_decoded,
    ]  # fmt: skip
    assert lives.read_text() == "xx"


def test_only_one_engine_dies_of_a_dictionary_that_is_down(stage: Stage) -> None:
    """2.3's panics of a URLFETCH that fails within, and says what is the matter if it is asked for the key."""
    lives = stage.folder / "lives"
    store = stage.store(
        TOGETHER
        + f"open({str(lives)!r}, 'a').write('x'); life = len(open({str(lives)!r}).read())\n"
        + "if life == 1: answer_together(); answer_together(); hear_together(); sys.exit(1)\n"
        + "while True:\n for tag, line in hear_together():\n"
        + "  say(tag + (b' OK\\r\\n' if b'EXAMINE' in line else b' NO [SERVERBUG] Internal error.\\r\\n'))"
    )
    assert fetch_ahead(store, ahead()) == b"hi"
    for _ in range(2):
        with pytest.raises(StoreFailure, match="Internal error"):
            fetch_ahead(store, ahead())
    assert stage.logged[2:] == [
        "EXAMINE+URLFETCH", "imap died: EXAMINE+URLFETCH: asking again",
        "GETMETADATA", "EXAMINE",
        "EXAMINE+GETMETADATA", "EXAMINE",
    ]  # fmt: skip


def test_keys_are_not_remembered_without_end(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "KEYS", 2)
    store = stage.store(TOGETHER + "while True: answer_together()")
    for name in (b"a", b"b"):
        open_mailbox(store, name)
    assert store.last_key(b'"a"') == store.last_key(b'"b"') == b"\xab" * 64
    open_mailbox(store, b"c")
    assert [store.last_key(name) for name in (b'"a"', b'"b"', b'"c"')] == [None, None, b"\xab" * 64]


def test_another_uidvalidity(stage: Stage) -> None:
    answer = b'NIL\r\n* NO Failed to fetch URLAUTH "@": Invalid UIDVALIDITY.'
    store = stage.store(f"say(GREETING); metadata(); urlfetch({answer!r}); hear()")
    with pytest.raises(MailboxMissing):
        wait(open_mailbox(store, b"INBOX", 7).fetch(1, WHOLE))


def test_nothing_asked_for_nothing_given(stage: Stage) -> None:
    store = stage.store("say(GREETING); metadata(); sys.exit()")
    content = wait(open_mailbox(store, b"INBOX").fetch(1, Request(b"", body=False)))
    assert (content.size, content.structure, wait(gather(content.chunks))) == (0, None, [])


@pytest.mark.parametrize(
    ("said", "error", "text"),
    [
        (b"NO [UNKNOWN-CTE] Bad.", Undecodable, "Unknown Content-Transfer-Encoding."),
        (b"NO [PARSE] Bad.", Undecodable, "Invalid data in MIME part"),
        (b"OK Fine.", StoreFailure, "imap: Panic: p"),
    ],
)
def test_what_an_engine_died_of(stage: Stage, said: bytes, error: type[Exception], text: str) -> None:
    """2.3's panics at a part that it cannot decode, and the next one can tell."""
    scene = f"""
say(GREETING)
if not os.path.exists({str(stage.folder / "died")!r}):
    metadata()
    hear()
    open({str(stage.folder / "died")!r}, "w").close()
    complain(b"imap: Panic: p\\n")
    sys.exit(1)
tag, line = hear()
assert b"UID FETCH 1 BINARY.SIZE[1.2]" in line, line
complain(b"imap: Panic: p\\n")
say(tag + b" " + {said!r} + b"\\r\\n")
hear()
"""
    store = stage.store(scene)
    with pytest.raises(error) as raised:
        fetch(store, Request(b"1.2.TEXT", binary=True))
    assert type(raised.value) is error
    assert raised.value.text == text  # type: ignore[attr-defined]


def test_a_dead_engine_that_decoded_nothing(stage: Stage) -> None:
    store = stage.store("say(GREETING); metadata(); hear(); sys.exit(1)")
    with pytest.raises(EngineGone):
        fetch(store)


@pytest.mark.parametrize(
    ("name", "answers", "error"),
    [
        (b"50%", b'* METADATA "50x" (/x NIL)', MailboxMissing),
        (b"50%", b'* METADATA "50x" (/x NIL)\r\n* METADATA "50%" (/x NIL)', None),
        (b'a*"\\b', b'* METADATA "a*\\"\\\\b" (/x NIL)', None),
        (b"INBOX", b"* OK Nothing", MailboxMissing),
    ],
)
def test_names_that_are_patterns(stage: Stage, name: bytes, answers: bytes, error: type[Exception] | None) -> None:
    scene = f"say(GREETING); tag, _ = hear(); say({answers!r} + b'\\r\\n' + tag + b' OK\\r\\n'); hear()"
    store = stage.store(scene)
    if error is None:
        mailbox = open_mailbox(store, name)
        assert wait(mailbox.key()) is None
        with pytest.raises(StoreFailure, match="without a key"):
            wait(mailbox.fetch(1, WHOLE))
    else:
        with pytest.raises(error):
            open_mailbox(store, name)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b'NIL\r\n* NO Failed to read URLAUTH "@": Message part not found.', PartMissing),
        (b'NIL\r\n* NO Failed to read URLAUTH "@": Invalid data in MIME part.', Undecodable),
        (b'NIL\r\n* NO Failed to fetch URLAUTH "@": Invalid section.', InvalidSection),
    ],
)
def test_why_a_part_was_not_fetched(stage: Stage, answer: bytes, error: type[Exception]) -> None:
    store = stage.store(f"say(GREETING); metadata(); urlfetch({answer!r}); hear()")
    with pytest.raises(error):
        fetch(store, Request(b"9"))


def test_a_range_that_begins_inside_a_line_end(stage: Stage) -> None:
    answers = ("{4}\\r\\n\\r\\nab", "{3}\\r\\n\\r\\na", "{3}\\r\\n\\r\\na")
    asked = "; ".join(f"urlfetch(b'(BODY {answer})')" for answer in answers)
    store = stage.store(f"say(GREETING); metadata(); {asked}; hear()")
    assert fetch(store, Request(b"", 7, 2)) == b"\na"


def test_a_refused_command(stage: Stage) -> None:
    store = stage.store("say(GREETING); metadata(); tag, _ = hear(); say(tag + b' NO Busy.\\r\\n'); hear()")
    with pytest.raises(StoreFailure, match="imap: Busy"):
        fetch(store)


def test_the_copy_cannot_be_read(stage: Stage) -> None:
    """The process's files belong to root although it is nobody's: its own user may not look into it."""
    if os.geteuid() != 0:
        pytest.skip("needs another user")
    session_pid = os.fork()
    if session_pid == 0:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        command = Command(b"/bin/sleep", (b"sleep", b"60"), {}, None)
        session = EngineSession(command, lambda text: None, LOOP)
        time.sleep(0.3)
        assert isinstance(session._process, EngineProcess)
        owner = os.stat(f"/proc/{session._process.pid}/environ").st_uid
        session.kill()
        os._exit(0 if owner == 0 else 1)
    assert os.waitpid(session_pid, 0)[1] == 0
