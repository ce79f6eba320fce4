"""imap-urlauth's start: auth-master is connected to as root, then root is given up."""

from __future__ import annotations

import socket
import types
from typing import TYPE_CHECKING, Any, cast

import pytest

from dovecot_urlauth.broker import main, standalone, start
from dovecot_urlauth.config.settings import Settings
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_19, DOVECOT_2_4_2
from dovecot_urlauth.service.environment import Restrictions
from dovecot_urlauth.service.run import Fatal
from dovecot_urlauth.service.stats import SILENT
from tests.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dovecot_urlauth.broker.stage import BrokerStage
    from dovecot_urlauth.dialect.dialect import Dialect
    from dovecot_urlauth.service.environment import Environment
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.run import Start

    Started = Callable[..., list[Any]]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    """Start with these; return the stage that was to be served, and what was done before, in order."""
    done: list[Any] = []
    sockets: list[socket.socket] = []
    transcript = Transcript("")

    class Process:
        def __init__(self, environment: Environment, dialect: Dialect, log: Log) -> None:
            self.loop, self.dialect, self.log = transcript.loop, dialect, log
            self.stats = SILENT
            self.slots = types.SimpleNamespace(left=None)

        def serve(self, stage: BrokerStage) -> None:
            done.append("serve")
            done.append(stage)

    def connect(path: bytes, patience: float) -> socket.socket:
        if b"missing" in path:
            raise FileNotFoundError(2, "No such file or directory")
        done.append(path)
        sockets.extend(socket.socketpair())
        return sockets[-2]

    monkeypatch.setattr(start, "ServiceProcess", Process)
    monkeypatch.setattr(start, "connect_unix", connect)
    monkeypatch.setattr(start, "start_title", lambda *_: types.SimpleNamespace(show=lambda text: None))
    monkeypatch.setattr(start, "drop_to_restrictions", lambda restrictions: done.append("drop"))
    monkeypatch.setattr(start.sandbox, "enter", lambda *_: done.append("sandbox"))

    def run(
        *arguments: str,
        settings: Mapping[str, str] | None = None,
        under_master: bool = True,
        dialect: Dialect = DOVECOT_2_4_2,
    ) -> list[Any]:
        monkeypatch.setattr(start, "read_settings", lambda *_: Settings(settings or {}))
        begun = types.SimpleNamespace(
            arguments=arguments,
            executable="imap-urlauth",
            environment=types.SimpleNamespace(under_master=under_master, restrictions=Restrictions()),
            dialect=dialect,
            log=transcript.log,
        )
        assert start.serve(cast("Start", begun), None) == 0
        transcript.loop._give_up_tasks()
        return done

    yield run
    for opened in sockets:
        opened.close()


def test_rights_are_given_up_after_auth_is_connected(started: Started) -> None:
    assert started()[:-1] == [b"auth-master", "drop", "sandbox", "serve"]


@pytest.mark.parametrize(
    ("dialect", "path"), [(DOVECOT_2_3_19, b"option"), (DOVECOT_2_4_2, b"setting")], ids=["2.3", "2.4"]
)
def test_who_names_auths_socket(started: Started, dialect: Dialect, path: bytes) -> None:
    done = started("-a", "option", settings={"auth_master_socket_path": "setting"}, dialect=dialect)
    assert done[0] == path


def test_what_the_settings_say(started: Started) -> None:
    stage = started(
        settings={
            "mail_debug": "yes",
            "base_dir": "/run/d",
            "imap_urlauth_submit_user": "submit",
            "imap_urlauth_stream_user": "stream",
        }
    ).pop()
    assert stage.log.pipe.debugging
    assert stage.worker_path == b"/run/d/imap-urlauth-worker"
    assert (stage.users.submit, stage.users.stream) == (b"submit", b"stream")
    assert (stage.is_login, stage.takes_descriptors) == (False, True)
    stage.child_exited()


def test_without_auth_there_is_no_service(started: Started) -> None:
    with pytest.raises(Fatal, match=r"net_connect_unix\(missing\) failed: No such file or directory"):
        started(settings={"auth_master_socket_path": "missing"})


def test_without_master_it_serves_standard_input(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standalone, "serve_standard_streams", lambda start: 0)
    assert started(under_master=False) == []


def test_the_worker_that_was_called_serves_the_first_client(started: Started) -> None:
    stage = started().pop()
    ours, theirs = socket.socketpair()
    stage._preconnected = ours
    connection = stage.take_preconnected()
    assert connection is not None
    connection.send_now(b"x")
    assert theirs.recv(1) == b"x"
    assert stage.take_preconnected() is None
    connection.close()
    theirs.close()


def test_unless_it_has_gone(started: Started) -> None:
    stage = started().pop()
    ours, theirs = socket.socketpair()
    theirs.close()
    stage._preconnected = ours
    assert stage.take_preconnected() is None
    assert ours.fileno() < 0


@pytest.mark.parametrize("serves_one", [True, False])
def test_whom_imap_urlauth_calls(monkeypatch: pytest.MonkeyPatch, serves_one: bool) -> None:
    calls: list[bytes] = []
    monkeypatch.setattr(main, "serves_one_waiting_client", lambda: serves_one)
    monkeypatch.setattr(main, "preconnect", calls.append)
    monkeypatch.setattr("dovecot_urlauth.service.run.run", lambda argv, name, stage: 0)
    assert main.main(["imap-urlauth"]) == 0
    assert calls == ([b"imap-urlauth-worker"] if serves_one else [])
