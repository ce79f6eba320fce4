"""Clients of imap-urlauth, from login's hand-off to the end of their last worker."""

from __future__ import annotations

import contextlib
import os
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, cast

import pytest

from dovecot_urlauth.broker import auth, control, login, postlogin
from dovecot_urlauth.broker.identity import ServiceUsers
from dovecot_urlauth.broker.stage import BrokerStage
from dovecot_urlauth.dialect.dialect import Dialect
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_13, DOVECOT_2_3_19, DOVECOT_2_4_2
from dovecot_urlauth.service.process import Terminated
from dovecot_urlauth.service.sockets import PeerCredentials
from dovecot_urlauth.service.stats import SILENT, Stats
from dovecot_urlauth.wire.handoff import STATUS_INTERNAL_ERROR, STATUS_OK, Handoff, pack, pack_reply
from tests.telling import Told
from tests.transcript import Recorder, Transcript

if TYPE_CHECKING:
    from dovecot_urlauth.service.connection import Connection

COOKIE = bytes(range(16))
PID = os.getpid()
HELLO = r"""
    auth> VERSION\t1\t4
    auth< VERSION\t1\t4\nSPID\t6204
"""
HANDED = r"""
    login< +fd {handoff}\
"""
ASKED = rf"""
    auth> REQUEST\t1\t6221\t1\t{COOKIE.hex()}\tsession_pid={PID}
"""
ACCEPTED = r"""
    login> {accepted}\
    login !ended
"""
REFUSED = r"""
    login> {refused}\
    login !ended
"""
SAID_NO = r"""
    S: NO
    client !ended
    ended
"""
USER = r"""
    auth< USER\t1\tbob\tclient_service=imap\tuid=1000\tgid=1000
"""
KNOWN = HELLO + HANDED + ASKED + USER + ACCEPTED
WORKER = r"""
    worker !connect
    worker> VERSION\timap-urlauth-worker\t2\t0
    worker> +fd 0\
    S: OK
    worker< VERSION\timap-urlauth-worker\t2\t0
    worker< OK
    worker> ACCESS\tbob\timap
    worker< OK
"""
DETAILS = (
    "(connection created {} msecs ago, request created {} msecs ago: session=S, rip=, auth_pid=6204, "
    "client-pid=6221, client-id=1)"
)
LOST = """
    login !ended
    client !ended
    ended
"""


def the_handoff(
    dialect: Dialect = DOVECOT_2_4_2, auth_pid: int = 6204, ino: int = 77, data: bytes = b"S\0"
) -> bytes:
    return pack(dialect.handoff, Handoff(5, auth_pid, 1, 6221, COOKIE, dialect.handoff.flags, ino, data))


class Served:
    """The process closes what the stage leaves open; so does this."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        text: str,
        dialect: Dialect = DOVECOT_2_4_2,
        bytewise: bool = False,
        title: bool = False,
        stats: Stats = SILENT,
        calls_ahead: bool = False,
        **values: Any,
    ) -> None:
        values = {
            "handoff": the_handoff(dialect),
            "accepted": pack_reply(5, STATUS_OK, PID),
            "refused": pack_reply(5, STATUS_INTERNAL_ERROR, PID),
            **values,
        }
        self.transcript = Transcript(text, values=values, bytewise=bytewise)
        for module in (control, postlogin):
            monkeypatch.setattr(module, "connect", self.transcript.connect)
        for module in (login, postlogin):
            monkeypatch.setattr(module, "Connection", self.transcript.adopt)
        monkeypatch.setattr(auth, "Connection", type(self.transcript.connection("login")))
        monkeypatch.setattr("os.urandom", lambda size: bytes(size))
        process = types.SimpleNamespace(
            loop=self.transcript.loop,
            log=self.transcript.log,
            dialect=dialect,
            retire=lambda: self.transcript.happened("process", "retires"),
        )
        shown = Recorder(self.transcript, "title") if title else types.SimpleNamespace(show=lambda text: None)
        connected = cast("Connection", self.transcript.connection("auth"))
        asked = auth.Auth(process.loop, process.log, dialect, connected, stats, b"/run/auth-master")
        users = ServiceUsers(submit=b"submit", stream=b"stream")
        self.stage = BrokerStage(
            process, shown, asked, users, b"/run/worker", stats=stats, calls_ahead=calls_ahead
        )
        self.transcript.actions = {
            "sigterm": lambda: self.transcript.cancel(Terminated()),
            "another": lambda: self.transcript.loop.spawn(self.serve("another"), "another"),
            "root": lambda: self._peer(PeerCredentials(1, 0, 0)),
            "nameless": lambda: self._peer(None),
            "debug": lambda: setattr(process.log.pipe, "debugging", True),
        }

    async def serve(self, name: str = "login") -> None:
        connection = self.transcript.connection(name)
        try:
            await self.stage.serve(cast("Connection", connection))
        finally:
            connection.close()

    def play(self) -> None:
        self.stage.start()
        self.transcript.play(self.serve())

    def _peer(self, credentials: PeerCredentials | None) -> None:
        self.transcript.connections["client"].credentials = credentials


@pytest.fixture(params=[False, True], ids=["whole", "bytewise"])
def play(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    def run(text: str, **options: Any) -> None:
        Served(monkeypatch, text, bytewise=request.param, **options).play()

    return run


def test_one_client_and_two_workers(play: Callable[..., Any]) -> None:
    play(
        KNOWN
        + WORKER
        + "worker< FINISHED\nworker !closed"
        + WORKER
        + r"""
        worker< DISCONNECTED
        worker !closed
        log: imap-urlauth(bob): Info: user bob: Disconnected: Client disconnected
        client !ended
        ended
        """
    )


def test_2_3_passes_the_descriptor_first(play: Callable[..., Any]) -> None:
    play(
        rf"""
        auth> VERSION\t1\t1
        auth< VERSION\t1\t1\nSPID\t6204
        login< +fd {{handoff}}\
        auth> REQUEST\t1\t6221\t1\t{COOKIE.hex()}\tsession_pid={PID}
        auth< USER\t1\tsubmit\tclient_service=submission
        login> {{accepted}}\
        login !ended
        worker !connect
        worker> +fd 0VERSION\timap-urlauth-worker\t2\t0\nACCESS\tsubmit\tsubmission\tapps=submit+
        S: OK
        worker< OK
        worker< OK
        ..1000s
        worker !close
        worker !closed
        log: imap-urlauth(submit): Info: Disconnected: Worker disconnected unexpectedly
        client !ended
        ended
        """,
        dialect=DOVECOT_2_3_13,
    )


CALLED = WORKER.replace("    worker !connect\n", "")


def test_a_worker_is_called_while_auth_looks_up(play: Callable[..., Any]) -> None:
    ending = "worker< FINISHED\nworker !closed"
    play(
        HELLO + HANDED + ASKED + "worker !connect" + USER + ACCEPTED + CALLED + ending + WORKER,
        calls_ahead=True,
    )


@pytest.mark.parametrize("goes", ["worker !close", "worker !lost ECONNRESET"])
def test_one_that_has_gone_meanwhile_is_connected_to_anew(play: Callable[..., Any], goes: str) -> None:
    play(
        HELLO + HANDED + ASKED + f"worker !connect\n{goes}" + USER + ACCEPTED + "worker !closed" + WORKER,
        calls_ahead=True,
    )


@pytest.mark.parametrize("fails", ["worker !refuse ENOENT", "worker !full"])
def test_one_that_cannot_be_called_yet_is_connected_to_later(play: Callable[..., Any], fails: str) -> None:
    play(HELLO + fails + HANDED + ASKED + USER + ACCEPTED + WORKER, calls_ahead=True)


def test_it_is_let_go_of_when_nobody_comes(play: Callable[..., Any]) -> None:
    asked = HELLO + HANDED + ASKED + "worker !connect\n"
    failed = r"auth< FAIL\t1" + "\n" + FAILED.format("Internal auth failure", 0, 0, 0)
    play(asked + failed + REFUSED + SAID_NO.replace("ended\n", "ended\nworker !closed\n", 1), calls_ahead=True)


def test_nobody_is_called_when_it_is_over_already(play: Callable[..., Any]) -> None:
    failed = FAILED.format("Disconnected from auth server, aborting", 0, 0, 0)
    lost = "auth !close\nauth !closed\nprocess: retires"
    play(HELLO + lost + HANDED + failed + REFUSED + SAID_NO, calls_ahead=True)


def test_an_anonymous_user_has_a_name_in_the_log(play: Callable[..., Any]) -> None:
    play(
        HELLO
        + HANDED
        + ASKED
        + r"auth< USER\t1\tanon\tclient_service=imap\tanonymous"
        + ACCEPTED
        + WORKER.replace("bob", "")
        + r"""
        worker !lost ECONNRESET
        worker !closed
        log: imap-urlauth(anonymous): Info: user anonymous: Disconnected: Worker disconnected unexpectedly
        client !ended
        """
    )


GIVEN_WITH_DEBUG = r"""
    worker !connect
    worker> VERSION\timap-urlauth-worker\t2\t0
    worker> +fd 0\
    S: OK
    log: imap-urlauth(bob): Debug: user bob: worker: Connecting to worker socket /run/worker
"""


def test_what_debugging_adds(play: Callable[..., Any]) -> None:
    play(
        HELLO
        + "!debug"
        + HANDED
        + ASKED
        + USER
        + ACCEPTED
        + GIVEN_WITH_DEBUG
        + r"""
        worker< VERSION\timap-urlauth-worker\t2\t0\nOK
        worker> ACCESS\tbob\timap\tdebug
        worker< OK
        worker< FINISHED
        log: imap-urlauth(bob): Debug: user bob: worker: Worker finished successfully
        worker !closed
        """
        + GIVEN_WITH_DEBUG
    )


@pytest.mark.parametrize(
    ("happens", "error"),
    [
        ("login !close", None),
        ("login !lost ECONNRESET", "fd_read() failed: Connection reset by peer"),
        ("login< +fd abc\\\nlogin !close", "fd_read() partial input (3/104)"),
        ("login< +fd {head}\\\nlogin !close", "Login client disconnected too early (while reading data)"),
        ("login< +fd {head}S\\\nlogin !close", "Data read partially 1/2"),
        ("login< {handoff}\\", "Auth request missing a file descriptor"),
        ("login< {huge}\\", "Too large auth data_size sent"),
        ("login< +fd=file {handoff}\\", "fstat(fd_read client) failed: Socket operation on non-socket"),
    ],
)
def test_login_hands_nobody_over(play: Callable[..., Any], happens: str, error: str | None) -> None:
    said = f"log: Error: {error} (connection created 0 msecs ago)" if error else ""
    complete = the_handoff()
    play(
        HELLO + happens + f"\n{said}\nlogin !ended\nended",
        head=complete[:104],
        huge=complete[:-2].replace(b"\2\0\0\0" + complete[92:104], b"\xff\xff\0\0" + complete[92:104]),
    )


def test_another_socket_than_login_speaks_of(play: Callable[..., Any]) -> None:
    play(
        HELLO
        + HANDED
        + """
        client !closed
        log: Error: Auth request inode mismatch: 78 != 77 (connection created 0 msecs ago)
        login !ended
        ended
        """,
        handoff=the_handoff(ino=78),
    )


@pytest.mark.parametrize(
    ("happens", "error"),
    [
        ("login !close", "Login client disconnected too early"),
        ("login !lost ECONNRESET", "fd_read() failed: Connection reset by peer"),
        ("login< +fd=more more\\", "Login client sent more than one auth request"),
    ],
)
def test_login_goes_while_auth_thinks(play: Callable[..., Any], happens: str, error: str) -> None:
    """The client is login's until login is answered."""
    play(
        HELLO
        + HANDED
        + ASKED
        + "..2s\n"
        + happens
        + f"""
        log: Error: {error} {DETAILS.format(2000, 2000)}
        client !ended
        login !ended
        ended
        auth< USER\\t1\\tbob
        """
    )


FAILED = (
    "log: Error: auth-master: login: request [1]: Login auth request failed: {} "
    "(auth connected {} msecs ago, handshake {} msecs ago, request took {} msecs, client-pid=6221 client-id=1)"
)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (r"NOTFOUND\t1", "Authenticated user not found from userdb, auth lookup id=1"),
        (r"FAIL\t1", "Internal auth failure"),
        (r"FAIL\t1\treason=none of\nyours".replace(r"\n", " "), "Internal auth failure: none of yours"),
    ],
)
def test_auth_names_nobody(play: Callable[..., Any], answer: str, why: str) -> None:
    play(
        HELLO
        + HANDED
        + ASKED
        + f"..3s\nauth< {answer}\n"
        + FAILED.format(why, 3000, 3000, 3000)
        + REFUSED
        + SAID_NO
    )


def test_auth_is_silent_for_155_seconds(play: Callable[..., Any]) -> None:
    why = "Auth server request timed out after 155.000 secs"
    play(
        HELLO
        + "..1s"
        + HANDED
        + ASKED
        + "..154s\n..1s\n"
        + FAILED.format(why, 156000, 156000, 155000)
        + REFUSED
        + SAID_NO
        + "auth< USER\\t1\\tbob"
    )


def test_a_late_answer_is_nobody_elses(play: Callable[..., Any]) -> None:
    """The next client waits already when auth says who the last one was."""
    why = "Auth server request timed out after 155.000 secs"
    play(
        HELLO
        + HANDED
        + ASKED
        + "..155s\n"
        + FAILED.format(why, 155000, 155000, 155000)
        + REFUSED
        + "S: NO\nclient !ended"
        + rf"""
        !another
        another< +fd=second {{handoff}}\
        auth> REQUEST\t2\t6221\t1\t{COOKIE.hex()}\tsession_pid={PID}
        auth< USER\t1\talice\tclient_service=imap
        auth< USER\t2\tbob\tclient_service=imap
        another> {{accepted}}\
        another !ended
        """
        + WORKER.replace("S:", "second>")
    )


def test_auth_does_not_even_greet(play: Callable[..., Any]) -> None:
    play(
        r"auth> VERSION\t1\t4"
        + HANDED
        + "..155s\n"
        + FAILED.format("Auth server request timed out after 155.000 secs", 155000, "", 155000).replace(
            " handshake  msecs ago,", ""
        )
        + REFUSED
        + SAID_NO
    )


def test_auth_greets_late(play: Callable[..., Any]) -> None:
    play(
        r"auth> VERSION\t1\t4"
        + HANDED
        + "..100s\n"
        + r"auth< VERSION\t1\t4\nSPID\t6204"
        + ASKED
        + "..54s\n..1s\n"
        + FAILED.format("Auth server request timed out after 155.000 secs", 155000, 55000, 155000)
        + REFUSED
        + SAID_NO
    )


def test_auth_was_restarted_in_between(play: Callable[..., Any]) -> None:
    play(
        HELLO
        + HANDED
        + "log: Warning: auth-master: login: Auth server restarted (pid 6000 -> 6204), aborting auth"
        + REFUSED
        + SAID_NO,
        handoff=the_handoff(auth_pid=6000),
    )


@pytest.mark.parametrize(
    ("happens", "line"),
    [
        ("auth !close", ""),
        ("auth !lost ECONNRESET", "log: Error: auth-master: login: Connection reset by peer"),
        (
            r"auth< USER\tx",
            "log: Error: auth-master: login: Auth server sent invalid USER reply: USER?x",
        ),
    ],
)
def test_auth_is_lost(play: Callable[..., Any], happens: str, line: str) -> None:
    play(
        HELLO
        + HANDED
        + ASKED
        + happens
        + f"\n{line}\nauth !closed\nprocess: retires\n"
        + FAILED.format("Disconnected from auth server, aborting", 0, 0, 0)
        + REFUSED
        + SAID_NO
    )


def test_auth_was_lost_before(play: Callable[..., Any]) -> None:
    play(
        HELLO
        + "auth !close\nauth !closed\nprocess: retires"
        + HANDED
        + FAILED.format("Disconnected from auth server, aborting", 0, 0, 0)
        + REFUSED
        + SAID_NO
    )


def test_what_nobody_foresaw_in_auths_lines_is_its_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    served = Served(
        monkeypatch,
        HELLO
        + HANDED
        + ASKED
        + USER
        + "auth !closed\nlog: Error: KeyError\nprocess: retires\n"
        + FAILED.format("Disconnected from auth server, aborting", 0, 0, 0)
        + REFUSED
        + SAID_NO,
    )
    served.transcript.loop.on_crash = lambda name, error: served.transcript.log.error(type(error).__name__)

    def crash(self: auth.AuthMaster) -> NoReturn:
        raise KeyError

    real = auth.AuthMaster.next_event
    monkeypatch.setattr(
        auth.AuthMaster, "next_event", lambda self: crash(self) if served.stage.auth._waiting else real(self)
    )
    served.play()


@pytest.mark.parametrize(
    ("who", "user", "error"),
    [
        (
            "root",
            USER,
            "Peer's credentials (uid=0) do not match the user that logged in (uid=1000).",
        ),
        ("nameless", USER, "Peer's credentials are missing."),
        (
            "root",
            r"auth< USER\t1\tbob",
            "Auth did not yield required client_service field (BUG).",
        ),
        (
            "root",
            r"auth< USER\t1\tbob\tclient_service=imap\tuid=x",
            "Invalid settings in userdb: Invalid uid in reply",
        ),
    ],
)
@pytest.mark.parametrize("dialect", [DOVECOT_2_3_19, DOVECOT_2_4_2], ids=lambda dialect: dialect.name)
def test_who_may_not_be_served(
    play: Callable[..., Any], who: str, user: str, error: str, dialect: Dialect
) -> None:
    details = f" {DETAILS.format(0, 0)}" if dialect is DOVECOT_2_4_2 else ""
    hello = HELLO.replace("t4", f"t{dialect.auth_master_minor}")
    play(
        hello
        + HANDED
        + ASKED
        + f"!{who}\n"
        + user
        + ACCEPTED
        + f"log: imap-urlauth(bob): Error: {error}{details}"
        + SAID_NO,
        dialect=dialect,
    )


@pytest.mark.parametrize(
    ("happens", "error", "reason"),
    [
        (
            "worker !refuse ENOENT",
            "imap-urlauth-client: net_connect_unix(/run/worker) failed: No such file or directory",
            "Failed to connect to worker",
        ),
        (
            "worker !refuse EACCES",
            "imap-urlauth-client: net_connect_unix(/run/worker) failed: Permission denied "
            f"(euid={os.geteuid()} egid={os.getegid()})",
            "Failed to connect to worker",
        ),
    ],
)
@pytest.mark.parametrize(
    ("dialect", "client_prefix", "worker_prefix"),
    [
        (DOVECOT_2_3_13, "", ""),
        (DOVECOT_2_3_19, "user bob: ", "user bob: "),
        (DOVECOT_2_4_2, "user bob: ", "user bob: worker: "),
    ],
    ids=["2.3.13", "2.3.19", "2.4.2"],
)
def test_there_is_no_worker(
    play: Callable[..., Any],
    happens: str,
    error: str,
    reason: str,
    dialect: Dialect,
    client_prefix: str,
    worker_prefix: str,
) -> None:
    play(
        happens
        + KNOWN.replace("t4", f"t{dialect.auth_master_minor}")
        + f"""
        log: imap-urlauth(bob): Error: {worker_prefix}{error}
        log: imap-urlauth(bob): Info: {client_prefix}Disconnected: {reason}
        client !ended
        ended
        """,
        dialect=dialect,
    )


def test_all_workers_are_busy_for_a_second(play: Callable[..., Any]) -> None:
    full = "imap-urlauth-client: net_connect_unix(/run/worker) failed: Resource temporarily unavailable"
    play(
        "worker !full"
        + KNOWN
        + f"""
        ..1s
        log: imap-urlauth(bob): Error: user bob: worker: {full}
        log: imap-urlauth(bob): Info: user bob: Disconnected: Failed to connect to worker
        client !ended
        ended
        """
    )


@pytest.mark.parametrize(
    ("said", "texts", "reason"),
    [
        (
            r"VERSION\timap-urlauth-worker\t1\t0",
            [
                "unix:/run/worker: Socket supports major version 1, "
                + "but we support only 2 (mixed old and new binaries?)",
            ],
            "Handshake with imap-urlauth-worker service failed",
        ),
        (r"VERSION\timap-urlauth-worker\t2\t0\nNO", [], "Worker handshake failed"),
        (r"VERSION\timap-urlauth-worker\t2\t0\nOK\nNO", [], "Failed to negotiate access parameters"),
        (
            r"VERSION\timap-urlauth-worker\t2\t0\nOK\nOK\nWHAT",
            [],
            "Worker finished with unknown response",
        ),
    ],
)
def test_a_worker_that_says_something_else(
    monkeypatch: pytest.MonkeyPatch, said: str, texts: list[str], reason: str
) -> None:
    lines = "".join(f"log: imap-urlauth(bob): Error: user bob: worker: {text}\n" for text in texts)
    Served(
        monkeypatch,
        KNOWN
        + rf"""
        worker !connect
        worker> VERSION\timap-urlauth-worker\t2\t0
        worker> +fd 0\
        S: OK
        worker< {said}
        {lines}
        log: imap-urlauth(bob): Info: user bob: Disconnected: {reason}
        worker !closed
        client !ended
        ended
        """,
    ).play()


def test_a_worker_that_does_not_take_the_client(play: Callable[..., Any]) -> None:
    play(
        KNOWN.replace("auth< USER", "worker !stuck\nauth< USER")
        + r"""
        worker !connect
        worker !lost EPIPE
        log: imap-urlauth(bob): Error: user bob: worker: write(/run/worker) failed: Broken pipe
        log: imap-urlauth(bob): Info: user bob: Disconnected: Failed to connect to worker
        worker !closed
        client !ended
        ended
        """
    )


def test_a_worker_that_goes_before_it_knows_for_whom(play: Callable[..., Any]) -> None:
    play(
        KNOWN
        + r"""
        worker !connect
        worker> VERSION\timap-urlauth-worker\t2\t0
        worker> +fd 0\
        S: OK
        worker !stuck
        worker< VERSION\timap-urlauth-worker\t2\t0\nOK
        worker !lost EPIPE
        log: imap-urlauth(bob): Info: user bob: Disconnected: Worker disconnected unexpectedly
        worker !closed
        client !ended
        ended
        """
    )


def test_a_client_that_has_gone_before_its_ok(play: Callable[..., Any]) -> None:
    play(
        HELLO
        + HANDED
        + ASKED
        + "client !close"
        + USER
        + ACCEPTED
        + r"""
        worker !connect
        worker> VERSION\timap-urlauth-worker\t2\t0
        worker> +fd 0\
        log: imap-urlauth(bob): Info: user bob: Disconnected: Client disconnected
        worker !closed
        client !ended
        ended
        """
    )


def test_a_client_that_has_gone_before_its_no(play: Callable[..., Any]) -> None:
    details = DETAILS.format(0, 0)
    play(
        HELLO
        + HANDED
        + ASKED
        + "client !close"
        + r"""
        auth< USER\t1\tbob
        """
        + ACCEPTED
        + f"""
        log: imap-urlauth(bob): Error: Auth did not yield required client_service field (BUG). {details}
        log: imap-urlauth(bob): Info: user bob: Disconnected: Client disconnected
        client !ended
        ended
        """
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (HELLO, "login !ended\nended"),
        (HELLO + HANDED + ASKED, "client !ended\nlogin !ended\nended"),
        (
            KNOWN + WORKER,
            "worker !closed\nlog: imap-urlauth(bob): Info: user bob: Disconnected: Server shutting down\n"
            "client !ended\nended",
        ),
    ],
    ids=["waiting", "asking", "working"],
)
def test_the_process_ends(play: Callable[..., Any], before: str, after: str) -> None:
    play(before + "!sigterm\n" + after)


SCRIPT = r"""
    auth< USER\t1\tbob\tclient_service=imap\tpostlogin=/run/script\tnopassword
"""
SCRIPTED = (
    HELLO
    + HANDED
    + ASKED
    + SCRIPT
    + ACCEPTED
    + r"""
    script !connect
    script> +fd VERSION\tscript-login\t1\t0
    script> \t\tbob\tclient_service=imap\tpostlogin=/run/script\tnopassword
    """
)


def test_a_post_login_script_says_yes(play: Callable[..., Any]) -> None:
    play(
        SCRIPTED
        + r"""
        script< bob\tclient_service=imap
        script !close
        script !closed
        """
        + WORKER
    )


def test_it_may_change_the_user_and_the_client(play: Callable[..., Any]) -> None:
    play(
        SCRIPTED
        + r"""
        ..59s
        script< +fd=first +fd=second car\
        script< +fd=third ol\tclient_service=submission\textra
        script !close
        script !closed
        client !closed
        """
        + WORKER.replace("S:", "third>").replace(r"bob\timap", r"carol\tsubmission")
    )


@pytest.mark.parametrize(
    ("happens", "error"),
    [
        ("script !close", "Post-login script denied access to user bob"),
        ("script< +fd=other bob\\\nscript !close", "fd_read(/run/script) failed: disconnected"),
        ("script !lost ECONNRESET", "fd_read(/run/script) failed: Connection reset by peer"),
        ("script< {long}\\", "fd_read(/run/script) failed: answer too long"),
        ("..60s", "Timeout waiting for post-login script to finish, aborting"),
        ("..59s\nscript< bob\n..1s", "Timeout waiting for post-login script to finish, aborting"),
        (
            "script< +fd=file bob\nscript !close",
            "fd_read(/run/script) failed: Socket operation on non-socket",
        ),
    ],
)
def test_it_says_no_or_fails(monkeypatch: pytest.MonkeyPatch, happens: str, error: str) -> None:
    Served(
        monkeypatch,
        SCRIPTED
        + f"""
        {happens}
        script !closed
        log: imap-urlauth(bob): Error: {error}
        client !ended
        ended
        """,
        long=b"x" * 65537,
    ).play()


@pytest.mark.parametrize(
    ("happens", "then", "error"),
    [
        ("script !refuse ENOENT", "", "net_connect_unix(/run/script) failed: No such file or directory"),
        (
            "script !full",
            "..1s",
            "net_connect_unix(/run/script) failed: Resource temporarily unavailable",
        ),
        (
            "script !stuck",
            "script !connect\nscript !lost EPIPE\nscript !closed",
            "net_connect_unix(/run/script) failed: Broken pipe",
        ),
        (
            "script !stuck",
            "script !connect\n..60s\nscript !closed",
            "Timeout waiting for post-login script to finish, aborting",
        ),
    ],
)
def test_it_does_not_listen(play: Callable[..., Any], happens: str, then: str, error: str) -> None:
    play(
        happens
        + HELLO
        + HANDED
        + ASKED
        + SCRIPT
        + ACCEPTED
        + f"""
        {then}
        log: imap-urlauth(bob): Error: {error}
        client !ended
        ended
        """
    )


def test_the_process_ends_while_it_runs(play: Callable[..., Any]) -> None:
    play(
        SCRIPTED
        + """
        !sigterm
        script !closed
        log: imap-urlauth(bob): Info: user bob: Disconnected: Server shutting down
        client !ended
        ended
        """
    )


def test_the_title_tells_how_far_a_client_is(play: Callable[..., Any]) -> None:
    play(
        "title: [idling]\ntitle: [waiting on client]"
        + HELLO
        + HANDED
        + "title: [auth lookup]"
        + ASKED
        + SCRIPT
        + "title: [post-login script]"
        + ACCEPTED
        + r"""
        script !connect
        script> +fd VERSION\tscript-login\t1\t0
        script> \t\tbob\tclient_service=imap\tpostlogin=/run/script\tnopassword
        script< bob\tclient_service=imap
        script !close
        script !closed
        title: [bob]
        """
        + WORKER
        + r"""
        !another
        title: [2 connections]
        another !close
        title: [bob]
        another !ended
        worker !close
        worker !closed
        log: imap-urlauth(bob): Info: user bob: Disconnected: Worker disconnected unexpectedly
        client !ended
        title: [idling]
        """,
        title=True,
    )


def test_nobody_waits_for_another_ones_script(play: Callable[..., Any]) -> None:
    """Its backlog is full for as long as one second."""
    play(
        "script !full"
        + HELLO
        + HANDED
        + ASKED
        + SCRIPT
        + ACCEPTED
        + rf"""
        ..0.1s
        !another
        another< +fd=second {{handoff}}\
        auth> REQUEST\t2\t6221\t1\t{COOKIE.hex()}\tsession_pid={PID}
        auth< USER\t2\tbob\tclient_service=imap
        another> {{accepted}}\
        another !ended
        """
        + WORKER.replace("S:", "second>")
        + """
        ..0.9s
        log: imap-urlauth(bob): Error: net_connect_unix(/run/script) failed: Resource temporarily unavailable
        client !ended
        """
    )


def test_stats_hear_of_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(DOVECOT_2_4_2.stats)
    text = KNOWN + WORKER + "worker< FINISHED\nworker !closed" + WORKER
    text += r"""
        worker< DISCONNECTED
        worker !closed
        log: imap-urlauth(bob): Info: user bob: Disconnected: Client disconnected
        client !ended
        ended
    """
    Served(monkeypatch, text, stats=told).play()
    assert told.fields("auth_master_client_login_started") == [{"id": 1}]
    assert told.fields("auth_master_client_login_finished") == [{"id": 1, "user": "bob"}]
    places = [fields["socket_path"] for fields in told.fields("server_connection_connected")]
    assert places == ["/run/auth-master", "/run/worker", "/run/worker"]
    assert len(told.fields("server_connection_disconnected")) == 3
    assert len(told.fields("client_connection_connected")) == 1
    assert len(told.fields("client_connection_disconnected")) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (r"auth< NOTFOUND\t1", "Authenticated user not found from userdb, auth lookup id=1"),
        (r"auth< FAIL\t1\treason=no", "Internal auth failure: no"),
        ("auth !close", "Disconnected from auth server, aborting"),
        ("login !close", "Aborted"),
    ],
)
def test_stats_hear_of_a_login_that_fails(monkeypatch: pytest.MonkeyPatch, answer: str, error: str) -> None:
    told = Told(DOVECOT_2_4_2.stats)
    served = Served(monkeypatch, HELLO + HANDED + ASKED + answer, stats=told)
    with contextlib.suppress(AssertionError):  # what else happens is other tests' business
        served.play()
    assert told.fields("auth_master_client_login_finished") == [{"id": 1, "error": error}]
    assert told.fields("client_connection_connected") == []
