"""imap-urlauth-login's start: what the options, the settings and the environment make of it."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, cast

import pytest

from dovecot_urlauth.config.settings import Settings
from dovecot_urlauth.dialect.versions import DOVECOT_2_4_2
from dovecot_urlauth.login import start
from dovecot_urlauth.service.environment import Restrictions
from dovecot_urlauth.service.run import Fatal
from dovecot_urlauth.service.stats import SILENT
from tests.transcript import Transcript

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from dovecot_urlauth.dialect.dialect import Dialect
    from dovecot_urlauth.login.stage import LoginStage
    from dovecot_urlauth.service.environment import Environment
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.run import Start

    Started = Callable[..., tuple[LoginStage, list[Any]]]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """Start with these; return the stage that was to be served, and what was done before, in order."""
    done: list[Any] = []
    transcript = Transcript("")

    class Process:
        def __init__(self, environment: Environment, dialect: Dialect, log: Log) -> None:
            self.loop, self.dialect, self.log = transcript.loop, dialect, log
            self.stats = SILENT
            self.slots = types.SimpleNamespace(left=None)

        def serve(self, stage: LoginStage, first: socket.socket | None) -> None:
            done.append("serve")
            done.append(stage)

    monkeypatch.setattr(start, "ServiceProcess", Process)
    monkeypatch.setattr(start, "start_title", lambda *_: types.SimpleNamespace(show=lambda text: None))
    monkeypatch.setattr(start, "drop_to_restrictions", lambda restrictions: done.append("drop"))
    monkeypatch.setattr(start.resource, "setrlimit", lambda *_: done.append("no children"))
    monkeypatch.setattr(start.sandbox, "enter", lambda *_: done.append("sandbox"))

    def run(
        *arguments: str,
        settings: Mapping[str, str] | None = None,
        under_master: bool = True,
        **restrictions: Any,
    ) -> tuple[LoginStage, list[Any]]:
        monkeypatch.setattr(start, "read_settings", lambda *_: Settings(settings or {}))
        begun = types.SimpleNamespace(
            arguments=arguments,
            executable="imap-urlauth-login",
            environment=types.SimpleNamespace(
                under_master=under_master, restrictions=Restrictions(**restrictions)
            ),
            dialect=DOVECOT_2_4_2,
            log=transcript.log,
        )
        assert start.serve(cast("Start", begun), None, None) == 0
        transcript.loop._give_up_tasks()
        return done.pop(), done

    return run


def paths(stage: LoginStage) -> tuple[bytes, bytes]:
    return stage.auth._path, stage.handoff_path(None)


def test_rights_are_given_up_before_the_first_client(started: Started) -> None:
    _, done = started(uid=97, chroot=b"/run/dovecot/token-login")
    assert done == ["drop", "no children", "sandbox", "serve"]


def test_where_the_sockets_are(started: Started) -> None:
    assert paths(started(chroot=b"/run/dovecot/token-login")[0]) == (b"tokenlogin", b"imap-urlauth")
    assert paths(started()[0]) == (b"token-login/tokenlogin", b"token-login/imap-urlauth")


def test_an_argument_and_an_option_name_other_sockets(started: Started) -> None:
    stage, _ = started("-l", "postlogin", "other", chroot=b"/x", settings={"login_socket_path": "setting"})
    assert paths(stage) == (b"other", b"postlogin")
    stage, _ = started(chroot=b"/x", settings={"login_socket_path": "setting"})
    assert paths(stage) == (b"setting", b"imap-urlauth")


def test_auth_debug_is_heard(started: Started) -> None:
    stage, _ = started(settings={"auth_debug": "yes"})
    assert stage.log.pipe.debugging


def test_it_does_not_stand_alone(started: Started) -> None:
    with pytest.raises(Fatal, match="must be started by Dovecot's master"):
        started(under_master=False)
