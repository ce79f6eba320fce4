"""However a command ends, it ends in words: no traceback, whatever is closed, missing, damaged or unreadable."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dovecot_urlauth.admin import main
from dovecot_urlauth.admin.outcome import describe
from dovecot_urlauth.url.uri import InvalidURL

ROOT = Path(__file__).parents[2]
GOOD_URL = "imap://alice@h/INBOX/;UID=1"
COMMAND = [
    sys.executable,
    "-IBS",
    "-c",
    f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    + ("from dovecot_urlauth.admin.main import main\nsys.exit(main(sys.argv))"),
]


def ran(*words: str | bytes, shell: str = "", environment: dict[str, str] | None = None) -> tuple[int, str, str]:
    """Status, output and complaints of the command; ``shell`` is what stands behind it on a line of sh."""
    command = ["/bin/sh", "-c", f'"$@" {shell}', "sh", *COMMAND, *words] if shell else [*COMMAND, *words]
    done = subprocess.run(command, capture_output=True, env=environment, timeout=60, check=False)
    said = done.stderr.decode(errors="replace")
    assert "Traceback" not in said
    return done.returncode, done.stdout.decode(errors="replace"), said


def test_a_reader_that_has_seen_enough() -> None:
    status, printed, said = ran("url", GOOD_URL, shell="| true; exit 0")
    assert (status, printed, said) == (0, "", "")
    status, _, said = ran("url", GOOD_URL, shell="3>&1 1>/dev/full")
    assert status == 1
    assert said == "dovecot-urlauth: output: No space left on device\n"


def test_a_broken_pipe_fails_without_a_word() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run([*COMMAND, "url", GOOD_URL], stdout=writing, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_closed_streams() -> None:
    assert ran("url", GOOD_URL, shell=">&-") == (0, "", "")
    assert ran("url", GOOD_URL, shell="2>&-")[0] == 0
    assert ran("url", "http://x/", shell=">&- 2>&-")[0] == 1


@pytest.mark.parametrize("locale", ["C", "POSIX", "en_US.ISO-8859-1", "nonsense"])
def test_any_locale(locale: str) -> None:
    status, printed, said = ran("url", "imap://%C3%A4@h/%E2%98%83/;UID=1", environment={"LC_ALL": locale})
    assert (status, said) == (0, "")
    assert printed.splitlines()[1].startswith("host")


def test_arguments_that_are_not_utf_8() -> None:
    status, _, said = ran("url", b"imap://\xff@h/INBOX")
    assert status == 1
    assert said.startswith("dovecot-urlauth: not an IMAP URL: ")
    status, _, said = ran("check", "-c", b"/nowhere/\xff.conf")
    assert status == 1
    assert said.startswith("dovecot-urlauth: ")


def test_no_doveconf(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("dovecot_urlauth.admin.doveconf.DOVECONF", "/nowhere/doveconf")
    monkeypatch.setenv("PATH", "/nowhere")
    assert main.main(["dovecot-urlauth", "check"]) == 1
    assert capsys.readouterr().err == (
        "dovecot-urlauth: /nowhere/doveconf: No such file or directory: is Dovecot installed?\n"
    )


def test_a_damaged_library(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    library = tmp_path / ".venv/run/dovecot_urlauth"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "dovecot_urlauth", library, ignore=ignore)
    shutil.copy(ROOT / "bin/dovecot-urlauth", tmp_path / "bin")
    command = [sys.executable, "-IBS", str(tmp_path / "bin/dovecot-urlauth"), "url", GOOD_URL]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    for damage in ("impotr os\n", "import nothing_of_that_name\n", "\0", "1 / 0\n"):
        (library / "admin/main.py").write_text(damage)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith(f"dovecot-urlauth: {tmp_path}/.venv/run is damaged (")
        assert len(done.stderr.splitlines()) == 1
    (library / "admin/main.py").write_text("raise KeyboardInterrupt\n")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, ""), "interrupted before it began"


def test_what_nobody_foresaw(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> None:
        raise ValueError("what\nis this")

    monkeypatch.setattr(main, "explain", fail)
    assert main.main(["dovecot-urlauth", "url", GOOD_URL]) == 1
    said = capsys.readouterr().err
    assert said.startswith(
        "dovecot-urlauth: a fault of this command, please report it: ValueError: what is this at "
    )
    assert said.rpartition("test_outcome.py:")[2].strip().isdigit()


def test_interrupted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "explain", interrupt)
    assert main.main(["dovecot-urlauth", "url", GOOD_URL]) == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (FileNotFoundError(2, "No such file or directory", b"/a\xff"), "/a\\udcff: No such file or directory"),
        (OSError(9, "Bad file descriptor", 3), "3: Bad file descriptor"),
        (ImportError("no x"), "this installation is damaged (ImportError: no x): run make install again"),
        (InvalidURL("bad"), "not an IMAP URL: bad (cut off? quote the URL, or use - and standard input)"),
        (RuntimeError("x"), "a fault of this command, please report it: RuntimeError: x at an unknown place"),
    ],
)
def test_descriptions(error: Exception, text: str) -> None:
    assert describe(error) == text
