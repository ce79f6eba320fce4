"""Process titles: any bytes, no control character, and no service that stops for want of a title."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from dovecot_urlauth.config.settings import Settings
from dovecot_urlauth.service import title
from dovecot_urlauth.service.title import ProcessTitle, start_title, why_not_loaded

THIS = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.mark.parametrize(
    ("instance", "verbose", "text", "expected"),
    [
        ("dovecot", True, "[bob]", "dovecot/imap-urlauth [bob]"),
        ("dovecot-2", True, "", "dovecot-2/imap-urlauth"),
        ("mail", True, "[bob]", "dovecot-mail/imap-urlauth [bob]"),
        ("dovecot", False, "[bob]", "dovecot/imap-urlauth"),
        ("dovecot", True, "[b\0o\x1b[2Jb\n\t\x9b]", "dovecot/imap-urlauth [b?o?[2Jb???]"),
        ("dovecot", True, "[\udcff\ud800]", "dovecot/imap-urlauth [??]"),
    ],
)
def test_what_is_shown(instance: str, verbose: bool, text: str, expected: str) -> None:
    titles: list[str] = []
    shown = ProcessTitle(instance, "imap-urlauth", titles.append, verbose=verbose)
    shown.show(text)
    shown.show(text)
    assert titles[-1] == expected
    assert len(titles) <= 2
    titles[-1].encode()


def test_the_library_takes_what_is_shown() -> None:
    """Run apart: the title of the test run stays."""
    pid = os.fork()
    if pid == 0:
        try:
            shown = ProcessTitle("dovecot", "x", title.load_setproctitle(), verbose=True)
            shown.show("[\udcff \0\x1b]")
            with open("/proc/self/cmdline", "rb") as file:
                os._exit(0 if file.read().startswith(b"dovecot/x [? ??]") else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


class Recorder:
    """A log that keeps its warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, text: str) -> None:
        self.warnings.append(text)


def start(verbose: bool | None) -> SimpleNamespace:
    environment = SimpleNamespace(verbose_proctitle=verbose)
    return SimpleNamespace(environment=environment, executable="imap-urlauth", log=Recorder())


@pytest.mark.parametrize(
    ("environment", "setting", "expected"),
    [(None, "yes", True), (None, "no", False), (True, "no", True), (False, "yes", False)],
)
def test_who_says_verbose(
    monkeypatch: pytest.MonkeyPatch, environment: bool | None, setting: str, expected: bool
) -> None:
    monkeypatch.setattr(title, "load_setproctitle", lambda: lambda text: None)
    made = start_title(start(environment), Settings({"verbose_proctitle": setting}))  # type: ignore[arg-type]
    assert made.verbose is expected


def test_a_service_goes_on_without_the_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "setproctitle").mkdir()
    (tmp_path / "setproctitle/_setproctitle.cpython-23-x86_64-linux-gnu.so").touch()
    monkeypatch.setattr(sys, "path", ["", str(tmp_path / "none"), str(tmp_path)])
    monkeypatch.delitem(sys.modules, "setproctitle._setproctitle", raising=False)
    monkeypatch.delitem(sys.modules, "setproctitle", raising=False)
    begun = start(True)
    start_title(begun, Settings({})).show("[bob]")  # type: ignore[arg-type]
    (warning,) = begun.log.warnings
    assert warning == (
        "Process titles are not set: "
        f"setproctitle is installed for Python 2.3, this is {THIS}: run make install again"
    )
    monkeypatch.delitem(sys.modules, "setproctitle", raising=False)


def test_a_library_that_is_broken_or_missing_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert why_not_loaded(ImportError("No module named x")) == "No module named x"
    (tmp_path / "setproctitle").mkdir()
    ours = f"_setproctitle.cpython-{THIS.replace('.', '')}-x86_64-linux-gnu.so"
    for name in (ours, "_setproctitle.abi3.so", "__init__.py", "other.cpython-23-x.so"):
        (tmp_path / "setproctitle" / name).touch()
    assert why_not_loaded(ImportError("file too short")) == "file too short"
    assert title._first_closed("/usr/lib") == "/usr/lib"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody who may not read")
@pytest.mark.parametrize("closed", ["lib", "lib/setproctitle"])
def test_a_folder_that_the_service_user_cannot_read_is_named(tmp_path: Path, closed: str) -> None:
    (tmp_path / "lib/setproctitle").mkdir(parents=True)
    (tmp_path / closed).chmod(0o700)
    for parent in tmp_path.parents:
        if parent.is_relative_to("/tmp/") and parent != Path("/tmp"):
            parent.chmod(0o755)
    tmp_path.chmod(0o755)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setresuid(65534, 65534, 65534)
            sys.path[:] = [str(tmp_path / "lib")]
            os.write(writer, why_not_loaded(ImportError("no such module")).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    assert said == f"uid 65534 cannot read the folder {tmp_path / closed}"
