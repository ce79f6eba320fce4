"""Whatever a stage ends with becomes an exit status and at most one line."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable

import pytest

from dovecot_urlauth.config.settings import SettingsError
from dovecot_urlauth.service.environment import EnvironmentInvalid
from dovecot_urlauth.service.privileges import PrivilegesKept
from dovecot_urlauth.service.run import EXIT_FATAL, EXIT_OK, EXIT_USAGE, Fatal, Start, describe, run
from dovecot_urlauth.wire.number import decimal


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOG_SERVICE", "DOVECOT_CHILD_PROCESS", "SERVICE_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOVECOT_VERSION", "2.4.1 (abc)")
    monkeypatch.setattr(gc, "freeze", lambda: None)


def end_with(error: BaseException) -> Callable[[Start], int]:
    def stage(start: Start) -> int:
        raise error

    return stage


def test_the_stage_is_told_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_NAME", "urlauth-2")
    monkeypatch.setenv("LOG_DEBUG", "1")
    seen: list[Start] = []

    def stage(start: Start) -> int:
        seen.append(start)
        return 7

    assert run(["path", "-a", "x"], "imap-urlauth", stage) == 7
    (start,) = seen
    assert (start.arguments, start.executable, start.log.prefix) == (("-a", "x"), "imap-urlauth", "urlauth-2: ")
    assert start.log.pipe.debugging


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (Fatal("no"), EXIT_FATAL, "no"),
        (Fatal("no", EXIT_USAGE), EXIT_USAGE, "no"),
        (EnvironmentInvalid("GENERATION: not a number"), EXIT_FATAL, "GENERATION: not a number"),
        (PrivilegesKept("still root"), EXIT_FATAL, "still root"),
        (KeyboardInterrupt(), EXIT_OK, ""),
        (ValueError("a\nb"), EXIT_FATAL, "Unexpected ValueError: a?b at service/test_run.py:"),
    ],
)
def test_how_it_ends(error: BaseException, status: int, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["path"], "imap-urlauth", end_with(error)) == status
    said = capsys.readouterr().err
    assert said.startswith(f"imap-urlauth: Fatal: {text}" if text else "")
    assert said.count("\n") == bool(text)


def test_settings_that_are_wrong_are_said_in_the_dialect_s_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["path"], "imap-urlauth", end_with(SettingsError("no such file"))) == EXIT_FATAL
    assert "no such file" in capsys.readouterr().err


def test_an_unknown_version_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DOVECOT_VERSION", "9.9.9")
    assert run(["path"], "imap-urlauth", lambda start: 0) == 0
    assert "Warning: " in capsys.readouterr().err


def test_under_master_the_interpreter_is_left_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOVECOT_CHILD_PROCESS", "1")
    left: list[int] = []
    monkeypatch.setattr(os, "_exit", left.append)
    run(["path"], "imap-urlauth", lambda start: 3)
    assert left == [3]


def test_an_error_names_room_and_file() -> None:
    try:
        decimal(None)  # type: ignore[arg-type]
    except AttributeError as error:
        said = describe(error)
    first, *_ = said.partition(" at ")[2].split(" < ")
    assert first.startswith("wire/number.py:")
    assert first.endswith(" (decimal)")
