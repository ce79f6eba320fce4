"""What the harness takes for an alarming line."""

from __future__ import annotations

from pathlib import Path

import pytest

from testing.logs import Log, unexpected

TIME = "2026-11-26 01:42:35 "
SERVICE = TIME + "imap-urlauth-worker(alice): "
INTERNAL = [
    SERVICE + "Error: Unexpected KeyError: 'x' at worker/answer.py:12 (answer) < session.py:9 (run)",
    SERVICE + "Fatal: Unexpected ValueError:  at number.py:3 (decimal)",
    SERVICE + "Error: Traceback (most recent call last):",
    SERVICE + 'Error:   File "/usr/local/lib/dovecot-urlauth/dovecot_urlauth/wire/number.py", line 3, in decimal',
]


@pytest.mark.parametrize("line", INTERNAL)
def test_an_internal_exception_cannot_be_announced(line: str) -> None:
    assert unexpected([line], ("imap-urlauth", "Error: ")) == [line]


def test_an_announced_line_is_none_and_another_is() -> None:
    lines = [SERVICE + "Info: Disconnected", SERVICE + "Error: one", SERVICE + "Warning: two"]
    assert unexpected(lines, ("Error: one",)) == lines[2:]


def test_what_is_left_out_of_a_log_is_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("one\nDovecot x is not known\ntwo\n")
    log = Log(path, "x is not known")
    assert (log.lines(), log.mark(), log.take(), log.take()) == (["one", "two"], 2, ["one", "two"], [])
    assert len(Log(path).lines()) == 3
