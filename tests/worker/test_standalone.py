"""The worker without master: the fetch protocol on two pipes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from dovecot_urlauth.config.settings import Settings
from dovecot_urlauth.service.privileges import PrivilegesKept
from dovecot_urlauth.service.run import EXIT_OK, Fatal
from dovecot_urlauth.url.rules import RULES_2_4
from dovecot_urlauth.worker import standalone
from dovecot_urlauth.worker.standalone import serve_standard_streams
from dovecot_urlauth.worker.target import TargetUser
from tests.worker import fakes

DIALECT = SimpleNamespace(load_url_rules=lambda: RULES_2_4, userdb_minor=4, user_log_prefix="")
CONFIG: Any = SimpleNamespace(dialect=DIALECT, userdb_path=b"auth-userdb", audit=False, settings=Settings({}))


class Lines:
    def __init__(self) -> None:
        self.errors: list[str] = []
        self.pipe = SimpleNamespace(debugging=False)

    def with_prefix(self, prefix: str) -> Lines:
        return self

    def debug(self, text: str) -> None:
        """Not looked at."""

    def error(self, text: str) -> None:
        self.errors.append(text)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[bytes, Lines]]]:
    """Serves what is said on stdin; what came out on stdout, and the log."""
    closing: list[int] = []

    def served(said: bytes, *arguments: str, fails: Exception | None = None) -> tuple[bytes, Lines]:
        stdin, teller = os.pipe()
        listener, stdout = os.pipe()
        closing.append(listener)
        os.write(teller, said)
        os.close(teller)
        monkeypatch.setattr(standalone, "STDIN", stdin)
        monkeypatch.setattr(standalone, "STDOUT", stdout)

        async def find(name: bytes, *others: Any) -> TargetUser:
            return TargetUser(name, name, None, None)

        async def open_target(*others: Any) -> Any:
            if fails is not None:
                raise fails
            return fakes.target()

        monkeypatch.setattr(standalone, "find_target", find)
        monkeypatch.setattr(standalone, "open_target", open_target)
        lines = Lines()
        start: Any = SimpleNamespace(log=lines)
        options: Any = SimpleNamespace(all=lambda letter: ("stream",))
        assert serve_standard_streams(start, CONFIG, options, arguments) == EXIT_OK
        os.set_blocking(listener, False)
        try:
            return os.read(listener, 10_000), lines
        except BlockingIOError:
            return b"", lines

    yield served
    for fd in closing:
        os.close(fd)


def test_from_user_to_end(run: Callable[..., tuple[bytes, Lines]]) -> None:
    said, log = run(b"USER\talice\nURL\t" + fakes.signed() + b"\nEND\n", "bob")
    assert said == b"OK\nOK\t3\nabc\n"
    assert log.errors == []


def test_the_access_user_may_be_in_the_environment(
    run: Callable[..., tuple[bytes, Lines]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USER", "anonymous")
    monkeypatch.setenv("DEBUG", "1")
    said, log = run(b"USER\talice\nURL\t" + fakes.signed() + b"\nEND\n")
    assert said == b"OK\nNO\n"
    assert log.pipe.debugging


def test_nobody_is_a_fatal_error(run: Callable[..., tuple[bytes, Lines]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("USER", raising=False)
    with pytest.raises(Fatal, match="USER environment missing"):
        run(b"")


def test_a_word_out_of_turn(run: Callable[..., tuple[bytes, Lines]]) -> None:
    said, log = run(b"END\n", "bob")
    assert said == b""
    assert log.errors == [
        "Client input error: Unknown or inappropriate command: END",
        "Session aborted: Unexpected input",
    ]


def test_privileges_that_are_kept(run: Callable[..., tuple[bytes, Lines]]) -> None:
    with pytest.raises(Fatal, match="kept"):
        run(b"USER\talice\n", "bob", fails=PrivilegesKept("kept"))
