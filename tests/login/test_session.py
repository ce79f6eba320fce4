"""Clients of imap-urlauth-login, from their first byte to the hand-off or the line that says why not."""

from __future__ import annotations

import contextlib
import os
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, cast

import pytest

from dovecot_urlauth.dialect.dialect import Dialect
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_13, DOVECOT_2_3_19, DOVECOT_2_4_2
from dovecot_urlauth.login import auth, handoff, session, stage
from dovecot_urlauth.login.logformat import LogFormat
from dovecot_urlauth.login.stage import LoginStage
from dovecot_urlauth.service.process import MasterDied, ProcessFull, Terminated
from dovecot_urlauth.service.sockets import PeerCredentials
from dovecot_urlauth.service.stats import SILENT, Stats
from dovecot_urlauth.wire.handoff import STATUS_INTERNAL_ERROR, STATUS_OK, Handoff, pack, pack_reply
from tests.telling import Told
from tests.transcript import Recorder, Transcript

if TYPE_CHECKING:
    from dovecot_urlauth.service.connection import Connection

COOKIE = bytes(range(16))
PID = os.getpid()
HANDSHAKE = rf"""
    auth !connect
    auth> VERSION\t1\t4\nCPID\t{PID}
    auth< VERSION\t1\t4
    auth< MECH\tDOVECOT-TOKEN\tprivate
    auth< SPID\t6204
    auth< CUID\t3
    auth< COOKIE\t{COOKIE.hex()}
    auth< DONE
"""
GREETING = r"""
    S: VERSION\timap-urlauth\t2\t0
"""
VERSION = r"""
    C: VERSION\timap-urlauth\t2\t0
"""
AUTH = r"""
    C: AUTH\timap\t6216\tbob\tsession\ttoken
"""
QUESTION = (
    "AUTH\\t{id}\\tDOVECOT-TOKEN\\tprotocol=imap-urlauth\\tfinal-resp-ok\\tsecured\\tno-penalty\\tsession=S\\t"
)
ASKED = r"""
    auth> AUTH\t1\tDOVECOT-TOKEN\tprotocol=imap-urlauth\tfinal-resp-ok\tsecured\tno-penalty\t\
    auth> session=S\tresp=aW1hcAA2MjE2AGJvYgBzZXNzaW9uAHRva2Vu
"""
OPENED = HANDSHAKE + GREETING + VERSION + AUTH + ASKED
SENT = r"""
    auth< OK\t1\tuser=bob
    broker !connect
    broker> +fd {handoff}\
"""
ABORTED = "log: Info: Login aborted: "
UNKNOWN = ": user=<>, secured, session=<S>"
ASKING = ": user=<>, method=DOVECOT-TOKEN, secured, session=<S>"
BOB = ": user=<bob>, method=DOVECOT-TOKEN, secured, session=<S>"
NO_ATTEMPT = "(no auth attempts in {} secs) (no_auth_attempts)"
NOT_READY = "(disconnected before auth was ready, waited {} secs) (auth_process_not_ready)"
INTERNAL = "(internal failure, 1/1 successful auths in 0 secs) (internal_failure)"
NOT_CONNECTED = "Transport endpoint is not connected"
CLOSED = """
    ended
"""
END = """
    client !ended
    ended
"""


def the_handoff(dialect: Dialect = DOVECOT_2_4_2, tag: int = 1, auth_id: int = 1, surplus: bytes = b"") -> Handoff:
    return Handoff(tag, 6204, auth_id, PID, COOKIE, dialect.handoff.flags, 77, b"S\0" + surplus)


class Played:
    """A login stage with one client, called bob, over a transcript."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        text: str,
        dialect: Dialect = DOVECOT_2_4_2,
        bytewise: bool = False,
        peer_pid: int = 6216,
        title: bool = False,
        stats: Stats = SILENT,
        **values: Any,
    ) -> None:
        values = {"handoff": pack(dialect.handoff, the_handoff(dialect)), "pid": PID, **values}
        self.transcript = Transcript(text, values=values, bytewise=bytewise)
        self.transcript.paths = {b"tokenlogin": "auth", b"imap-urlauth": "broker", b"other": "other"}
        monkeypatch.setattr(auth, "connect", self.transcript.connect)
        monkeypatch.setattr(handoff, "connect", self.transcript.connect)
        monkeypatch.setattr(session, "new_session_id", lambda: b"S")
        process = types.SimpleNamespace(loop=self.transcript.loop, log=self.transcript.log, dialect=dialect)
        texts = dialect.login_texts
        shown = Recorder(self.transcript, "title") if title else types.SimpleNamespace(show=lambda text: None)
        log_format = LogFormat(texts.log_format, texts.log_format_elements, texts.element_rules)
        self.stage = LoginStage(process, shown, log_format, stats=stats)
        self.transcript.actions = {
            "sigterm": lambda: self.transcript.cancel(Terminated()),
            "full": lambda: self.transcript.cancel(ProcessFull()),
            "master": lambda: self.transcript.cancel(MasterDied()),
            "another": self.accept,
            "foreign": lambda: setattr(
                self.transcript.connections["client"], "credentials", PeerCredentials(0, 1000, 1000)
            ),
            "stranger": lambda: self.accept("stranger", 1001),
            "nameless": lambda: setattr(self.transcript.connections["client"], "credentials", None),
        }

    def accept(self, name: str = "another", uid: int = 1000) -> None:
        client = self.transcript.connection(name)
        client.credentials = PeerCredentials(6216, uid, 1000)
        self.transcript.loop.spawn(self.stage.serve(cast("Connection", client)), name)

    def play(self) -> None:
        client = self.transcript.connection("client")
        client.credentials = PeerCredentials(6216, 1000, 1000)
        self.stage.start()
        self.transcript.play(self.stage.serve(cast("Connection", client)))


@pytest.fixture(params=[False, True], ids=["whole", "bytewise"])
def play(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    def run(text: str, **options: Any) -> None:
        Played(monkeypatch, text, bytewise=request.param, **options).play()

    return run


def reply(status: int = STATUS_OK, tag: int = 1) -> bytes:
    return pack_reply(tag, status, 8897)


def test_a_client_is_let_in(play: Callable[..., Any]) -> None:
    play(
        OPENED
        + SENT
        + r"""
        broker< {reply}\
        broker !closed
        log: Info: Logged in: user=<bob>, method=DOVECOT-TOKEN, mpid=8897, secured, session=<S>
        ended
        """,
        reply=reply(),
    )


def test_on_2_3_it_hears_nothing_before(play: Callable[..., Any]) -> None:
    play(
        rf"""
        auth !connect
        auth> VERSION\t1\t2\nCPID\t{PID}
        auth< VERSION\t1\t2
        auth< MECH\tDOVECOT-TOKEN
        auth< SPID\t6204\nCUID\t3\nCOOKIE\t{COOKIE.hex()}\nDONE
        C: VERSION\timap-urlauth\t2\t0
        C: AUTH\timap\t6216\tbob\tsession\ttoken
        auth> AUTH\t1\tDOVECOT-TOKEN\tservice=imap-urlauth\tsecured\tno-penalty\tsession=S\t\
        auth> resp=aW1hcAA2MjE2AGJvYgBzZXNzaW9uAHRva2Vu
        auth< OK\t1\tuser=bob
        broker !connect
        broker> +fd {{handoff}}\
        broker< {{reply}}\
        broker !closed
        log: Info: Login: user=<bob>, method=DOVECOT-TOKEN, mpid=8897, secured, session=<S>
        ended
        """,
        dialect=DOVECOT_2_3_19,
        reply=reply(),
    )


def test_what_it_says_too_early_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    Played(
        monkeypatch,
        HANDSHAKE
        + GREETING
        + r"""
        C: VERSION\timap-urlauth\t2\t0\nAUTH\timap\t6216\tbob\tsession\ttoken\nURL\timap:x
        """
        + ASKED
        + SENT,
        handoff=pack(DOVECOT_2_4_2.handoff, the_handoff(surplus=b"URL\timap:x\n")),
    ).play()


def test_auth_names_another_socket(play: Callable[..., Any]) -> None:
    play(
        OPENED
        + r"""
        auth< OK\t1\tuser=bob\tpostlogin_socket=other
        other !connect
        other> +fd {handoff}\
        """
    )


def test_auth_names_no_path(play: Callable[..., Any]) -> None:
    play(
        OPENED
        + r"""
        auth< OK\t1\tuser=bob\tpostlogin_socket=../other
        broker !connect
        broker> +fd {handoff}\
        """
    )


@pytest.mark.parametrize(
    ("line", "error", "reason"),
    [
        (
            r"VERSION\timap-urlauth\t1\t0",
            "IMAP URLAUTH client not compatible with this server (mixed old and new binaries?) "
            "VERSION?imap-urlauth?1?0",
            "Version mismatch",
        ),
        (
            VERSION.strip()[3:] + r"\nAUTH\tx",
            "IMAP URLAUTH client sent unexpected AUTH input: AUTH?x",
            "Unexpected input",
        ),
        (
            VERSION.strip()[3:] + r"\nAUTH\tpop3\t6216\tbob\tsession\ttoken",
            "IMAP URLAUTH accessed from inappropriate service: pop3",
            "Unexpected input",
        ),
        (
            VERSION.strip()[3:] + r"\nAUTH\timap\t1\tbob\tsession\ttoken",
            "IMAP URLAUTH client sent invalid session pid 1 in AUTH request: "
            "it did not match peer credentials (pid=6216, uid=1000)",
            "Invalid AUTH request",
        ),
    ],
)
def test_wrong_lines(play: Callable[..., Any], line: str, error: str, reason: str) -> None:
    play(
        HANDSHAKE
        + GREETING
        + rf"""
        C: {line}
        log: Error: {error}{UNKNOWN}
        {ABORTED}{reason} {NO_ATTEMPT.format(0)}{UNKNOWN}
        client !ended
        ended
        """
    )


def test_an_endless_line(monkeypatch: pytest.MonkeyPatch) -> None:
    Played(
        monkeypatch,
        HANDSHAKE + GREETING + "C: {long}\n" + f"{ABORTED}Input buffer full {NO_ATTEMPT.format(0)}{UNKNOWN}" + END,
        long=b"x" * 1026,
    ).play()


def test_a_client_whose_credentials_the_kernel_does_not_know(play: Callable[..., Any]) -> None:
    play(
        HANDSHAKE
        + GREETING
        + "!nameless"
        + VERSION
        + AUTH
        + f"""
        log: Error: IMAP URLAUTH client's peer credentials are missing: {NOT_CONNECTED}{UNKNOWN}
        {ABORTED}Invalid AUTH request {NO_ATTEMPT.format(0)}{UNKNOWN}
        client !ended
        ended
        """
    )


def test_a_client_of_another_pid_namespace_is_not_pid_0(play: Callable[..., Any]) -> None:
    play(
        HANDSHAKE
        + GREETING
        + "!foreign"
        + VERSION
        + AUTH.replace("6216", "0")
        + f"""
        log: Error: IMAP URLAUTH client's peer credentials are missing: it lives in another pid namespace{UNKNOWN}
        {ABORTED}Invalid AUTH request {NO_ATTEMPT.format(0)}{UNKNOWN}
        client !ended
        ended
        """
    )


@pytest.mark.parametrize(
    ("answer", "why", "user"),
    [
        (r"FAIL\t1\tuser=bob", "auth failed, 1 attempts in 2 secs) (auth_failed", BOB),
        (r"FAIL\t1", "auth failed, 1 attempts in 2 secs) (auth_failed", ASKING),
        (
            r"FAIL\t1\tcode=temp_fail",
            "auth service reported temporary failure, 1 attempts in 2 secs) (temp_failed",
            ASKING,
        ),
        (r"OK\t1\tuser=bob\tnologin", "auth failed, 1 attempts in 2 secs) (auth_failed", BOB),
    ],
)
def test_auth_says_no(play: Callable[..., Any], answer: str, why: str, user: str) -> None:
    play(
        OPENED
        + rf"""
        ..2s
        auth< {answer}
        S: FAILED
        {ABORTED}Authentication failed ({why}){user}
        client !ended
        ended
        """
    )


def test_auth_is_silent_for_150_seconds(play: Callable[..., Any]) -> None:
    play(
        OPENED
        + rf"""
        ..149s
        ..1s
        S: FAILED
        auth> CANCEL\t1
        {ABORTED}Authentication failed (auth service reported temporary failure, 1 attempts in 150 secs) \
(temp_failed){ASKING}
        client !ended
        ended
        """.replace("\\\n", "")
    )


def test_auth_is_lost_while_it_thinks(play: Callable[..., Any]) -> None:
    play(
        OPENED
        + rf"""
        auth !close
        log: Warning: Auth connection closed with 1 pending requests (pid={PID}, EOF)
        auth !closed
        S: FAILED
        {ABORTED}Authentication failed (auth process communication failure, 1 attempts in 0 secs) \
(auth_process_comm_fail){ASKING}
        client !ended
        ended
        ..5s
        auth !connect
        auth> VERSION\t1\t4\nCPID\t{PID}
        """.replace("\\\n", "")
    )


def test_auth_is_lost_before_the_question(play: Callable[..., Any]) -> None:
    play(
        HANDSHAKE
        + GREETING
        + VERSION
        + r"""
        auth !lost ECONNRESET
        auth !closed
        """
        + AUTH
        + f"""
        S: FAILED
        {ABORTED}Auth process broken (auth process communication failure, 1 attempts in 0 secs) \
(auth_process_comm_fail){UNKNOWN}
        client !ended
        ended
        """.replace("\\\n", "")
    )


def test_a_client_makes_login_connect_to_auth_again_at_once(play: Callable[..., Any]) -> None:
    play(
        HANDSHAKE
        + GREETING
        + r"""
        ..1s
        auth !close
        auth !closed
        ..1s
        !another
        """
        + HANDSHAKE
        + r"""
        another> VERSION\timap-urlauth\t2\t0
        """
    )


def test_auth_is_not_ready(play: Callable[..., Any]) -> None:
    play(
        rf"""
        auth !connect
        auth> VERSION\t1\t4\nCPID\t{PID}
        ..10s
        log: Warning: Auth process not responding, delayed sending initial response (greeting){UNKNOWN}
        ..20s
        log: Error: auth-client: conn unix:tokenlogin: Timeout waiting for handshake from auth server. \
my pid={PID}, input bytes=0
        auth !closed
        auth !connect
        auth> VERSION\t1\t4\nCPID\t{PID}
        auth !refuse ECONNREFUSED
        ..30s
        log: Error: auth-client: conn unix:tokenlogin: Timeout waiting for handshake from auth server. \
my pid={PID}, input bytes=0
        auth !closed
        log: Error: auth-client: conn unix:tokenlogin: connect(tokenlogin) failed: Connection refused
        ..5s
        """.replace("\\\n", "")
        + HANDSHAKE
        + GREETING
        + r"""
        ..114s
        ..1s
        """
        + f"{ABORTED}Inactivity {NO_ATTEMPT.format(180)}{UNKNOWN}"
        + END
    )


def test_auth_is_never_ready(play: Callable[..., Any]) -> None:
    play(
        rf"""
        auth !connect
        auth> VERSION\t1\t4\nCPID\t{PID}
        auth< VERSION\t2\t0
        log: Error: auth-client: conn unix:tokenlogin: Auth server sent invalid version line: VERSION?2?0
        auth !closed
        !full
        {ABORTED}Connection queue full {NOT_READY.format(0)}{UNKNOWN}
        client !ended
        ended
        """
    )


@pytest.mark.parametrize("before", ["", VERSION])
def test_silence(play: Callable[..., Any], before: str) -> None:
    play(HANDSHAKE + GREETING + before + f"..180s\n{ABORTED}Inactivity {NO_ATTEMPT.format(180)}{UNKNOWN}" + END)


def test_each_byte_gives_more_time(play: Callable[..., Any]) -> None:
    play(
        HANDSHAKE
        + GREETING
        + "..170s\nC: VERS\\\n..170s\nC: ION\\timap-urlauth\\t2\\t0\n..180s\n"
        + f"{ABORTED}Inactivity {NO_ATTEMPT.format(520)}{UNKNOWN}"
        + END
    )


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        (DOVECOT_2_3_13, "Disconnected: Disconnected"),
        (DOVECOT_2_3_19, "Disconnected: Connection closed"),
        (DOVECOT_2_4_2, f"Login aborted: Connection closed {NO_ATTEMPT.format(0)}"),
    ],
)
def test_the_client_leaves(play: Callable[..., Any], dialect: Dialect, text: str) -> None:
    minor = dialect.auth_client_minor
    greeting = GREETING if dialect.login_greets else ""
    opened = HANDSHAKE.replace("4\\nCPID", f"{minor}\\nCPID") + greeting
    play(opened + f"client !close\nlog: Info: {text}{UNKNOWN}" + END, dialect=dialect)


def test_the_clients_connection_breaks(play: Callable[..., Any]) -> None:
    play(
        HANDSHAKE
        + GREETING
        + "client !lost ECONNRESET\n"
        + f"{ABORTED}Connection closed: Connection reset by peer {NO_ATTEMPT.format(0)}{UNKNOWN}"
        + END
    )


def test_the_client_leaves_before_auth_is_there(play: Callable[..., Any]) -> None:
    play(
        rf"""
        auth !connect
        auth> VERSION\t1\t4\nCPID\t{PID}
        ..3s
        client !close
        {ABORTED}Connection closed {NOT_READY.format(3)}{UNKNOWN}
        client !ended
        ended
        """
    )


def test_the_client_leaves_while_auth_thinks(play: Callable[..., Any]) -> None:
    play(
        OPENED
        + rf"""
        client !close
        auth> CANCEL\t1
        {ABORTED}Connection closed (auth failed, 1 attempts in 0 secs) (auth_failed){ASKING}
        client !ended
        ended
        auth< CANCELLED\t1
        auth< OK\t1\tuser=bob
        """
    )


def test_the_client_leaves_while_it_is_handed_on(play: Callable[..., Any]) -> None:
    play(
        OPENED
        + SENT
        + f"""
        client !close
        broker !closed
        {ABORTED}Connection closed {INTERNAL}{BOB}
        ended
        """
    )


FAILED_LINE = "log: Error: master(imap-urlauth): {} (client-pid={{pid}}, client-id=1, rip=, created {} msecs ago, "


@pytest.mark.parametrize(
    ("happens", "error", "got", "age"),
    [
        (
            "broker !close",
            "read() failed: Remote closed connection (destination service { process_limit } reached?)",
            0,
            0,
        ),
        (
            "broker< abc\\\nbroker !close",
            "read() failed: Remote closed connection (destination service { process_limit } reached?)",
            3,
            0,
        ),
        ("broker !lost ECONNRESET", "read() failed: Connection reset by peer", 0, 0),
        ("broker< {other}\\", "Received reply with unknown tag 9", 12, 0),
        ("..90s", "Login request timed out", 0, 90000),
    ],
)
def test_imap_urlauth_does_not_take_the_client(
    play: Callable[..., Any], happens: str, error: str, got: int, age: int
) -> None:
    play(
        OPENED
        + SENT
        + happens
        + f"""
        {FAILED_LINE.format(error, age)}received {got}/4 bytes)
        broker !closed
        auth> CANCEL\\t1
        client !shutdown
        {ABORTED}Internal login failure (pid={PID} id=1) {INTERNAL.replace("0", str(age // 1000))}{BOB}
        client !ended
        ended
        """,
        other=reply(tag=9),
    )


def test_imap_urlauth_refuses_and_has_said_why(play: Callable[..., Any]) -> None:
    play(
        OPENED
        + SENT
        + rf"""
        broker< {{no}}\
        broker !closed
        auth> CANCEL\t1
        client !shutdown
        {ABORTED}Internal login failure (pid={PID} id=1) {INTERNAL}{BOB}
        client !ended
        ended
        """,
        no=reply(STATUS_INTERNAL_ERROR),
    )


def test_imap_urlauth_is_not_there(play: Callable[..., Any]) -> None:
    play(
        "broker !refuse ENOENT\n"
        + OPENED
        + rf"""
        auth< OK\t1\tuser=bob
        {FAILED_LINE.format("net_connect_unix(imap-urlauth) failed: No such file or directory", 0)}\
received 0/4 bytes)
        auth> CANCEL\t1
        client !shutdown
        {ABORTED}Internal login failure (pid={PID} id=1) {INTERNAL}{BOB}
        client !ended
        ended
        """.replace("\\\n", "")
    )


def test_imap_urlauths_backlog_is_full_for_a_moment(play: Callable[..., Any]) -> None:
    play(
        "broker !full\n" * 3
        + OPENED
        + r"""
        auth< OK\t1\tuser=bob
        ..0.06s
        log: Warning: net_connect_unix(imap-urlauth) succeeded only after 3 retries - took 60000 us
        broker !connect
        broker> +fd {handoff}\
        """
    )


def test_imap_urlauths_backlog_is_full_for_long(play: Callable[..., Any]) -> None:
    play(
        "broker !full\n" * 30
        + OPENED
        + rf"""
        auth< OK\t1\tuser=bob
        ..0.6s
        {FAILED_LINE.format("net_connect_unix(imap-urlauth) failed: Resource temporarily unavailable", 500)}\
received 0/4 bytes)
        auth> CANCEL\t1
        client !shutdown
        {ABORTED}Internal login failure (pid={PID} id=1) {INTERNAL}{BOB}
        client !ended
        ended
        """.replace("\\\n", "")
    )


def test_imap_urlauth_takes_no_byte(play: Callable[..., Any]) -> None:
    play(
        "broker !stuck\n"
        + OPENED
        + rf"""
        auth< OK\t1\tuser=bob
        broker !connect
        ..90s
        {FAILED_LINE.format("Login request timed out", 90000)}received 0/4 bytes)
        broker !closed
        auth> CANCEL\t1
        client !shutdown
        {ABORTED}Internal login failure (pid={PID} id=1) {INTERNAL.replace("0", "90")}{BOB}
        client !ended
        ended
        """
    )


OVER = {
    "full": (
        "Connection queue full",
        "client_limit and process_limit was hit and this login session was killed.) (process_full",
    ),
    "sigterm": ("Server shutting down", "The process is shutting down so the login is aborted.) (shutting_down"),
    "master": ("Server shutting down", "The process is shutting down so the login is aborted.) (shutting_down"),
}


@pytest.mark.parametrize("event", list(OVER))
@pytest.mark.parametrize(
    ("opened", "user", "cancelled"),
    [
        (HANDSHAKE + GREETING, UNKNOWN, ""),
        (OPENED, ASKING, "auth> CANCEL\\t1\n"),
        (OPENED + SENT, BOB, "broker !closed\n"),
    ],
    ids=["reading", "asking", "handing-on"],
)
def test_the_process_lets_go(play: Callable[..., Any], event: str, opened: str, user: str, cancelled: str) -> None:
    reason, details = OVER[event]
    play(
        opened
        + f"!{event}\n{cancelled}{ABORTED}{reason} ({details}){user}"
        + (CLOSED if opened.endswith(SENT) else END)
    )


def test_a_client_that_does_not_take_the_greeting(play: Callable[..., Any]) -> None:
    opening, done = HANDSHAKE.rsplit("auth< DONE", 1)
    play(
        opening
        + "client !stuck\nauth< DONE"
        + done
        + f"{ABORTED}Connection closed {NO_ATTEMPT.format(0)}{UNKNOWN}"
        + END
    )


ANOTHER = r"""
    !another
    another> VERSION\timap-urlauth\t2\t0
"""
STRANGER = ANOTHER.replace("another", "stranger")
DROPPED = f"{ABORTED}Too many connections without a token {NO_ATTEMPT.format(0)}{UNKNOWN}"


def test_too_many_of_one_uid_have_no_token(play: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has waited longest goes; another uid's and those who have said theirs do not count."""
    monkeypatch.setattr(stage, "MOST_TOKENLESS", 1)
    play(HANDSHAKE + GREETING + STRANGER + ANOTHER + DROPPED + END)
    play(OPENED + ANOTHER + SENT)


def test_who_has_left_or_been_dropped_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "MOST_TOKENLESS", 1)
    played = Played(monkeypatch, HANDSHAKE + GREETING + STRANGER + ANOTHER + DROPPED + END)
    played.play()
    assert {uid: len(clients) for uid, clients in played.stage._tokenless.items()} == {}


def test_the_title_counts_clients(play: Callable[..., Any]) -> None:
    play(
        "title: [pre-login]"
        + HANDSHAKE
        + GREETING
        + r"""
        !another
        title: [2 pre-login]
        another> VERSION\timap-urlauth\t2\t0
        client !close
        """
        + f"{ABORTED}Connection closed {NO_ATTEMPT.format(0)}{UNKNOWN}\nclient !ended\n"
        + "title: [pre-login]",
        title=True,
    )


def test_the_next_client_has_the_next_ids(play: Callable[..., Any]) -> None:
    play(
        OPENED
        + SENT
        + r"""
        !another
        another> VERSION\timap-urlauth\t2\t0
        another< VERSION\timap-urlauth\t2\t0
        another< AUTH\timap\t6216\tbob\tsession\ttoken
        """
        + ASKED.replace("AUTH\\t1", "AUTH\\t2")
        + r"""
        auth< OK\t2\tuser=bob
        broker !connect
        broker> +fd {second}\
        """,
        second=pack(DOVECOT_2_4_2.handoff, the_handoff(tag=2, auth_id=2)),
    )


def test_what_nobody_foresaw_in_auths_lines_ends_no_other_client(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played(
        monkeypatch,
        OPENED
        + r"""
        auth< OK\t1\tuser=bob
        auth !closed
        log: Error: KeyError
        S: FAILED
        """
        + f"{ABORTED}Authentication failed (auth process communication failure, 1 attempts in 0 secs) "
        + f"(auth_process_comm_fail){ASKING}\nclient !ended\n..5s"
        + HANDSHAKE,
    )

    def crash(self: auth.AuthClient) -> NoReturn:
        raise KeyError

    def on_crash(name: str, error: Any) -> None:
        played.transcript.log.error(type(error).__name__)
        monkeypatch.undo()
        monkeypatch.setattr(auth, "connect", played.transcript.connect)

    played.transcript.loop.on_crash = on_crash
    real = auth.AuthClient.next_event
    monkeypatch.setattr(auth.AuthClient, "next_event", lambda self: crash(self) if self.pending else real(self))
    played.play()


QUESTIONED = {
    "id": 1,
    "mechanism": "DOVECOT-TOKEN",
    "protocol": "imap-urlauth",
    "transport": "secured",
    "session": "S",
}


@pytest.mark.parametrize(
    ("answer", "more"),
    [
        (r"auth< OK\t1\tuser=bob", {"user": "bob"}),
        (r"auth< FAIL\t1\tuser=bob", {"user": "bob", "error": "Authentication failed"}),
        ("auth !close", {"error": "Lost connection to server"}),
        ("..150s", {"error": "Timed out"}),
        ("client !close", {"error": "Aborted"}),
    ],
)
def test_stats_hear_of_a_question_to_auth(
    monkeypatch: pytest.MonkeyPatch, answer: str, more: dict[str, str]
) -> None:
    told = Told(DOVECOT_2_4_2.stats)
    played = Played(monkeypatch, OPENED + answer, stats=told)
    with contextlib.suppress(AssertionError):  # what else happens is other tests' business
        played.play()
    assert told.fields("auth_client_request_started") == [QUESTIONED]
    assert told.fields("auth_client_request_finished") == [QUESTIONED | more]
    [connected] = told.fields("server_connection_connected")
    assert connected["socket_path"] == "token-login/tokenlogin" or connected["socket_path"] == "tokenlogin"
    assert told.events[0][1] == ("auth-client",)
    assert len(told.fields("server_connection_disconnected")) == 1
