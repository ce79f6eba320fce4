"""debian/: one version number, the same package each time, nothing for lintian to say; its life: test_life.py"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from dovecot_urlauth.admin import VERSION
from testing import packages
from tests.packaging.conftest import CHECKOUT

needs_debhelper = pytest.mark.skipif(shutil.which("dh") is None, reason="debhelper is not installed")


@pytest.fixture(scope="module")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packages.build(tmp_path_factory.mktemp("deb"))


def test_the_version_is_the_one_of_the_command() -> None:
    """A development version sorts before the release in Debian's eyes, too."""
    first = (CHECKOUT / "debian/changelog").read_text().partition("\n")[0]
    version = re.sub(r"[.]?(dev|a|b|rc)", r"~\1", VERSION)
    assert first.startswith(f"dovecot-urlauth ({version}) ")


@needs_debhelper
def test_it_is_built_alike_each_time(deb: Path, tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        again = packages.build(tmp_path)
    finally:
        os.umask(old)
    assert again.read_bytes() == deb.read_bytes()


@needs_debhelper
def test_it_holds_no_byte_code_and_no_machine_code(deb: Path) -> None:
    listed = subprocess.run(
        ["dpkg-deb", "--contents", str(deb)], capture_output=True, text=True, check=True
    ).stdout
    assert "/usr/libexec/dovecot-urlauth/imap-urlauth-worker" in listed
    assert "./usr/lib/dovecot-urlauth/setproctitle -> ../python3/dist-packages/setproctitle" in listed
    assert "./usr/lib/dovecot-urlauth/distribution -> ../python3/dist-packages" in listed
    assert not re.search(r"\.pyc|__pycache__|\.so\b", listed)
    conffiles = subprocess.run(
        ["dpkg-deb", "--info", str(deb), "conffiles"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert len(conffiles) == 4
    assert all(name.startswith("/etc/dovecot-urlauth/conf.d/") for name in conffiles)


@needs_debhelper
@pytest.mark.skipif(shutil.which("lintian") is None, reason="lintian is not installed")
def test_lintian_has_nothing_to_say(deb: Path) -> None:
    words = ["lintian", "--allow-root", "--display-info", "--pedantic", "--tag-display-limit", "0", str(deb)]
    done = subprocess.run(
        words, capture_output=True, text=True, env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    )
    assert [line for line in done.stdout.splitlines() if not line.startswith("N:")] == []
    assert done.returncode == 0


def test_a_build_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    tool = tmp_path / "bin/dpkg-buildpackage"
    tool.write_text("#!/bin/sh\necho 'no such thing'\nexit 2\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    with pytest.raises(packages.BuildError, match="no such thing"):
        packages.build(tmp_path / "out")


def test_completion_knows_every_word(prefix: Path) -> None:
    """Each command, and each of its options, as --help has them."""
    completion = (CHECKOUT / "completion/dovecot-urlauth").read_text()
    offered = dict(re.findall(r'^\s+\[(\w+)\]="([^"]*)"$', completion, re.M))
    shown = subprocess.run([prefix / "bin/dovecot-urlauth", "--help"], capture_output=True, text=True).stdout
    commands = re.findall(r"^    (\w+) ", shown, re.M)
    assert sorted(offered) == sorted(commands)
    assert len(commands) > 10
    for command in commands:
        shown = subprocess.run(
            [prefix / "bin/dovecot-urlauth", command, "--help"], capture_output=True, text=True
        ).stdout
        options = set(re.findall(r"^  (?:-h, )?(-\w|--[\w-]+)", shown, re.M)) - {"--help"}
        assert set(offered[command].split()) == options, command


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["dovecot-urlauth", "en"], ["enable"]),
        (["dovecot-urlauth", "enable", "--ex"], ["--executables-only"]),
        (["dovecot-urlauth", "share", "roo"], ["root"]),
        (["dovecot-urlauth", "fetch", "--as", "roo"], ["root"]),
        (["dovecot-urlauth", "enable", "--host", ""], []),
    ],
)
def test_completion_in_bash(words: list[str], expected: list[str]) -> None:
    line = " ".join(f"'{word}'" for word in words)
    script = f"""
        . {CHECKOUT}/completion/dovecot-urlauth
        COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}
        _dovecot_urlauth; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == expected, done.stderr
