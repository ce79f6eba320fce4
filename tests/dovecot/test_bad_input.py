"""Whatever arrives on a socket: a closed connection or the answer that the protocol has, and the service
goes on.
"""

from __future__ import annotations

import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testing.logs import INTERNAL
from testing.oracle import VERSION_LINE, WORKER, WorkerSession
from testing.processes import wait_for
from testing.scene import MESSAGE, Scene
from testing.versions import PIECES
from tests.dovecot.conftest import Row

HELLO = b"VERSION\timap-urlauth\t2\t0\n"
TOKEN = b"0" * 40

#: what a client says to login
TO_LOGIN = {
    "nothing": b"",
    "nothing but line ends": b"\r\n\n\n",
    "no version": b"AUTH\timap\t1\tbob\tsession\t" + TOKEN + b"\n",
    "another service": b"VERSION\timap\t2\t0\n",
    "another version": b"VERSION\timap-urlauth\t3\t0\n",
    "version that is no number": b"VERSION\timap-urlauth\tx\t0\n",
    "HTTP": b"GET / HTTP/1.0\r\n\r\n",
    "a NUL": b"\0\0\0\n",
    "8-bit": bytes(range(128, 256)) + b"\n",
    "a line without end": b"A" * 100_000,
    "a long version": b"VERSION\timap-urlauth\t2\t" + b"1" * 4000 + b"\n",
    "too few fields": HELLO + b"AUTH\timap\t1\n",
    "lower case": HELLO + b"auth\timap\t1\tbob\tsession\t" + TOKEN + b"\n",
    "pid of another": HELLO + b"AUTH\timap\t1\tbob\tsession\t" + TOKEN + b"\n",
    "pid that is no number": HELLO + b"AUTH\timap\t-1\tbob\tsession\t" + TOKEN + b"\n",
    "a service of no client": HELLO + b"AUTH\tpop3\t%d\tbob\tsession\t" % os.getpid() + TOKEN + b"\n",
    "escapes": HELLO + b"AUTH\timap\t%d\t\x01t\x01n\x010\tsession\t" % os.getpid() + TOKEN + b"\n",
    "NULs in fields": HELLO + b"AUTH\timap\t%d\tb\0ob\tses\0sion\t" % os.getpid() + TOKEN + b"\n",
}

#: what only auth can refuse, which it does after seconds
TO_AUTH = {
    "a forged token": HELLO + b"AUTH\timap\t%d\tbob\tsession\t" % os.getpid() + TOKEN + b"\n",
    "an unknown user": HELLO + b"AUTH\timap\t%d\tnobody\tsession\t" % os.getpid() + TOKEN + b"\n",
    "an escape without end": HELLO + b"AUTH\timap\t%d\tbob\x01\tsession\t\x01\n" % os.getpid(),
    "empty fields": HELLO + b"AUTH\timap\t%d\t\t\t\n" % os.getpid(),
}

#: what a client says to imap-urlauth in login's place
TO_URLAUTH = {
    "nothing": b"",
    "a line": b"hello\n",
    "a short struct": bytes(50),
    "a struct without fd": bytes(104),
    "a struct of ones": b"\xff" * 104,
    "a large size": b"\xff" * 4096,
}

#: what a client says to the worker in imap-urlauth's place
TO_WORKER = {
    "nothing": b"",
    "a line": b"hello\n",
    "another service": VERSION_LINE.replace(b"worker", b"x"),
    "no fd": b"0" + VERSION_LINE,
    "version first": VERSION_LINE + b"0",
    "garbage": bytes(range(256)) * 40,
}


#: a client may leave before it said anything whole; and a minor version may have any number of digits
SILENT = ("nothing", "a line without end", "a long version")


def _say(scene: Scene, name: str, data: bytes, end: bool = True) -> bytes:
    """Say something, then (with `end`) that nothing follows, and hear all that is answered."""
    with scene.dovecot.connect(name) as connection:
        try:
            connection.sendall(data)
            if end:
                connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(4096), b""))
        except (BrokenPipeError, ConnectionResetError):
            return b""


def _expect_no_traceback(scene: Scene, mark: int) -> None:
    lines = scene.dovecot.log.since(mark)
    assert not [line for line in lines if INTERNAL.search(line)], lines


def _errors(lines: list[str]) -> list[str]:
    return [line for line in lines if "imap-urlauth" in line and ("Error: " in line or "Fatal: " in line)]


@pytest.mark.parametrize("what", TO_LOGIN)
def test_login(scene: Scene, what: str, row: Row) -> None:
    scene.expect_log("imap-urlauth-login: Error: IMAP URLAUTH ", "imap-urlauth-login: Warning: ")
    mark = scene.dovecot.log.mark()
    answer = _say(scene, "imap-urlauth", TO_LOGIN[what])
    greeting = HELLO if row.version.language == "2.4" else b""
    assert answer.removeprefix(greeting) in (b"", b"FAILED\n")
    scene.works(scene.store())
    _expect_no_traceback(scene, mark)
    assert len(_errors(scene.dovecot.log.since(mark))) == (what not in SILENT)


@pytest.mark.only("tuned")
def test_login_asks_auth(scene: Scene, row: Row) -> None:
    mark = scene.dovecot.log.mark()
    with ThreadPoolExecutor(len(TO_AUTH)) as pool:
        answers = list(pool.map(lambda data: _say(scene, "imap-urlauth", data, end=False), TO_AUTH.values()))
    greeting = HELLO if row.version.language == "2.4" else b""
    assert answers == [greeting + b"FAILED\n"] * len(TO_AUTH)
    scene.works(scene.store())
    _expect_no_traceback(scene, mark)


@pytest.mark.parametrize("what", TO_URLAUTH)
def test_imap_urlauth(scene: Scene, what: str) -> None:
    scene.expect_log("imap-urlauth: Error: ")
    mark = scene.dovecot.log.mark()
    _say(scene, "token-login/imap-urlauth", TO_URLAUTH[what])
    scene.works(scene.store())
    _expect_no_traceback(scene, mark)
    assert len(_errors(scene.dovecot.log.since(mark))) == (what not in SILENT)


@pytest.mark.parametrize("what", TO_WORKER)
def test_worker(scene: Scene, what: str) -> None:
    scene.expect_log(r"imap-urlauth-worker(?:\(\d+\))?: Error: ", r"imap-urlauth\[\d+\]")
    mark = scene.dovecot.log.mark()
    assert b"OK" not in _say(scene, WORKER, TO_WORKER[what])
    scene.works(scene.store())
    _expect_no_traceback(scene, mark)
    # the reason, and that the session is aborted
    assert len(_errors(scene.dovecot.log.since(mark))) == (0 if what in SILENT else 2)


@pytest.mark.parametrize(
    "line",
    [b"URL\tx\n", b"END\n", b"USER\n", b"USER\ta\tb\n", b"user\talice\n", b"\0\n", b"USER\t" + b"x" * 100_000],
)
def test_clients_command_before_user(scene: Scene, line: bytes) -> None:
    scene.expect_log("imap-urlauth")
    mark = scene.dovecot.log.mark()
    with WorkerSession(scene.dovecot) as worker:
        worker.access(b"bob")
        # empty lines say nothing
        worker.send(b"\n\n" + line)
        worker.end()
        assert worker.line() == b""
    scene.works(scene.store())
    _expect_no_traceback(scene, mark)


@pytest.mark.parametrize("line", [b"URL\n", b"END\tx\n", b"USER\tcarol\n", b"\xff\xfe\n", b"URL"])
def test_clients_command_after_user(scene: Scene, line: bytes) -> None:
    scene.expect_log("imap-urlauth")
    mark = scene.dovecot.log.mark()
    with WorkerSession(scene.dovecot) as worker:
        worker.access(b"bob")
        assert worker.select(b"alice") == b"OK\n"
        worker.send(line)
        worker.end()
        assert worker.line() == b""
    scene.works(scene.store())
    _expect_no_traceback(scene, mark)


@pytest.mark.parametrize(
    "url",
    [b"", b"imap://", b"http://x/", b"imap://alice@host", b"\xff" * 99, b"%00" * 99, b"imap://a/" + b"b" * 60_000],
)
def test_urls_that_are_none(scene: Scene, url: bytes) -> None:
    with WorkerSession(scene.dovecot) as worker:
        worker.access(b"bob")
        assert worker.select(b"alice") == b"OK\n"
        good = scene.sign(scene.store())
        assert worker.fetch(url, b"body").words[0] == b"NO"
        assert worker.fetch(good, b"body").content == MESSAGE


def test_urls_in_one_packet_are_answered_in_order(scene: Scene) -> None:
    good = scene.sign(scene.store())
    bad = good[:-4] + b"0000"
    with WorkerSession(scene.dovecot) as worker:
        worker.access(b"bob")
        worker.send(b"USER\talice\n" + b"".join(b"URL\t%s\tbody\n" % url for url in (good, bad, good, bad)))
        assert worker.line() == b"OK\n"
        assert [worker.answer().content for _ in range(4)] == [MESSAGE, b"", MESSAGE, b""]


def test_a_command_byte_by_byte(scene: Scene) -> None:
    good = scene.sign(scene.store())
    with WorkerSession(scene.dovecot) as worker:
        worker.access(b"bob")
        assert worker.select(b"alice") == b"OK\n"
        for byte in b"URL\t%s\tbody\n" % good:
            worker.send(bytes([byte]))
        assert worker.answer().content == MESSAGE


@pytest.mark.parametrize("mode", [0o600, 0o666], ids=["the socket's mode", "the worker itself"])
def test_only_imap_urlauth_may_ask_a_worker(scene: Scene, mode: int) -> None:
    """The socket's mode keeps others out; were it open to all, the worker would: ask as the mail user."""
    scene.expect_log("is not imap-urlauth")
    mark = scene.dovecot.log.mark()
    path = scene.dovecot.folder / "run" / WORKER
    usual = path.stat().st_mode & 0o777
    path.chmod(usual if mode == 0o600 else mode)
    answer = _ask_as(5002, path)
    path.chmod(usual)
    if mode == 0o600:
        assert answer == b"Permission denied"
        return
    assert answer == b""
    scene.dovecot.log.wait_for("Connection refused: pid=[0-9]+, uid=5002 is not imap-urlauth", mark)


def _ask_as(uid: int, path: Path) -> bytes:
    """What a process with this uid hears from a socket, or the system's word for why it cannot ask."""
    folder = os.open(path.parent, os.O_PATH)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        try:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(f"/proc/self/fd/{folder}/{path.name}")
            socket.send_fds(connection, [b"0" + VERSION_LINE], [0])
            os.write(writer, connection.recv(100))
        except ConnectionError:
            pass  # closed with what was sent unread
        except OSError as error:
            os.write(writer, os.strerror(error.errno or 0).encode())
        finally:
            os._exit(0)
    os.close(folder)
    os.close(writer)
    os.waitpid(pid, 0)
    with os.fdopen(reader, "rb") as pipe:
        return pipe.read()


@pytest.mark.only("tuned")
def test_300_useless_connections_keep_nobody_waiting(scene: Scene) -> None:
    scene.expect_log("imap-urlauth-login: Error: IMAP URLAUTH ")
    url = scene.sign(scene.store())
    bob = scene.user("bob")
    useless = []
    for number in range(300):
        connection = scene.dovecot.connect("imap-urlauth")
        connection.sendall((b"", b"\xff" * 300, HELLO, HELLO + b"AUTH\timap\t")[number % 4])
        useless.append(connection)
    started = time.monotonic()
    assert bob.fetch_url(url) == MESSAGE
    assert time.monotonic() - started < 2
    for connection in useless:
        connection.close()

    def quiet() -> bool:
        [login] = scene.dovecot.processes(PIECES[0])
        return login.title.strip() == "dovecot/imap-urlauth-login"

    assert wait_for(quiet)
