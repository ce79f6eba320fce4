"""How a command ends: whatever goes wrong is one line that names the thing and the remedy, never a traceback."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dovecot_urlauth.admin.doveconf import DoveconfError
from dovecot_urlauth.admin.interruption import Interrupted
from dovecot_urlauth.admin.live.failure import LiveFailure
from dovecot_urlauth.admin.live.giventext import CUT_OFF, without_tokens
from dovecot_urlauth.admin.master import NoMaster
from dovecot_urlauth.admin.monitor.failure import MonitorFailure
from dovecot_urlauth.admin.switch.snippet import SwitchFailure
from dovecot_urlauth.admin.usage import STATUS, WrongUsage
from dovecot_urlauth.url.uri import InvalidURL

if TYPE_CHECKING:
    from collections.abc import Iterator

FAILED = 1
INTERRUPTED = 130
"""As shells say it: 128 and SIGINT's number."""

TOLD = (DoveconfError, LiveFailure, MonitorFailure, NoMaster, SwitchFailure)
"""Errors whose text is for the administrator."""


@dataclass
class Outcome:
    """The exit status, once it is known."""

    status: int = 0


@contextmanager
def output() -> Iterator[Outcome]:
    """Run a command within: what it prints gets out, or is why it fails."""
    _open_streams()
    outcome = Outcome()
    try:
        yield outcome
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()  # whoever read it has seen enough
        outcome.status = FAILED
    except KeyboardInterrupt:
        outcome.status = INTERRUPTED
    except Interrupted as signal:
        _drop_output()
        for text in (str(signal), *getattr(signal, "__notes__", ())):
            print(f"dovecot-urlauth: {text}", file=sys.stderr)
        outcome.status = signal.status
    except WrongUsage as wrong:
        print(f"dovecot-urlauth: {wrong}", file=sys.stderr)
        outcome.status = STATUS
    except Exception as error:
        _drop_output()
        print(f"dovecot-urlauth: {describe(error)}", file=sys.stderr)
        outcome.status = FAILED


def describe(error: Exception) -> str:
    """The error in words: what is wrong, and what would help where that is known."""
    if isinstance(error, TOLD):
        return str(error)
    if isinstance(error, InvalidURL):
        return f"not an IMAP URL: {without_tokens(error.text)} ({CUT_OFF})"
    if isinstance(error, OSError) and error.strerror:
        return f"{_readable(error.filename) if error.filename is not None else 'output'}: {error.strerror}"
    if isinstance(error, ImportError | SyntaxError):
        return f"this installation is damaged ({_one_line(error)}): run make install again"
    return f"a fault of this command, please report it: {_one_line(error)} at {_place(error)}"


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _place(error: Exception) -> str:
    """File and line that raised it."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return "an unknown place"
    return f"{os.path.basename(traceback.tb_frame.f_code.co_filename)}:{traceback.tb_lineno}"


def _readable(name: str | bytes | int) -> str:
    text = os.fsdecode(name) if isinstance(name, str | bytes) else str(name)
    return text.encode("utf-8", "backslashreplace").decode()


def _open_streams() -> None:
    """Standard streams that the caller has closed are none to Python; what no terminal can show is escaped."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _drop_output() -> None:
    """Let nothing of what could not be written be tried again when the interpreter ends."""
    try:
        sys.stdout.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
